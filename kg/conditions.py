"""Three-valued truth of the patient side of a statement, and the facts that would decide it.

The reasoner alone makes a verdict `eligible` or `contraindicated`; what is evaluated here tells which facts are missing
and spares the reasoner the options that cannot be decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from rdflib import OWL, RDFS, XSD, URIRef
from rdflib.term import Node

from kg.facts import Medication, PatientFacts, Policy, Sex
from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.statements import Statement, branches, patient_conditions
from kg.therapies import Therapy

Truth = bool | None


class Gap(StrEnum):
    """Why a fact is missing."""

    UNREPORTED = "unreported"
    UNSPECIFIED = "unspecified"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """A fact that would decide: the term it is about and why it is missing."""

    gap: Gap
    term: URIRef


@dataclass(frozen=True, slots=True)
class Judged:
    """A truth value; while it is unknown, the facts that would decide it."""

    truth: Truth
    missing: frozenset[Missing] = frozenset()


TRUE, FALSE = Judged(True), Judged(False)


def conjunction(parts: Iterable[Judged]) -> Judged:
    """Kleene's and: false as soon as one part is false."""
    items = list(parts)
    if any(p.truth is False for p in items):
        return FALSE
    if all(p.truth is True for p in items):
        return TRUE
    return Judged(None, frozenset(m for p in items if p.truth is None for m in p.missing))


def disjunction(parts: Iterable[Judged]) -> Judged:
    """Kleene's or: true as soon as one part is true."""
    items = list(parts)
    if any(p.truth is True for p in items):
        return TRUE
    if all(p.truth is False for p in items):
        return FALSE
    return Judged(None, frozenset(m for p in items if p.truth is None for m in p.missing))


class Conditions:
    """Evaluates class expressions over one patient's facts under a policy."""

    def __init__(
        self, knowledge: Knowledge, facts: PatientFacts, policy: Policy, *, only_documented: bool = False
    ) -> None:
        """With `only_documented`, even what is never to be assumed absent counts as absent when it is not reported."""
        self._knowledge = knowledge
        self._facts = facts
        self._policy = Policy.ABSENT if only_documented else policy
        self._kept = frozenset[URIRef]() if only_documented else knowledge.never_assumed_absent
        self._graph = knowledge.graph
        self._judged: dict[URIRef, Judged] = {}
        self._findings = knowledge.taxonomy
        self._denied = frozenset(facts.absent) | self._denied_by_sex()

    def contraindicated(self, therapy: Therapy) -> Judged:
        """Whether some contraindication that concerns the therapy holds for the patient."""
        concerned = self._knowledge.contraindications_of(therapy)
        return disjunction([self.statement(s) for s in concerned])

    def statement(self, statement: Statement) -> Judged:
        """The truth of what a statement asks of the patient."""
        if statement.iri not in self._judged:
            conditions = patient_conditions(self._graph, statement.iri)
            self._judged[statement.iri] = conjunction([self.judge(c) for c in conditions])
        return self._judged[statement.iri]

    def judge(self, expression: Node) -> Judged:
        """The truth of `expression`, a class expression about the patient. What is not understood is unknown."""
        if isinstance(expression, URIRef):
            return self._named(expression)
        graph = self._graph
        for operator, combine in ((OWL.intersectionOf, conjunction), (OWL.unionOf, disjunction)):
            head = graph.value(expression, operator)
            if head is not None:
                return combine([self.judge(member) for member in graph.items(head)])
        operand = graph.value(expression, OWL.complementOf)
        if operand is not None:
            judged = self.judge(operand)
            return Judged(None if judged.truth is None else not judged.truth, judged.missing)
        property_ = graph.value(expression, OWL.onProperty)
        filler = graph.value(expression, OWL.someValuesFrom)
        if property_ is None or filler is None:
            return Judged(None)
        if property_ == NXL.hasFinding and isinstance(filler, URIRef):
            return self._finding(filler)
        if property_ == NXL.takes:
            return self._medication(filler)
        return self._quantity(URIRef(str(property_)), filler)

    def _named(self, term: URIRef) -> Judged:
        if term == NXL.Patient:
            return TRUE
        if term in (NXL.FemalePatient, NXL.MalePatient):
            known = {Sex.FEMALE: NXL.FemalePatient, Sex.MALE: NXL.MalePatient}.get(self._facts.sex)
            return Judged(None) if known is None else Judged(known == term)
        definition = self._graph.value(term, OWL.equivalentClass)
        if definition is not None:
            return self.judge(definition)
        parts = branches(self._graph, self._knowledge.stated, term)
        return disjunction([self._named(part) for part in parts]) if parts else Judged(None)

    def _denied_by_sex(self) -> frozenset[URIRef]:
        own = {Sex.FEMALE: NXL.FemalePatient, Sex.MALE: NXL.MalePatient}.get(self._facts.sex)
        denied = set()
        for superclass in self._graph.objects(own, RDFS.subClassOf) if own else ():
            operand = self._graph.value(superclass, OWL.complementOf)
            if operand is not None and (operand, OWL.onProperty, NXL.hasFinding) in self._graph:
                denied |= {URIRef(str(f)) for f in self._graph.objects(operand, OWL.someValuesFrom)}
        return frozenset(denied)

    def _finding(self, finding: URIRef) -> Judged:
        is_a = self._findings.is_a
        if any(is_a(reported, finding) for reported in self._facts.present):
            return TRUE
        if any(is_a(finding, denied) for denied in self._denied):
            return FALSE
        if any(is_a(finding, reported) for reported in self._facts.present):
            return Judged(None, frozenset({Missing(Gap.UNSPECIFIED, finding)}))
        below = self._findings.below(finding)
        implied_below = any(is_a(part, reported) for part in below for reported in self._facts.present)
        if self._policy is Policy.ABSENT and not below & self._kept and not implied_below:
            return FALSE
        return Judged(None, frozenset({Missing(Gap.UNREPORTED, finding)}))

    def _quantity(self, quantity: URIRef, filler: Node) -> Judged:
        value: Decimal | None
        if quantity == NXL.ageInYears:
            value, gap = self._facts.age_years, Gap.UNREPORTED
        elif quantity in self._knowledge.quantities:
            reported = [m for m in self._facts.measurements if m.quantity == quantity]
            if not reported and self._policy is Policy.ABSENT:
                return FALSE
            fresh = [m.value for m in reported if not m.is_stale]
            value, gap = (fresh[0] if fresh else None), (Gap.INCOMPLETE if reported else Gap.UNREPORTED)
        else:
            return Judged(None)
        if value is None:
            return Judged(None, frozenset({Missing(gap, quantity)}))
        return Judged(self._within(filler, value))

    def _within(self, datatype: Node, value: Decimal | int) -> bool:
        head = self._graph.value(datatype, OWL.withRestrictions)
        if head is None:
            return True
        checks = {
            XSD.minInclusive: lambda bound: value >= bound,
            XSD.minExclusive: lambda bound: value > bound,
            XSD.maxInclusive: lambda bound: value <= bound,
            XSD.maxExclusive: lambda bound: value < bound,
        }
        return all(
            checks[URIRef(str(facet))](Decimal(str(bound)))
            for node in self._graph.items(head)
            for facet, bound in self._graph.predicate_objects(node)
        )

    def _medication(self, filler: Node) -> Judged:
        group, window = self._medication_parts(filler)
        if group is None:
            return Judged(None)
        taken = disjunction([self._taken(m, group, window) for m in self._facts.medications])
        if taken.truth is not False:
            return taken
        is_a = self._knowledge.interventions.is_a
        closed = self._facts.medications_complete or self._policy is Policy.ABSENT
        if closed or any(is_a(group, absent) for absent in self._facts.absent_medications):
            return FALSE
        return Judged(None, frozenset({Missing(Gap.UNREPORTED, group)}))

    def _medication_parts(self, node: Node) -> tuple[URIRef | None, list[Node]]:
        """The substance group that a medication expression asks for, and the datatypes that bound its last intake."""
        if isinstance(node, URIRef):
            definition = self._graph.value(node, OWL.equivalentClass)
            return self._medication_parts(definition) if definition is not None else (None, [])
        head = self._graph.value(node, OWL.intersectionOf)
        if head is not None:
            parts = [self._medication_parts(member) for member in self._graph.items(head)]
            groups = [g for g, _ in parts if g is not None]
            return (groups[0] if groups else None), [w for _, windows in parts for w in windows]
        property_ = self._graph.value(node, OWL.onProperty)
        filler = self._graph.value(node, OWL.someValuesFrom)
        if property_ == NXL.ofSubstance and isinstance(filler, URIRef):
            return filler, []
        if property_ == NXL.daysSinceLast and filler is not None:
            return None, [filler]
        return None, []

    def _taken(self, medication: Medication, group: URIRef, windows: list[Node]) -> Judged:
        is_a = self._knowledge.interventions.is_a
        of_group = is_a(medication.substance, group)
        if not of_group and self._knowledge.are_disjoint(medication.substance, group):
            return FALSE
        days = medication.days_since_last
        in_window: Truth = None if days is None else all(self._within(w, days) for w in windows)
        if in_window is False:
            return FALSE
        if of_group and in_window:
            return TRUE
        gap = Gap.INCOMPLETE if of_group else Gap.UNSPECIFIED
        return Judged(None, frozenset({Missing(gap, medication.substance if of_group else group)}))
