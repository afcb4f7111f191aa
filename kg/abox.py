"""From a record to the axioms about one patient that the reasoner reads. The mapping is described in docs/record-to-owl.md.

It carries no clinical content: it states what is documented, denies what the reading (policy or documented) denies, and
closes what a record closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from rdflib import OWL, RDF, RDFS, XSD, BNode, Graph, Literal, Namespace, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

from kg.facts import Course, CoursePart, PatientFacts, Policy, Sex
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.therapies import Therapy


class Reading(Enum):
    """How silence is read. `OPEN`: it says nothing. `ASSUMED`: absent, unless never to be assumed.

    `DOCUMENTED`: absent, since only what is documented counts.
    """

    OPEN = "open"
    ASSUMED = "assumed"
    DOCUMENTED = "documented"

    @classmethod
    def of(cls, policy: Policy) -> Reading:
        """The reading that a request's policy asks for contraindications."""
        return cls.OPEN if policy is Policy.UNKNOWN else cls.ASSUMED

    @property
    def leaves_open(self) -> bool:
        """Whether silence says nothing."""
        return self is Reading.OPEN


@dataclass(frozen=True, slots=True)
class PatientAxioms:
    """The graph about one patient and the names of its individuals: options by therapy, courses in the facts' order.

    `linked` are the therapies whose option repeats a course or shares a substance with one, or may do so.
    """

    graph: Graph
    patient: URIRef
    options: dict[URIRef, URIRef]
    courses: tuple[URIRef, ...]
    linked: frozenset[URIRef]


def patient_axioms(
    knowledge: Knowledge,
    facts: PatientFacts,
    reading: Reading,
    therapies: tuple[Therapy, ...] | None = None,
    base: str = "https://w3id.org/nextline/record/",
    closed: bool = True,
) -> PatientAxioms:
    """State `facts` as OWL under one `reading`, with one option for each of `therapies` (default: all).

    Unless `closed`, nothing says that there are no further courses, parts and medications: that is needed only to make
    something false, and costs the reasoner most of its time.
    """
    writer = _Writer(knowledge, facts, reading, Namespace(base), closed)
    writer.state_person()
    writer.state_findings()
    writer.state_measurements()
    writer.state_medications()
    courses = writer.state_courses()
    options = writer.state_options(courses, knowledge.therapies if therapies is None else therapies)
    writer.state_judgements()
    return PatientAxioms(
        writer.graph, writer.patient, options, tuple(iri for iri, _ in courses), frozenset(writer.linked)
    )


class _Writer:
    def __init__(
        self, knowledge: Knowledge, facts: PatientFacts, reading: Reading, base: Namespace, closed: bool
    ) -> None:
        self.knowledge = knowledge
        self.facts = facts
        self.reading = reading
        self.closed = closed
        self.base = base
        self.graph = Graph()
        self.graph.bind("nxl", NXL)
        self.graph.bind("", base)
        self.patient = base["patient"]
        self.linked: set[URIRef] = set()
        self._parts: list[tuple[URIRef, CoursePart]] = []

    # -- building blocks

    def individual(self, name: str, *types: Node) -> URIRef:
        iri = self.base[name]
        self.graph.add((iri, RDF.type, OWL.NamedIndividual))
        for type_ in types:
            self.graph.add((iri, RDF.type, type_))
        return iri

    def boolean(self, operator: URIRef, members: Iterable[Node]) -> Node:
        terms = list(members)
        if len(terms) == 1:
            return terms[0]
        node = BNode()
        self.graph.add((node, RDF.type, OWL.Class))
        head = BNode()
        Collection(self.graph, head, terms)
        self.graph.add((node, operator, head))
        return node

    def restriction(self, property_: URIRef, quantifier: URIRef, filler: Node) -> BNode:
        node = BNode()
        self.graph.add((node, RDF.type, OWL.Restriction))
        self.graph.add((node, OWL.onProperty, property_))
        self.graph.add((node, quantifier, filler))
        return node

    def some(self, property_: URIRef, filler: Node) -> BNode:
        return self.restriction(property_, OWL.someValuesFrom, filler)

    def only(self, property_: URIRef, filler: Node) -> BNode:
        return self.restriction(property_, OWL.allValuesFrom, filler)

    def complement(self, of: Node) -> BNode:
        node = BNode()
        self.graph.add((node, RDF.type, OWL.Class))
        self.graph.add((node, OWL.complementOf, of))
        return node

    def at_most(self, property_: URIRef, count: int, filler: URIRef) -> BNode:
        """At most `count` fillers; with none, that there is none (plainer for the reasoner)."""
        if count == 0:
            return self.complement(self.some(property_, filler))
        node = self.restriction(property_, OWL.onClass, filler)
        self.graph.add((node, OWL.maxQualifiedCardinality, Literal(count, datatype=XSD.nonNegativeInteger)))
        return node

    def integer_at_most(self, maximum: int) -> BNode:
        node, facet, head = BNode(), BNode(), BNode()
        self.graph.add((node, RDF.type, RDFS.Datatype))
        self.graph.add((node, OWL.onDatatype, XSD.integer))
        self.graph.add((facet, XSD.maxInclusive, Literal(maximum)))
        Collection(self.graph, head, [facet])
        self.graph.add((node, OWL.withRestrictions, head))
        return node

    def all_different(self, individuals: list[URIRef]) -> None:
        if len(individuals) > 1:
            node, head = BNode(), BNode()
            self.graph.add((node, RDF.type, OWL.AllDifferent))
            Collection(self.graph, head, list(individuals))
            self.graph.add((node, OWL.distinctMembers, head))

    def type_patient(self, expression: Node) -> None:
        self.graph.add((self.patient, RDF.type, expression))

    # -- the record

    def state_person(self) -> None:
        self.individual("patient", NXL.Patient)
        if self.facts.sex is Sex.FEMALE:
            self.type_patient(NXL.FemalePatient)
        elif self.facts.sex is Sex.MALE:
            self.type_patient(NXL.MalePatient)
        if self.facts.age_years is not None:
            self.graph.add((self.patient, NXL.ageInYears, Literal(self.facts.age_years, datatype=XSD.decimal)))

    def state_findings(self) -> None:
        for finding in self.facts.present:
            iri = self.individual(f"finding-{local_name(finding)}", finding)
            self.graph.add((self.patient, NXL.hasFinding, iri))
        for finding in sorted({*self.facts.absent, *self._denied_findings()}):
            self.type_patient(self.complement(self.some(NXL.hasFinding, finding)))

    def _denied_findings(self) -> frozenset[URIRef]:
        if self.reading is Reading.OPEN:
            return frozenset()
        kept = self.knowledge.never_assumed_absent if self.reading is Reading.ASSUMED else frozenset()
        return self.knowledge.deniable_findings((*self.facts.present, *self.facts.possible), kept, self.facts.absent)

    def state_measurements(self) -> None:
        reported = {m.quantity for m in self.facts.measurements}
        for measurement in self.facts.measurements:
            if not measurement.is_stale:
                self.graph.add((self.patient, measurement.quantity, Literal(measurement.value, datatype=XSD.decimal)))
        if self.reading is not Reading.OPEN:
            for quantity in self.knowledge.quantities:
                if quantity not in reported:
                    self.type_patient(self.complement(self.some(quantity, XSD.decimal)))

    def state_medications(self) -> None:
        medications = []
        for number, medication in enumerate(self.facts.medications, 1):
            substance = self.individual(f"medication-{number}-substance", medication.substance)
            iri = self.individual(f"medication-{number}", NXL.Medication)
            self.graph.add((iri, NXL.ofSubstance, substance))
            if medication.days_since_last is not None:
                self.graph.add((iri, NXL.daysSinceLast, Literal(medication.days_since_last)))
            elif medication.at_most_days is not None:
                self.graph.add(
                    (iri, RDF.type, self.some(NXL.daysSinceLast, self.integer_at_most(medication.at_most_days)))
                )
            self.graph.add((self.patient, NXL.takes, iri))
            medications.append(iri)
        for group in self.facts.absent_medications:
            recent = self.some(NXL.daysSinceLast, self.integer_at_most(self.knowledge.wash_out_days(group)))
            of_group = self.boolean(OWL.intersectionOf, [self.some(NXL.ofSubstance, group), recent])
            self.type_patient(self.complement(self.some(NXL.takes, of_group)))
        if self.closed and (self.facts.medications_complete or self.reading is not Reading.OPEN):
            self.type_patient(self.at_most(NXL.takes, len(medications), NXL.Medication))
            self.all_different(medications)

    def state_courses(self) -> list[tuple[URIRef, Course]]:
        courses = []
        for number, course in enumerate(self.facts.courses, 1):
            iri = self.individual(f"course-{number}", NXL.TherapyCourse, *self._course_types(course))
            self.graph.add((self.patient, NXL.hadCourse, iri))
            for property_, value in (
                (NXL.durationDays, course.duration_days),
                (NXL.daysAtTherapeuticDose, course.days_at_therapeutic_dose),
                (NXL.courseOutcome, course.outcome),
                (NXL.isOngoing, course.is_ongoing),
            ):
                if value is not None:
                    self.graph.add((iri, property_, Literal(value)))
            if course.days_at_therapeutic_dose is None and course.at_most_days_at_dose is not None:
                bound = self.integer_at_most(course.at_most_days_at_dose)
                self.graph.add((iri, RDF.type, self.only(NXL.daysAtTherapeuticDose, bound)))
            self._state_parts(iri, number, course)
            courses.append((iri, course))
        if self.closed and self.reading is Reading.DOCUMENTED:
            self.type_patient(self.at_most(NXL.hadCourse, len(courses), NXL.TherapyCourse))
            self.all_different([iri for iri, _ in courses])
        return courses

    def _course_types(self, course: Course) -> Iterator[Node]:
        if course.therapy is not None:
            yield course.therapy
            return
        substances = [part.substance for part in course.parts]
        yield NXL.CombinationTherapy if course.is_combination else NXL.Monotherapy
        for substance in substances:
            yield self.some(NXL.uses, substance)
        yield self.only(NXL.uses, self.boolean(OWL.unionOf, substances))

    def _state_parts(self, course_iri: URIRef, number: int, course: Course) -> None:
        parts = []
        for index, part in enumerate(course.parts, 1):
            substance = self.individual(f"course-{number}-part-{index}-substance", part.substance)
            iri = self.individual(f"course-{number}-part-{index}", NXL.CoursePart)
            self.graph.add((course_iri, NXL.hasCoursePart, iri))
            self.graph.add((iri, NXL.ofSubstance, substance))
            if part.daily_dose_mg is not None:
                self.graph.add((iri, NXL.dailyDoseMg, Literal(part.daily_dose_mg, datatype=XSD.decimal)))
            for property_, value in (
                (NXL.reachedTherapeuticDose, part.reached_therapeutic_dose),
                (NXL.atMaximumToleratedDose, part.at_maximum_tolerated_dose),
                (NXL.notTolerated, part.not_tolerated),
            ):
                if value is not None:
                    self.graph.add((iri, property_, Literal(value)))
            parts.append(iri)
            self._parts.append((iri, part))
        self.graph.add((course_iri, RDF.type, self.at_most(NXL.hasCoursePart, len(parts), NXL.CoursePart)))
        self.all_different(parts)
        if course.some_part_was_not_tolerated:
            self.graph.add((course_iri, RDF.type, self.some(NXL.hasCoursePart, NXL.PartNotTolerated)))

    def state_options(
        self, courses: list[tuple[URIRef, Course]], therapies: tuple[Therapy, ...]
    ) -> dict[URIRef, URIRef]:
        options = {}
        for therapy in therapies:
            iri = self.individual(f"option-{local_name(therapy.iri)}", NXL.TherapyOption, therapy.iri)
            self.graph.add((iri, NXL.forPatient, self.patient))
            repeated = [c for c, course in courses if course.therapy == therapy.iri]
            uncertain = any(self._may_be(course, therapy.uses) for _, course in courses)
            if self.closed and not uncertain:
                self.graph.add((iri, RDF.type, self.at_most(NXL.repeats, len(repeated), NXL.TherapyCourse)))
            for course_iri in repeated:
                self.graph.add((iri, NXL.repeats, course_iri))
            shared = [iri for iri, part in self._parts if part.substance in therapy.uses]
            uncertain_part = any(self._may_be_intolerance(part, therapy.uses) for _, part in self._parts)
            if self.closed and not uncertain_part:
                self.graph.add((iri, RDF.type, self.at_most(NXL.sharesSubstance, len(shared), NXL.CoursePart)))
            for part_iri in shared:
                self.graph.add((iri, NXL.sharesSubstance, part_iri))
            if repeated or shared or uncertain or uncertain_part:
                self.linked.add(therapy.iri)
            options[therapy.iri] = iri
        return options

    def _may_be(self, course: Course, uses: tuple[URIRef, ...]) -> bool:
        """Whether a course with an unspecified member might have been the therapy that uses `uses`."""
        if course.therapy is not None or course.is_combination != (len(uses) > 1):
            return False
        substances = [part.substance for part in course.parts]
        is_a = self.knowledge.interventions.is_a
        return all(any(is_a(u, s) for s in substances) for u in uses) and all(
            any(is_a(u, s) for u in uses) for s in substances
        )

    def _may_be_intolerance(self, part: CoursePart, uses: tuple[URIRef, ...]) -> bool:
        """Whether a part of unspecified substance, not known to be tolerated, may concern what an option uses."""
        is_a = self.knowledge.interventions.is_a
        return part.not_tolerated is not False and any(u != part.substance and is_a(u, part.substance) for u in uses)

    def state_judgements(self) -> None:
        judged = [self.some(NXL.uses, j.intervention) for j in self.facts.judgements]
        unsuitable = NXL.JudgedUnsuitableOption
        for use in judged:
            self.type_patient(self.only(NXL.hasOption, self.boolean(OWL.unionOf, [self.complement(use), unsuitable])))
        if not self.closed:
            return
        closed = [self.complement(unsuitable), *(self.some(NXL.uses, j.intervention) for j in self.facts.judgements)]
        self.type_patient(self.only(NXL.hasOption, self.boolean(OWL.unionOf, closed)))
