"""The flat graph: what definitions say, as direct triples between named things, so that queries need no blank nodes.

It is made from the compiled program and the classified hierarchy, and holds nothing that the other graphs hold.
"""

from __future__ import annotations

from collections.abc import Iterable

from rdflib import RDF, XSD, Graph, Literal, URIRef

from kg.circumstances import Circumstance, Circumstances, short
from kg.exclusions import Exclusion, exclusions, intervention_exclusions
from kg.expressions import Expression
from kg.knowledge import Knowledge
from kg.namespaces import FLAT, NXL, local_name
from kg.program import Program

_BOUNDS = (NXL.atLeast, NXL.moreThan), (NXL.atMost, NXL.lessThan)


def flat_graph(knowledge: Knowledge, program: Program) -> Graph:
    """The flat graph of a program; see docs/querying.md for its properties."""
    return _Flattening(knowledge, program).graph


class _Flattening:
    def __init__(self, knowledge: Knowledge, program: Program) -> None:
        self.knowledge = knowledge
        self.program = program
        self.circumstances = Circumstances(program)
        self.graph = Graph()
        self._therapies()
        for iri in sorted(knowledge.statements):
            self._statement(iri)
        for name in sorted(program.classes):
            self._band(("named", name))
        for exclusion in exclusions(knowledge, program, self.circumstances):
            self._exclusion(exclusion)
        for exclusion in intervention_exclusions(knowledge, program, self.circumstances):
            self._pair(exclusion)

    def _therapies(self) -> None:
        for therapy in self.knowledge.therapies:
            kind = NXL.CombinationTherapy if therapy.is_combination else NXL.Monotherapy
            self.graph.add((therapy.iri, NXL.therapyKind, kind))
            self._add(therapy.iri, NXL.usesIntervention, therapy.uses)
            stated = (s for s in self.program.concerned[str(therapy.iri)] if URIRef(s) in self.knowledge.statements)
            self.graph += ((URIRef(s), NXL.concernsTherapy, therapy.iri) for s in stated)

    def _statement(self, iri: URIRef) -> None:
        statement = self.knowledge.statements[iri]
        if statement.kind is not None:
            self.graph.add((iri, NXL.statementKind, statement.kind))
        option = self.program.options.get(str(iri))
        if option is None:
            return
        self._add(iri, NXL.concernsIntervention, map(URIRef, option.groups))
        if option.kind is not None:
            self.graph.add((iri, NXL.concernsTherapyKind, URIRef(option.kind)))
        for number, circumstance in enumerate(self.circumstances.of_option(option), start=1):
            self._circumstance(iri, number, circumstance)

    def _circumstance(self, iri: URIRef, number: int, circumstance: Circumstance) -> None:
        node = FLAT[f"circumstance/{local_name(iri)}/{number}"]
        self.graph.add((iri, NXL.appliesWhen, node))
        self.graph.add((node, RDF.type, NXL.Circumstance))
        self.graph.add((node, NXL.requirementCount, Literal(len(circumstance), datatype=XSD.integer)))
        if iri == NXL.JudgedUnsuitableOption:  # it rests on a judgement in the record, and has no definition
            self.graph.add((node, NXL.isPartial, Literal(True)))
        for requirement in sorted(circumstance, key=repr):
            self._requirement(iri, node, requirement, alone=len(circumstance) == 1)

    def _requirement(self, iri: URIRef, node: URIRef, requirement: Expression, *, alone: bool) -> None:
        """One requirement of a circumstance, and what it means for the statement: asked for, or enough alone."""
        band = self._band(requirement)
        match requirement:
            case ("finding", term):
                self._needed(iri, node, "Finding", URIRef(term), URIRef(term), alone=alone)
            case ("takes", group, interval):
                self._needed(iri, node, "Substance", self._intake(group, interval), URIRef(group), alone=alone)
            case _ if band is not None:
                self._needed(iri, node, "Band", band, band, alone=alone)
            case ("named", name) if name in self.circumstances.steps:
                self._needed(iri, node, "Step", URIRef(name), URIRef(name), alone=alone)
            case ("named", name) | ("sex", name):
                self.graph.add((node, NXL.needsPatientClass, URIRef(name)))
            case ("not", ("finding" | "named" | "sex", name)):
                self.graph.add((node, NXL.needsAbsenceOf, URIRef(name)))
            case ("had-course" | "repeats" | "shares" as relation, condition):
                self.graph.add((node, NXL.needsEarlierTrial, self._trial(relation, condition)))
            case _:
                self.graph.add((node, NXL.isPartial, Literal(True)))

    def _needed(self, iri: URIRef, node: URIRef, what: str, needed: URIRef, asked: URIRef, *, alone: bool) -> None:
        self.graph.add((node, NXL["needsIntake" if what == "Substance" else f"needs{what}"], needed))
        self.graph.add((iri, NXL[f"asksFor{what}"], asked))
        if alone and what != "Step":
            self.graph.add((iri, NXL[f"sufficient{what}"], asked))

    def _band(self, requirement: Expression) -> URIRef | None:
        band = self.circumstances.band(requirement)
        if band is None:
            return None
        self.graph.add((band.iri, NXL.ofQuantity, band.quantity))
        self._bounds(band.iri, band.interval)
        return band.iri

    def _intake(self, group: str, interval: Expression) -> URIRef:
        node = FLAT[f"intake/{local_name(group)}/{short(interval)}"]
        self.graph.add((node, RDF.type, NXL.Intake))
        self.graph.add((node, NXL.intakeOf, URIRef(group)))
        self._bounds(node, interval)
        return node

    def _bounds(self, node: URIRef, interval: Expression) -> None:
        low, low_open, high, high_open = interval
        for (closed, opened), value, is_open in zip(_BOUNDS, (low, high), (low_open, high_open), strict=True):
            if value is not None:
                self.graph.add((node, opened if is_open else closed, Literal(value, datatype=XSD.decimal)))

    def _trial(self, relation: str, condition: Expression) -> URIRef:
        """A node for an earlier trial; what cannot be told of it marks it as partial."""
        node = FLAT[f"trial/{short((relation, condition))}"]
        self.graph.add((node, RDF.type, NXL.EarlierTrial))
        self.graph.add((node, NXL.trialOf, Literal(_TRIALS[relation])))
        for part in condition[1:] if condition[0] == "all" else (condition,):
            match part:
                case ("named", name):
                    self.graph.add((node, NXL.trialClass, URIRef(name)))
                case ("uses" | "substance", group):
                    self.graph.add((node, NXL.usesIntervention, URIRef(group)))
                case ("kind", kind):
                    self.graph.add((node, NXL.therapyKind, URIRef(kind)))
                case ("everything",):
                    pass
                case _:
                    self.graph.add((node, NXL.isPartial, Literal(True)))
        return node

    def _exclusion(self, exclusion: Exclusion) -> None:
        names = map(local_name, (exclusion.subject, exclusion.reason, exclusion.statement))
        node = FLAT[f"exclusion/{'/'.join(names)}"]
        self.graph.add((node, RDF.type, NXL.Exclusion))
        self.graph.add((node, NXL.excludedTherapy, exclusion.subject))
        self.graph.add((node, NXL[f"excluding{exclusion.sort.value}"], exclusion.reason))
        self.graph.add((node, NXL.byStatement, exclusion.statement))
        self.graph.add((node, NXL.isInherited, Literal(exclusion.is_inherited)))
        self._add(node, NXL.inheritedFrom, exclusion.broader)
        self._add(node, NXL.inheritedFromIntervention, exclusion.groups)
        for group, interval in exclusion.intakes:
            self.graph.add((node, NXL.needsIntake, self._intake(group, interval)))
        self._pair(exclusion)

    def _pair(self, exclusion: Exclusion) -> None:
        by_substance = exclusion.sort.value == "Substance"
        suffix = "With" if by_substance else "In"
        marked = f"inheritsContraindication{suffix}" if exclusion.is_inherited else f"directlyContraindicated{suffix}"
        self.graph.add((exclusion.subject, NXL[f"contraindicated{suffix}"], exclusion.reason))
        self.graph.add((exclusion.subject, NXL[marked], exclusion.reason))

    def _add(self, subject: URIRef, predicate: URIRef, values: Iterable[URIRef]) -> None:
        self.graph += ((subject, predicate, value) for value in values)


_TRIALS = {
    "had-course": "any therapy",
    "repeats": "the same therapy",
    "shares": "a part with a substance of the therapy",
}
