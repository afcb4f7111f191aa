"""What a record leaves open: the facts that are there but not complete, or not specific enough."""

from __future__ import annotations

from dataclasses import dataclass

from rdflib import OWL, URIRef
from rdflib.term import Node

from kg.conditions import Conditions, Gap, Missing
from kg.facts import Course, PatientFacts, Policy
from kg.guidelines import Guideline
from kg.knowledge import Knowledge
from kg.namespaces import NXL


@dataclass(frozen=True, slots=True)
class CourseGap:
    """What is missing of a course, in the words of the record's fields."""

    source_index: int
    gap: Gap
    fields: tuple[str, ...]
    substances: tuple[URIRef, ...]


def course_gaps(knowledge: Knowledge, facts: PatientFacts) -> tuple[CourseGap, ...]:
    """The courses that cannot be judged for certain, with the fields that would do it."""
    found = []
    for course in facts.courses:
        substances = tuple(p.substance for p in course.parts)
        if any(not knowledge.interventions.is_leaf(s) for s in substances):
            found.append(CourseGap(course.source_index, Gap.UNSPECIFIED, ("substances",), substances))
        fields = _missing_fields(course)
        if fields:
            found.append(CourseGap(course.source_index, Gap.INCOMPLETE, fields, substances))
    return tuple(found)


def _missing_fields(course: Course) -> tuple[str, ...]:
    fields = []
    if course.outcome is None:
        fields.append("outcome")
    if course.days_at_therapeutic_dose is None:
        fields.append("weeksAtDose" if course.duration_days is not None else "weeks")
    if any(
        p.daily_dose_mg is None and p.reached_therapeutic_dose is None and not p.at_maximum_tolerated_dose
        for p in course.parts
    ):
        fields.append("dailyDoseMg or reachedTherapeuticDose")
    if any(p.not_tolerated is None for p in course.parts) and course.outcome is not None:
        fields.append("notTolerated")
    return tuple(fields)


def unspecified_findings(knowledge: Knowledge, facts: PatientFacts, guideline: Guideline) -> frozenset[Missing]:
    """Findings that the guideline asks about and of which only something broader is reported."""
    asked = findings_asked_by(knowledge, guideline)
    is_a = knowledge.taxonomy.is_a
    return frozenset(
        Missing(Gap.UNSPECIFIED, finding)
        for finding in asked
        if any(is_a(finding, reported) and finding != reported for reported in facts.present)
        and not any(is_a(reported, finding) for reported in facts.present)
        and not any(is_a(finding, absent) for absent in facts.absent)
    )


def findings_asked_by(knowledge: Knowledge, guideline: Guideline) -> frozenset[URIRef]:
    """The findings that decide the scope and the indications of a guideline."""
    graph, taxonomy = knowledge.graph, knowledge.stated
    tops = (guideline.scope, guideline.indicated, guideline.recommended_against)
    classes = {c for top in tops for c in taxonomy.below(top)}
    found: set[URIRef] = set()
    for defined in classes:
        for definition in graph.objects(defined, OWL.equivalentClass):
            found |= _findings_in(knowledge, definition)
    return frozenset(found)


def _findings_in(knowledge: Knowledge, node: Node) -> set[URIRef]:
    graph = knowledge.graph
    if isinstance(node, URIRef):
        return set()
    if (node, OWL.onProperty, NXL.hasFinding) in graph:
        return {URIRef(str(f)) for f in graph.objects(node, OWL.someValuesFrom)}
    found: set[URIRef] = set()
    for predicate in (OWL.intersectionOf, OWL.unionOf):
        for head in graph.objects(node, predicate):
            for member in graph.items(head):
                found |= _findings_in(knowledge, member)
    for predicate in (OWL.someValuesFrom, OWL.complementOf):
        for filler in graph.objects(node, predicate):
            found |= _findings_in(knowledge, filler)
    return found


def needs_refutation(knowledge: Knowledge, facts: PatientFacts, guidelines: tuple[Guideline, ...]) -> bool:
    """Whether something that is not entailed may still be possible, so that it must not be read as false."""
    if facts.age_years is None or course_gaps(knowledge, facts):
        return True
    if any(unspecified_findings(knowledge, facts, g) for g in guidelines):
        return True
    return not _groups_are_closed_or_open(knowledge, facts)


def groups_are_decided(knowledge: Knowledge, facts: PatientFacts) -> bool:
    """Whether it is certain of every group, whole, if it is contraindicated, not tolerated or judged unsuitable."""
    parts = [p for course in facts.courses for p in course.parts]
    tolerance_is_known = all(
        p.not_tolerated is not None and knowledge.interventions.is_leaf(p.substance) for p in parts
    )
    return tolerance_is_known and _groups_are_closed_or_open(knowledge, facts)


def _groups_are_closed_or_open(knowledge: Knowledge, facts: PatientFacts) -> bool:
    documented = Conditions(knowledge, facts, Policy.ABSENT, only_documented=True)
    for helper in knowledge.whole_class_therapies:
        judged = [documented.contraindicated(member).truth for member in helper.members]
        if judged and None in judged and False not in judged:
            return False
    return True
