"""Holding the two engines against each other: the same patient, every option, everything that a status is read from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from rdflib import URIRef

from kg.answer import Answerer
from kg.compiled import CompiledEngine, CompiledEvaluation
from kg.errors import ContradictoryRecord, InvalidRecord, ReasonerTimeout
from kg.facts import PatientFacts, Policy
from kg.guidelines import Guideline
from kg.namespaces import local_name
from kg.reference import ReferenceEngine
from kg.request import EligibilityRequest, parse_request
from kg.selection import Selection
from kg.therapies import Therapy
from kg.verdicts import Standing

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the two engines see differently; `aspect` is a field of the standing, or `statements`."""

    guideline: str
    therapy: str
    aspect: str
    compiled: str
    reference: str

    def __str__(self) -> str:
        return f"{self.therapy} by {self.guideline}: {self.aspect} is {self.compiled}, by HermiT {self.reference}"


@dataclass(frozen=True, slots=True)
class Verification:
    """How many options were compared, and what differs."""

    options: int
    differences: tuple[Difference, ...]


def verify(
    compiled: CompiledEngine,
    reference: ReferenceEngine,
    facts: PatientFacts,
    policy: Policy,
    selection: Selection,
    therapies: tuple[Therapy, ...] = (),
) -> Verification:
    """Let HermiT derive the verdicts of a patient anew and compare them: every truth value, status and statement.

    Each guideline is derived by itself, beside what holds for all. Without `therapies`, all of them. Raises
    ContradictoryRecord, ReasonerTimeout and ReasonerFailure.
    """
    asked = therapies or compiled.knowledge.therapies
    ours = compiled.evaluate(facts, policy, selection.guidelines, selection.left_out)
    left_out = [s.iri for s in selection.statements_left_out]
    differences: list[Difference] = []
    for guideline in selection.guidelines:
        narrowed = reference.narrowed(guideline, left_out)
        differences += _differences(ours, narrowed, facts, policy, guideline, asked)
    return Verification(len(selection.guidelines) * len(asked), tuple(differences))


def _differences(
    ours: CompiledEvaluation,
    reference: ReferenceEngine,
    facts: PatientFacts,
    policy: Policy,
    guideline: Guideline,
    asked: tuple[Therapy, ...],
) -> Iterator[Difference]:
    """What differs of one guideline, told by a reference engine that knows this one alone."""
    knowledge = reference.knowledge
    told = knowledge.statements.keys()
    theirs = reference.evaluate(facts, policy, [guideline], asked)
    for therapy in asked:
        # What the reasoner did not list it is asked again, in the form that it answers reliably.
        unlisted = (ours.held(therapy) & told) - theirs.option_types[therapy.iri]
        entailed = {c for s in unlisted if reference.entails(facts, therapy, s) for c in knowledge.taxonomy.above(s)}
        if entailed:
            theirs = theirs.with_types(therapy.iri, frozenset(entailed), [guideline])
    for therapy in asked:
        name = local_name(therapy.iri)
        one, other = ours.standing(guideline.code, therapy.iri), theirs.standings[guideline.code, therapy.iri]
        for aspect in _different(one, other):
            yield Difference(guideline.code, name, *aspect)
        held, listed = ours.held(therapy) & told, theirs.option_types[therapy.iri] & told
        if held != listed:
            yield Difference(guideline.code, name, "statements", _names(held - listed), _names(listed - held))
    for step in guideline.steps:
        truth = ours.patient_is(str(step)) is True
        if truth is not (step in theirs.patient_types):
            yield Difference(guideline.code, local_name(step), "step", str(truth), str(not truth))


def _different(one: Standing, other: Standing) -> list[tuple[str, str, str]]:
    """Where two standings differ; `in_use` and `but_for_steps` count as far as they are read."""
    found = []
    for name, value, other_value in zip(Standing._fields, one, other, strict=True):
        ours, theirs = value, other_value
        if name == "but_for_steps" and one.indicated is not False:
            continue
        if name in ("in_use", "but_for_steps"):  # read only where they are true
            ours, theirs = ours is True, theirs is True
        if ours is not theirs:
            found.append((name, str(ours), str(theirs)))
    if one.status is not other.status:
        found.append(("status", one.status.value, other.status.value))
    return found


def _names(terms: frozenset[URIRef]) -> str:
    return ", ".join(sorted(local_name(t) for t in terms)) or "none"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A record on which the engines differ, made as small as it got, with what differs."""

    record: Record
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """What was compared: patients and options, records that contradict themselves, and those HermiT gave up on."""

    patients: int
    options: int
    contradictory: int
    undecided: int
    disagreement: Disagreement | None


class Comparison:
    """Compares the two engines on requests, each read as the service reads it."""

    def __init__(self, answerer: Answerer, reference: ReferenceEngine) -> None:
        self._answerer = answerer
        self._reference = reference

    def of(self, record: Record, *, least_certain: int | None = None) -> Verification:
        """The comparison for one request; with `least_certain`, of no more than that many options, those that are most open.

        Raises InvalidRecord and its kinds, ReasonerTimeout, ReasonerFailure.
        """
        return self.of_request(parse_request(json.dumps(record)), least_certain=least_certain)

    def of_request(
        self, request: EligibilityRequest, *, least_certain: int | None = None, therapies: tuple[Therapy, ...] = ()
    ) -> Verification:
        """The same for a request that is read already."""
        selection = self._answerer.selector.select(request)
        facts = self._answerer.read(request, date.today()).facts
        engine, policy = self._answerer.engine, request.unreported_findings
        asked = therapies or engine.knowledge.therapies
        if least_certain is not None:
            evaluation = engine.evaluate(facts, policy, selection.guidelines, selection.left_out)
            asked = tuple(sorted(asked, key=lambda t: _certainty(evaluation, selection, t)))[:least_certain]
        return verify(engine, self._reference, facts, policy, selection, asked)

    def of_many(
        self,
        records: Iterable[Record],
        report: Callable[[str], None],
        *,
        least_certain: int | None = None,
        workers: int = 1,
    ) -> Tally:
        """Compare request after request until two answers differ; that record is made smaller before it is returned.

        `workers` patients are given to HermiT at a time, a processor core each. Reports after each patient.
        """
        patients = options = contradictory = undecided = 0
        chosen = list(records)
        with ThreadPoolExecutor(workers) as pool:
            under_way = [pool.submit(self.of, record, least_certain=least_certain) for record in chosen]
            for number, (record, comparison) in enumerate(zip(chosen, under_way, strict=True), 1):
                try:
                    found = comparison.result()
                except ContradictoryRecord:
                    contradictory += 1
                    continue
                except ReasonerTimeout:
                    undecided += 1
                    report(f"patient {number} of {len(chosen)}: HermiT gave no answer in time")
                    continue
                patients += 1
                options += found.options
                report(f"patient {number} of {len(chosen)}: {found.options} options compared, {options} in all")
                if found.differences:
                    pool.shutdown(wait=False, cancel_futures=True)
                    report("the engines differ; making the record smaller")
                    smaller = self._smaller(Disagreement(record, found.differences), report)
                    return Tally(patients, options, contradictory, undecided, smaller)
        return Tally(patients, options, contradictory, undecided, None)

    def _smaller(self, current: Disagreement, report: Callable[[str], None]) -> Disagreement:
        """Leave out one part of the record after the other, as long as the engines still differ on the same options."""
        named = {difference.therapy for difference in current.differences}
        therapies = tuple(t for t in self._answerer.knowledge.therapies if local_name(t.iri) in named)
        shrunk = True
        while shrunk:
            shrunk = False
            for candidate in _with_less(current.record):
                differences = self._differences(candidate, therapies)
                if differences:
                    current, shrunk = Disagreement(candidate, differences), True
                    report(f"still differing with {len(json.dumps(candidate))} characters")
                    break
        return current

    def _differences(self, record: Record, therapies: tuple[Therapy, ...]) -> tuple[Difference, ...]:
        try:
            return self.of_request(parse_request(json.dumps(record)), therapies=therapies).differences
        except (InvalidRecord, ReasonerTimeout):
            return ()


def _certainty(evaluation: CompiledEvaluation, selection: Selection, therapy: Therapy) -> tuple[int, str]:
    """How many truth values of an option are known; the IRI decides between equals."""
    values = [value for g in selection.guidelines for value in evaluation.standing(g.code, therapy.iri)]
    return (sum(value is not None for value in values), str(therapy.iri))


def _with_less(record: Record) -> Iterator[Record]:
    """The record without one of its parts: an entry, a field of an entry, or a field of the patient."""
    patient = record["patient"]
    for name, value in patient.items():
        if name != "findings":
            yield {**record, "patient": {k: v for k, v in patient.items() if k != name}}
        if not isinstance(value, list):
            continue
        for position, entry in enumerate(value):
            if name != "findings" or len(value) > 1:
                yield {**record, "patient": {**patient, name: value[:position] + value[position + 1 :]}}
            for field in entry:
                fewer = {k: v for k, v in entry.items() if k != field}
                yield {**record, "patient": {**patient, name: [*value[:position], fewer, *value[position + 1 :]]}}
