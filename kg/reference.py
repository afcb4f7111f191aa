"""The reference engine: HermiT decides, from one model of what is documented and one of what the request's policy says."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from threading import Lock

from rdflib import OWL, RDF, RDFS, BNode, Graph, Literal, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

from kg.abox import PatientAxioms, Reading, patient_axioms
from kg.closure import (
    closure_of,
    entailing_axioms,
    intolerance_of,
    option_steps,
    refuting_axioms,
    undeciding_classes,
    undeciding_of_trials,
)
from kg.errors import ContradictoryRecord
from kg.facts import PatientFacts, Policy
from kg.guidelines import Guideline
from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.narrowing import narrowed
from kg.reasoner import as_text, logical, reason
from kg.statements import Statement, conjuncts, patient_conditions
from kg.taxonomy import Taxonomy
from kg.therapies import Therapy, WholeClassTherapy
from kg.verdicts import Standing, Truth

ENGINE_NAME = "reference (HermiT)"
_REMEMBERED = 3  # narrowed engines: each is large


@dataclass(frozen=True, slots=True)
class ReferenceEvaluation:
    """What the reasoner found for one patient.

    `standings` by guideline code and therapy; `option_types`, `patient_types` and `course_types` are all classes that
    were entailed from what is documented, courses in the order of the facts.
    """

    standings: dict[tuple[str, URIRef], Standing]
    option_types: dict[URIRef, frozenset[URIRef]]
    patient_types: frozenset[URIRef]
    course_types: tuple[frozenset[URIRef], ...]

    def with_types(
        self, therapy: URIRef, classes: frozenset[URIRef], guidelines: Iterable[Guideline]
    ) -> ReferenceEvaluation:
        """The same with further classes that were entailed for the option of a therapy, those above them included."""
        standings = dict(self.standings)
        for guideline in guidelines:
            held = {
                "indicated": guideline.indicated,
                "recommended_against": guideline.recommended_against,
                "contraindicated": NXL.ContraindicatedOption,
                "exhausted": guideline.exhausted,
                "in_use": guideline.in_use,
            }
            found = {name: True for name, kind in held.items() if kind in classes}
            standings[guideline.code, therapy] = standings[guideline.code, therapy]._replace(**found)
        types = {**self.option_types, therapy: self.option_types[therapy] | classes}
        return replace(self, standings=standings, option_types=types)


class ReferenceEngine:
    """Evaluates patients against an ontology; every evaluation takes several seconds on one processor core."""

    name = ENGINE_NAME

    def __init__(self, knowledge: Knowledge, closure: Graph, *, deadline_seconds: float = 120) -> None:
        """`knowledge` holds the authored modules and their classified hierarchy, `closure` the generated module.

        Each of the up to five reasoner calls of an evaluation has the deadline.
        """
        self.knowledge = knowledge
        self.deadline_seconds = deadline_seconds
        self._narrowed = lru_cache(_REMEMBERED)(self._narrow)
        self._narrowing = Lock()
        graph, taxonomy = knowledge.graph, knowledge.stated
        self._option_steps = {step: self._group(step) for step in option_steps(graph, taxonomy)}
        self._members = entailing_axioms(graph, taxonomy)
        undecided = _without_definitions(logical(graph), [g.eligible for g in knowledge.guidelines.values()])
        self._entailing = as_text(undecided + self._members)
        forbidding = _without_definitions(undecided, undeciding_classes(graph, taxonomy)) + closure
        forbidding.remove((NXL.Patient, RDFS.subClassOf, None))
        self._forbidding = as_text(forbidding)
        refuting = undecided + closure + refuting_axioms(graph, taxonomy)
        trials = _without_definitions(refuting, undeciding_of_trials(graph, taxonomy))
        trials.remove((NXL.Patient, RDFS.subClassOf, None))
        self._trials = as_text(trials)

    def evaluate(
        self,
        facts: PatientFacts,
        policy: Policy,
        guidelines: Iterable[Guideline],
        therapies: tuple[Therapy, ...] | None = None,
    ) -> ReferenceEvaluation:
        """Decide the standing of `therapies` (default: all) for the patient by each guideline.

        Raises ContradictoryRecord when the facts cannot be true together, ReasonerTimeout and ReasonerFailure.
        """
        chosen, asked = tuple(guidelines), self.knowledge.therapies if therapies is None else therapies
        documented = patient_axioms(self.knowledge, facts, Reading.DOCUMENTED, asked, closed=False)
        types = self._types(self._entailing, documented.graph)
        patient_types = types[documented.patient]
        refuted = self._refute(facts, documented.linked, chosen, asked, types, documented)
        reached = self._reached(documented, chosen, types)
        excluded = self._excluded(facts, policy, asked)
        standings = {}
        for guideline, therapy in product(chosen, asked):
            entailed = types[documented.options[therapy.iri]]
            steps_met = reached[documented.options[therapy.iri]]
            concerned = {s.iri for s in self.knowledge.contraindications_of(therapy)}
            standings[guideline.code, therapy.iri] = Standing(
                in_scope=_truth(guideline.scope in patient_types, str(guideline.scope) in refuted.patient),
                indicated=_truth(guideline.indicated in entailed, refuted.by_patient(guideline.indicated, therapy)),
                recommended_against=_truth(
                    guideline.recommended_against in entailed,
                    refuted.by_patient(guideline.recommended_against, therapy)
                    and refuted.option(guideline.recommended_against, therapy),
                ),
                contraindicated=_truth(NXL.ContraindicatedOption in entailed, concerned <= excluded),
                exhausted=_truth(guideline.exhausted in entailed, refuted.option(guideline.exhausted, therapy)),
                in_use=guideline.in_use in entailed or (guideline.in_use, therapy.iri) in refuted.entailed,
                but_for_steps=guideline.indicated in steps_met,
            )
        return ReferenceEvaluation(
            standings,
            {t: types[iri] | refuted.types(t) for t, iri in documented.options.items()},
            patient_types,
            tuple(types[c] for c in documented.courses),
        )

    def narrowed(self, guideline: Guideline, left_out: Iterable[URIRef] = ()) -> ReferenceEngine:
        """The engine over what one guideline and all labels say, without some statements: much less to reason over."""
        dropped = frozenset(left_out)
        if len(self.knowledge.guidelines) == 1 and not dropped:
            return self
        with self._narrowing:
            return self._narrowed(guideline.iri, dropped)

    def _narrow(self, guideline: URIRef, dropped: frozenset[URIRef]) -> ReferenceEngine:
        gc.disable()  # nothing of this is garbage, and looking it through again and again holds up every other thread
        try:
            graph = narrowed(self.knowledge.graph, {guideline}, dropped)
            return ReferenceEngine(Knowledge(graph), closure_of(graph), deadline_seconds=self.deadline_seconds)
        finally:
            gc.enable()

    def entails(self, facts: PatientFacts, therapy: Therapy, option_class: URIRef) -> bool:
        """Whether the option of a therapy certainly belongs to a class: the contrary has no model.

        HermiT's list of the types of an individual is not complete: it was seen to leave out that an option repeats an
        unsuccessful course, beside that very type of the course. Whether axioms have a model it answers reliably.
        """
        documented = patient_axioms(self.knowledge, facts, Reading.DOCUMENTED, (therapy,), closed=False)
        contrary = Graph()
        contrary.add((documented.options[therapy.iri], RDF.type, _complement(contrary, option_class)))
        asked = documented.graph + contrary
        return not reason(asked, beside=self._entailing, deadline_seconds=self.deadline_seconds).consistent

    def _reached(
        self, documented: PatientAxioms, guidelines: tuple[Guideline, ...], types: Mapping[URIRef, frozenset[URIRef]]
    ) -> Mapping[URIRef, frozenset[URIRef]]:
        """The classes of each option if all steps of the guidelines were met; asked only where it can matter."""
        options = documented.options.values()
        if all(g.indicated in types[option] for g in guidelines for option in options):
            return types
        met = Graph()
        met += ((documented.patient, RDF.type, step) for g in guidelines for step in g.steps)
        return self._types(self._entailing, documented.graph + met)

    def _excluded(self, facts: PatientFacts, policy: Policy, therapies: tuple[Therapy, ...]) -> frozenset[URIRef]:
        """The contraindications that the reasoner excludes under the policy.

        What a contraindication asks of the patient does not depend on the option, so the patient alone is asked, with a
        probe for each: whoever belongs to it cannot meet what the contraindication asks.
        """
        statements = {s.iri: s for t in therapies for s in self.knowledge.contraindications_of(t)}
        probes = _Probes(self.knowledge.graph)
        for iri, statement in sorted(statements.items()):
            probes.patient(statement.patient_key, patient_conditions(self.knowledge.graph, iri))
        untried = replace(self._within_window(facts), courses=(), judgements=())
        asked = patient_axioms(self.knowledge, untried, Reading.of(policy), ())
        types = self._types(self._forbidding, asked.graph + probes.graph)[asked.patient]
        return frozenset(i for i, s in statements.items() if probes.patient_probes[s.patient_key] in types)

    def _within_window(self, facts: PatientFacts) -> PatientFacts:
        """The facts without the medications that ended before the longest wash-out that any statement asks about."""
        window = self.knowledge.longest_wash_out_days
        recent = tuple(m for m in facts.medications if m.days_since_last is None or m.days_since_last <= window)
        return replace(facts, medications=recent)

    def _types(self, ontology: str, axioms: Graph) -> dict[URIRef, frozenset[URIRef]]:
        """All classes of each individual by an ontology and further axioms.

        The reasoner names the most specific classes that it adds, its hierarchy gives those above them and above the
        stated ones. Raises ContradictoryRecord.
        """
        inference = reason(axioms, beside=ontology, deadline_seconds=self.deadline_seconds)
        if not inference.consistent:
            raise ContradictoryRecord(
                "patient",
                "the record cannot be true as a whole.",
                "Look for findings that exclude each other, such as by sex.",
            )
        hierarchy = self.knowledge.taxonomy.extended(Taxonomy.edges_of(inference.triples))
        added = ((URIRef(s), URIRef(o)) for s, p, o in inference.triples if p == str(RDF.type))
        stated = ((s, o) for s, o in axioms.subject_objects(RDF.type) if isinstance(o, URIRef) and o not in OWL)
        found: dict[URIRef, set[URIRef]] = {}
        for individual, type_ in (*added, *stated):
            if isinstance(individual, URIRef):
                found.setdefault(individual, set()).update(hierarchy.above(type_))
        return _Defaulting({individual: frozenset(classes) for individual, classes in found.items()})

    def _group(self, step: URIRef) -> tuple[WholeClassTherapy, frozenset[URIRef]]:
        """The whole-class therapy that a branch of a step asks about, and the kinds of option that have to apply to it."""
        graph = self.knowledge.graph
        fillers = (
            graph.value(part, OWL.someValuesFrom)
            for part in conjuncts(graph, step)
            if graph.value(part, OWL.onProperty) == NXL.hasOption
        )
        heads = (head for f in fillers for head in graph.objects(f, OWL.intersectionOf))
        named = {URIRef(str(member)) for head in heads for member in graph.items(head)}
        helper = next(h for h in self.knowledge.whole_class_therapies if h.iri in named)
        return helper, frozenset(named - {helper.iri, NXL.TherapyOption})

    def _excluded_groups(self, facts: PatientFacts, entailed: frozenset[URIRef]) -> frozenset[URIRef]:
        """The branches of steps that certainly do not hold of a group as a whole: some member of it is certainly usable.

        The reasoner tells which contraindications and intolerances of the members are excluded by what is documented.
        """
        groups = {step: group for step, group in self._option_steps.items() if step not in entailed}
        members = {m for helper, _ in groups.values() for m in helper.members}
        probes = _Probes(self.knowledge.graph)
        for statement in {s.iri: s for m in members for s in self.knowledge.contraindications_of(m)}.values():
            probes.patient(statement.patient_key, patient_conditions(self.knowledge.graph, statement.iri))
        for substance in {used for m in members for used in m.uses}:
            conditions = patient_conditions(self._members, intolerance_of(substance))
            probes.patient(str(substance), conditions, self._members)
        documented = patient_axioms(
            self.knowledge, replace(self._within_window(facts), judgements=()), Reading.DOCUMENTED, ()
        )
        types = self._types(self._forbidding, documented.graph + probes.graph)[documented.patient]
        excluded = {key for key, probe in probes.patient_probes.items() if probe in types}
        spared: dict[URIRef, Callable[[Therapy], bool]] = {
            NXL.ContraindicatedOption: lambda m: all(
                s.patient_key in excluded for s in self.knowledge.contraindications_of(m)
            ),
            NXL.JudgedUnsuitableOption: lambda m: (
                not any(
                    self.knowledge.interventions.is_a(used, j.intervention) for used in m.uses for j in facts.judgements
                )
            ),
            NXL.SubstanceNotToleratedOption: lambda m: all(str(used) in excluded for used in m.uses),
        }
        return frozenset(
            step
            for step, (helper, kinds) in groups.items()
            if any(
                all(spared[part](member) for part in (spared if kind == NXL.UnusableOption else (kind,)))
                for member in helper.members
                for kind in kinds
            )
        )

    def _refute(
        self,
        facts: PatientFacts,
        linked: frozenset[URIRef],
        guidelines: tuple[Guideline, ...],
        therapies: tuple[Therapy, ...],
        types: Mapping[URIRef, frozenset[URIRef]],
        entailed: PatientAxioms,
    ) -> _Refuted:
        """Ask the reasoner which of the conditions that are not entailed are excluded.

        What holds of a group as a whole is asked first, and stated when trials are asked about: both at once would have
        the reasoner try every member of every group with every reading of every course. What stays open of a group is
        left open. Only the options of `linked` therapies can be closed by a course; the others need no asking.
        """
        probes = _Probes(self.knowledge.graph)
        for guideline in guidelines:
            if guideline.scope not in types[entailed.patient]:
                probes.patient(str(guideline.scope), [guideline.scope])
            for kind in (guideline.indicated, guideline.recommended_against):
                for statement in self.knowledge.statements_below(kind):
                    if statement.patient_key and not any(
                        statement.iri in types[option] for option in entailed.options.values()
                    ):
                        probes.patient(statement.patient_key, patient_conditions(self.knowledge.graph, statement.iri))
            for kind in (guideline.recommended_against, guideline.exhausted):
                probes.option(kind)
        tried = tuple(t for t in therapies if t.iri in linked)
        documented = patient_axioms(self.knowledge, self._within_window(facts), Reading.DOCUMENTED, tried)
        for step in self._option_steps.keys() & types[entailed.patient]:
            documented.graph.add((documented.patient, RDF.type, step))
        for step in self._excluded_groups(facts, types[entailed.patient]):
            documented.graph.add((documented.patient, RDF.type, _complement(documented.graph, step)))
        found = self._types(self._trials, documented.graph + probes.graph)
        patient = {key for key, probe in probes.patient_probes.items() if probe in found[documented.patient]}
        options = {
            (kind, t.iri)
            for kind, probe in probes.option_probes.items()
            for t in therapies
            if t.iri not in linked or probe in found[documented.options[t.iri]]
        }
        in_use = frozenset(c for g in guidelines for c in self.knowledge.stated.below(g.in_use))
        held = frozenset((c, t.iri) for t in tried for c in in_use & found[documented.options[t.iri]])
        return _Refuted(self.knowledge, frozenset(patient), frozenset(options), held)


class _Defaulting(dict[URIRef, frozenset[URIRef]]):
    def __missing__(self, key: URIRef) -> frozenset[URIRef]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class _Refuted:
    """What is excluded: keys of conditions on the patient, and classes by therapy.

    `entailed` are classes of options in use, by therapy: that a trial is not yet adequate is entailed only here, where
    what is not documented is denied.
    """

    knowledge: Knowledge
    patient: frozenset[str]
    options: frozenset[tuple[URIRef, URIRef]]
    entailed: frozenset[tuple[URIRef, URIRef]]

    def types(self, therapy: URIRef) -> frozenset[URIRef]:
        return frozenset(kind for kind, of in self.entailed if of == therapy)

    def by_patient(self, kind: URIRef, therapy: Therapy) -> bool:
        """Whether the patient meets none of the statements of a kind that concern a therapy and ask something of patients."""
        concerned = (
            s
            for s in self.knowledge.statements_below(kind)
            if s.patient_key and s.concerns(therapy, self.knowledge.taxonomy)
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

    def patient(self, key: str, conditions: Iterable[Node], source: Graph | None = None) -> None:
        if key not in self.patient_probes:
            self.patient_probes[key] = NXL[f"probe/patient-{len(self.patient_probes)}"]
            told = self._source if source is None else source
            self._define(self.patient_probes[key], NXL.Patient, [self._copy(c, told) for c in conditions])

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

    def _copy(self, node: Node, source: Graph) -> Node:
        if isinstance(node, URIRef | Literal):
            return node
        copy = BNode()
        for predicate, value in source.predicate_objects(node):
            self.graph.add((copy, predicate, self._copy(value, source)))
        return copy


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
