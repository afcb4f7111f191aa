"""The reference engine: HermiT decides, from one model of what is documented and one of what the request's policy says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from rdflib import OWL, RDF, RDFS, BNode, Graph, Literal, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

from kg.abox import Reading, patient_axioms
from kg.closure import entailing_axioms, option_steps, refuting_axioms, undeciding_classes, undeciding_of_trials
from kg.conditions import Conditions, Judged
from kg.errors import ContradictoryRecord
from kg.facts import PatientFacts, Policy
from kg.gaps import groups_are_decided, needs_refutation
from kg.guidelines import Guideline
from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.reasoner import Inference, reason
from kg.statements import Statement, patient_conditions
from kg.taxonomy import Taxonomy
from kg.therapies import Therapy
from kg.verdicts import Standing, Truth
from kg.vocabulary import Vocabulary

ENGINE_NAME = "reference (HermiT)"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the reasoner found for one patient.

    `standings` by guideline code and therapy; `option_types`, `patient_types` and `course_types` are all classes that
    were entailed from what is documented; `contraindication` tells per therapy what is still missing to decide it.
    """

    standings: dict[tuple[str, URIRef], Standing]
    option_types: dict[URIRef, frozenset[URIRef]]
    patient_types: frozenset[URIRef]
    course_types: tuple[frozenset[URIRef], ...]
    contraindication: dict[URIRef, Judged]


class ReferenceEngine:
    """Evaluates patients against an ontology; every evaluation takes several seconds on one processor core."""

    def __init__(
        self,
        knowledge: Knowledge,
        closure: Graph,
        *,
        version: dict[str, str] | None = None,
        deadline_seconds: float = 120,
    ) -> None:
        """`knowledge` holds the authored modules and their classified hierarchy, `closure` the generated module.

        `version` names the knowledge in answers. Each of the up to three reasoner calls of an evaluation has the deadline.
        """
        self.knowledge = knowledge
        self.vocabulary = Vocabulary(knowledge)
        self.version = version or {}
        self.deadline_seconds = deadline_seconds
        graph, taxonomy = knowledge.graph, knowledge.stated
        undecided = _without_definitions(graph, [g.eligible for g in knowledge.guidelines.values()])
        self._entailing = undecided + entailing_axioms(graph, taxonomy)
        self._closing = _without_definitions(graph, undeciding_classes(graph, taxonomy)) + closure
        self._closing.remove((NXL.Patient, RDFS.subClassOf, None))
        self._refuting = undecided + closure + refuting_axioms(graph, taxonomy)
        self._option_steps = option_steps(graph, taxonomy)
        self._trials = _without_definitions(self._refuting, undeciding_of_trials(graph, taxonomy))
        self._trials.remove((NXL.Patient, RDFS.subClassOf, None))

    def evaluate(self, facts: PatientFacts, policy: Policy, guidelines: Iterable[Guideline]) -> Evaluation:
        """Decide the standing of every therapy for the patient by each guideline.

        Raises ContradictoryRecord when the facts cannot be true together, ReasonerTimeout and ReasonerFailure.
        """
        chosen = tuple(guidelines)
        conditions = Conditions(self.knowledge, facts, policy)
        contraindication = {t.iri: conditions.contraindicated(t) for t in self.knowledge.therapies}
        documented = patient_axioms(self.knowledge, facts, Reading.DOCUMENTED, closed=False)
        types = self._types(self._reason(self._entailing + documented.graph))
        option_types = {t: types[iri] for t, iri in documented.options.items()}
        patient_types = types[documented.patient]
        excluded = self._excluded(facts, policy, chosen, contraindication, option_types, patient_types)
        refuted = None
        if needs_refutation(self.knowledge, facts, chosen):
            refuted = self._refute(facts, documented.linked, chosen, option_types, patient_types)
        standings = {}
        for guideline in chosen:
            scope = _truth(guideline.scope in patient_types, refuted is None or str(guideline.scope) in refuted.patient)
            for therapy in self.knowledge.therapies:
                entailed = option_types[therapy.iri]
                contraindicated: Truth = NXL.ContraindicatedOption in entailed
                indicated = _truth(
                    guideline.indicated in entailed, refuted is None or refuted.indicated(guideline, therapy)
                )
                against = _truth(
                    guideline.recommended_against in entailed,
                    refuted is None or refuted.option(guideline.recommended_against, therapy),
                )
                exhausted = _truth(
                    guideline.exhausted in entailed, refuted is None or refuted.option(guideline.exhausted, therapy)
                )
                if not contraindicated and scope and indicated and against is False and exhausted is False:
                    concerned = {s.iri for s in self.knowledge.contraindications_of(therapy)}
                    contraindicated = False if concerned <= excluded else None
                elif not contraindicated:
                    contraindicated = contraindication[therapy.iri].truth
                standings[guideline.code, therapy.iri] = Standing(scope, indicated, against, contraindicated, exhausted)
        return Evaluation(
            standings, option_types, patient_types, tuple(types[c] for c in documented.courses), contraindication
        )

    def _excluded(
        self,
        facts: PatientFacts,
        policy: Policy,
        guidelines: tuple[Guideline, ...],
        contraindication: dict[URIRef, Judged],
        option_types: dict[URIRef, frozenset[URIRef]],
        patient_types: frozenset[URIRef],
    ) -> frozenset[URIRef]:
        """The contraindications that the reasoner excludes under the policy, among those that open options need excluded.

        What a contraindication asks of the patient does not depend on the option. So a few options that between them are
        concerned by all of these statements are put to the reasoner, with all that eligibility asks besides given: one is
        then entailed to be eligible exactly if every contraindication that concerns it is excluded.
        """
        knowledge = self.knowledge
        scopes = [g for g in guidelines if g.scope in patient_types]
        concerned = {
            t: frozenset(s.iri for s in knowledge.contraindications_of(t))
            for t in knowledge.therapies
            if contraindication[t.iri].truth is False and any(g.indicated in option_types[t.iri] for g in scopes)
        }
        chosen = _cover(concerned, lambda t: any(g.exhausted in option_types[t.iri] for g in scopes))
        if not chosen:
            return frozenset()
        without_trials = replace(self._within_window(facts), courses=(), judgements=())
        asked = patient_axioms(knowledge, without_trials, Reading.of(policy), chosen)
        for guideline in scopes:
            asked.graph.add((asked.patient, RDF.type, guideline.scope))
            for therapy in chosen:
                option = asked.options[therapy.iri]
                asked.graph.add((option, RDF.type, guideline.indicated))
                for closing in (guideline.recommended_against, guideline.exhausted):
                    asked.graph.add((option, RDF.type, _complement(asked.graph, closing)))
        types = self._types(self._reason(self._closing + asked.graph))
        eligible = {g.eligible for g in scopes}
        return frozenset(s for t in chosen if eligible & types[asked.options[t.iri]] for s in concerned[t])

    def _within_window(self, facts: PatientFacts) -> PatientFacts:
        """The facts without the medications that ended before the longest wash-out that any statement asks about."""
        window = self.knowledge.longest_wash_out_days
        recent = tuple(m for m in facts.medications if m.days_since_last is None or m.days_since_last <= window)
        return replace(facts, medications=recent)

    def _reason(self, axioms: Graph) -> Inference:
        inference = reason(axioms, deadline_seconds=self.deadline_seconds)
        if not inference.consistent:
            raise ContradictoryRecord(
                "patient",
                "the record cannot be true as a whole.",
                "Look for findings that exclude each other, such as by sex.",
            )
        return inference

    def _types(self, inference: Inference) -> dict[URIRef, frozenset[URIRef]]:
        """All classes of each individual: the reasoner names the most specific ones, its hierarchy gives the others."""
        hierarchy = self.knowledge.taxonomy.extended(Taxonomy.edges_of(inference.triples))
        found: dict[URIRef, set[URIRef]] = {}
        for subject, predicate, target in inference.triples:
            if predicate == str(RDF.type):
                found.setdefault(URIRef(subject), set()).update(hierarchy.above(URIRef(target)))
        return _Defaulting({subject: frozenset(classes) for subject, classes in found.items()})

    def _refute(
        self,
        facts: PatientFacts,
        linked: frozenset[URIRef],
        guidelines: tuple[Guideline, ...],
        option_types: dict[URIRef, frozenset[URIRef]],
        patient_types: frozenset[URIRef],
    ) -> _Refuted:
        """Ask the reasoner which of the conditions that are not entailed are excluded.

        Only the options of `linked` therapies can be closed by a course; the others need no asking.
        """
        probes = _Probes(self.knowledge.graph)
        for guideline in guidelines:
            if guideline.scope not in patient_types:
                probes.patient(str(guideline.scope), [guideline.scope])
            for statement in self.knowledge.statements_below(guideline.indicated):
                if not any(statement.iri in types for types in option_types.values()):
                    probes.patient(statement.patient_key, patient_conditions(self.knowledge.graph, statement.iri))
            for kind in (guideline.recommended_against, guideline.exhausted):
                probes.option(kind)
        tried = tuple(t for t in self.knowledge.therapies if t.iri in linked)
        documented = patient_axioms(self.knowledge, self._within_window(facts), Reading.DOCUMENTED, tried)
        axioms = self._refuting
        if groups_are_decided(self.knowledge, facts):
            axioms = self._trials
            for step in self._option_steps:
                truth = step if step in patient_types else _complement(documented.graph, step)
                documented.graph.add((documented.patient, RDF.type, truth))
        inference = self._reason(axioms + documented.graph + probes.graph)
        types = self._types(inference)
        patient = {key for key, probe in probes.patient_probes.items() if probe in types[documented.patient]}
        options = {
            (kind, t.iri)
            for kind, probe in probes.option_probes.items()
            for t in self.knowledge.therapies
            if t.iri not in linked or probe in types[documented.options[t.iri]]
        }
        return _Refuted(self.knowledge, frozenset(patient), frozenset(options))


class _Defaulting(dict[URIRef, frozenset[URIRef]]):
    def __missing__(self, key: URIRef) -> frozenset[URIRef]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class _Refuted:
    """What is excluded: keys of conditions on the patient, and classes by therapy."""

    knowledge: Knowledge
    patient: frozenset[str]
    options: frozenset[tuple[URIRef, URIRef]]

    def indicated(self, guideline: Guideline, therapy: Therapy) -> bool:
        concerned = (
            s
            for s in self.knowledge.statements_below(guideline.indicated)
            if s.concerns(therapy, self.knowledge.taxonomy)
        )
        return all(self._excluded(s) for s in concerned)

    def _excluded(self, statement: Statement) -> bool:
        return statement.patient_key in self.patient

    def option(self, kind: URIRef, therapy: Therapy) -> bool:
        return (kind, therapy.iri) in self.options


class _Probes:
    """Classes that stand for the falsity of something; a member of one is excluded from it."""

    def __init__(self, source: Graph) -> None:
        self._source = source
        self.graph = Graph()
        self.patient_probes: dict[str, URIRef] = {}
        self.option_probes: dict[URIRef, URIRef] = {}

    def patient(self, key: str, conditions: Iterable[Node]) -> None:
        if key not in self.patient_probes:
            self.patient_probes[key] = NXL[f"probe/patient-{len(self.patient_probes)}"]
            self._define(self.patient_probes[key], NXL.Patient, [self._copy(c) for c in conditions])

    def option(self, kind: URIRef) -> None:
        if kind not in self.option_probes:
            self.option_probes[kind] = NXL[f"probe/option-{len(self.option_probes)}"]
            self._define(self.option_probes[kind], NXL.TherapyOption, [kind])

    def _define(self, probe: URIRef, root: URIRef, conditions: list[Node]) -> None:
        condition = conditions[0] if len(conditions) == 1 else self._and(conditions)
        negated = self._node((OWL.complementOf, condition))
        self.graph.add((probe, RDF.type, OWL.Class))
        self.graph.add((probe, OWL.equivalentClass, self._and([root, negated])))

    def _and(self, members: list[Node]) -> BNode:
        head = BNode()
        Collection(self.graph, head, members)
        return self._node((OWL.intersectionOf, head))

    def _node(self, edge: tuple[URIRef, Node]) -> BNode:
        node = BNode()
        self.graph.add((node, RDF.type, OWL.Class))
        self.graph.add((node, *edge))
        return node

    def _copy(self, node: Node) -> Node:
        if isinstance(node, URIRef | Literal):
            return node
        copy = BNode()
        for predicate, value in self._source.predicate_objects(node):
            self.graph.add((copy, predicate, self._copy(value)))
        return copy


def _cover(concerned: dict[Therapy, frozenset[URIRef]], is_closed: Callable[[Therapy], bool]) -> tuple[Therapy, ...]:
    """A few therapies that no earlier course closes and that between them are concerned by as much as all of them."""
    open_ = sorted((t for t in concerned if not is_closed(t)), key=lambda t: t.iri)
    wanted = {s for t in open_ for s in concerned[t]}
    chosen = []
    while wanted:
        best = max(open_, key=lambda t: len(concerned[t] & wanted))
        chosen.append(best)
        wanted -= concerned[best]
    return tuple(chosen)


def _complement(graph: Graph, of: URIRef) -> BNode:
    node = BNode()
    graph.add((node, RDF.type, OWL.Class))
    graph.add((node, OWL.complementOf, of))
    return node


def _truth(entailed: bool, refuted: bool) -> Truth:
    return True if entailed else (False if refuted else None)


def _without_definitions(graph: Graph, classes: Iterable[URIRef]) -> Graph:
    """A copy of `graph` in which `classes` keep their names but are no longer defined."""
    undefined = frozenset(classes)
    copy = Graph()
    for triple in graph:
        if triple[0] not in undefined or triple[1] != OWL.equivalentClass:
            copy.add(triple)
    return copy
