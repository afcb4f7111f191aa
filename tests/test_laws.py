"""The laws of a verdict, for every standing, statement and finding, and for records that nobody thought of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rdflib import OWL, URIRef
from rdflib.term import Node

from kg.abox import Reading, patient_axioms
from kg.answer import Answerer
from kg.canonical import content_hash
from kg.errors import ContradictoryRecord
from kg.facts import PatientFacts, Policy, Sex
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.reading import read_record
from kg.request import parse_request
from kg.sources import Sources
from kg.statements import patient_conditions
from kg.verdicts import Standing, Status
from kg.vocabulary import Vocabulary
from tests.judging import answerer_of, judge_statement, judge_therapies

DAY = date(2026, 11, 22)
TRUTHS = (True, False, None)
STANDINGS = [Standing(s, i, a, c, x) for s, i, a, c, x in product(TRUTHS, repeat=5)]
Record = dict[str, Any]
law = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


# --- the table ----------------------------------------------------------------------------------------------------


def completions(standing: Standing) -> list[Standing]:
    """What a standing may turn out to be once everything is known."""
    values = (
        standing.in_scope,
        standing.indicated,
        standing.recommended_against,
        standing.contraindicated,
        standing.exhausted,
    )
    known = product(*((True, False) if value is None else (value,) for value in values))
    return [Standing(s, i, a, c, x) for s, i, a, c, x in known]


def test_eligible_means_that_all_five_are_known_and_favourable() -> None:
    assert [s for s in STANDINGS if s.status is Status.ELIGIBLE] == [Standing(True, True, False, False, False)]


def test_a_contraindication_goes_before_everything() -> None:
    assert {s.status for s in STANDINGS if s.contraindicated} == {Status.CONTRAINDICATED}


def test_unknown_is_never_no() -> None:
    """Conditional means that something is unknown, and what is unknown never makes an option eligible."""
    for standing in STANDINGS:
        known = completions(standing) == [standing]
        if standing.status is Status.CONDITIONAL:
            assert not known
        if known:
            assert standing.status is not Status.CONDITIONAL


def test_what_is_closed_is_not_opened_by_learning_more() -> None:
    for standing in STANDINGS:
        if standing.status not in (Status.ELIGIBLE, Status.CONDITIONAL):
            assert Status.ELIGIBLE not in {known.status for known in completions(standing)}


# --- both hierarchies ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def stated(sources: Sources) -> Knowledge:
    """The ontology as it is authored, without the reasoner."""
    return Knowledge(sources.graph)


@pytest.fixture(scope="session")
def judge(stated: Knowledge) -> Answerer:
    """The compiled engine over the ontology as it is authored."""
    return answerer_of(stated)


@pytest.fixture(scope="session")
def vocabulary(stated: Knowledge) -> Vocabulary:
    return Vocabulary(stated)


def patient(**facts: Any) -> PatientFacts:
    nothing = PatientFacts(DAY, None, Sex.UNKNOWN, (), (), (), (), (), False, (), ())
    return replace(nothing, **facts)


def findings_named_in(knowledge: Knowledge, node: Node) -> set[URIRef]:
    """The findings of an expression, also through the named classes of patients that it uses."""
    graph = knowledge.graph
    if isinstance(node, URIRef):
        definition = graph.value(node, OWL.equivalentClass)
        branches = knowledge.stated.children(node)
        found = findings_named_in(knowledge, definition) if definition is not None else set()
        return (
            found.union(*(findings_named_in(knowledge, branch) for branch in branches))
            if node != NXL.Patient
            else set()
        )
    if (node, OWL.onProperty, NXL.hasFinding) in graph:
        return {URIRef(str(f)) for f in graph.objects(node, OWL.someValuesFrom)}
    members = (
        m
        for operator in (OWL.intersectionOf, OWL.unionOf)
        for head in graph.objects(node, operator)
        for m in graph.items(head)
    )
    return set().union(*(findings_named_in(knowledge, member) for member in members))


def test_a_contraindication_reaches_down_the_hierarchy_of_findings(stated: Knowledge, judge: Answerer) -> None:
    """Whatever a finding forbids, each narrower finding forbids."""
    statements = stated.statements_below(NXL.ContraindicatedOption)
    truths = {}
    for finding in stated.findings:
        evaluation = judge.engine.evaluate(patient(present=(finding,)), Policy.UNKNOWN, ())
        held = {iri for therapy in stated.therapies for iri in evaluation.held(therapy)}
        truths[finding] = {s.iri for s in statements if s.iri in held}
    assert any(truths.values())
    for finding, held in truths.items():
        for narrower in stated.taxonomy.children(finding):
            assert held <= truths[narrower], f"{finding} forbids more than {narrower}"


@pytest.mark.parametrize("policy", Policy)
def test_a_contraindication_never_reaches_up_the_hierarchy_of_findings(
    stated: Knowledge, judge: Answerer, policy: Policy
) -> None:
    """A broader finding neither forbids nor allows: it leaves the narrower one open, whatever silence means."""
    checked = 0
    for statement in stated.statements_below(NXL.ContraindicatedOption):
        named = {f for c in patient_conditions(stated.graph, statement.iri) for f in findings_named_in(stated, c)}
        broader = {b for f in named for b in stated.taxonomy.above(f) if b in stated.findings}
        for finding in broader - {b for f in named for b in stated.taxonomy.below(f)}:
            truth = judge_statement(judge, patient(present=(finding,)), policy, statement.iri).truth
            assert truth is None, f"{statement.label} is {truth} for {finding}"
            checked += 1
    assert checked > 100


def test_a_contraindication_reaches_down_the_hierarchy_of_substances_and_into_combinations(stated: Knowledge) -> None:
    """An option inherits what is said of each group above each of its substances, and nothing else."""
    for statement in stated.statements_below(NXL.ContraindicatedOption):
        for therapy in stated.therapies:
            above = {group for used in therapy.uses for group in stated.taxonomy.above(used)}
            assert (statement in stated.contraindications_of(therapy)) is (set(statement.groups) <= above)


def test_a_combination_inherits_the_contraindications_of_all_its_parts(stated: Knowledge) -> None:
    alone = {therapy.uses: {s.iri for s in stated.contraindications_of(therapy)} for therapy in stated.therapies}
    for therapy in stated.therapies:
        for used in therapy.uses:
            assert alone.get((used,), set()) <= alone[therapy.uses]


def test_only_those_who_can_be_pregnant_are_asked(stated: Knowledge, sources: Sources) -> None:
    """With a drug forbidden in pregnancy, a man is not asked about it, and a woman is, even where silence means absence."""
    graph = sources.graph.parse(data=FORBIDDEN_IN_PREGNANCY, format="turtle")
    answerer = answerer_of(Knowledge(graph))
    for policy in Policy:
        asked = {
            sex: judge_statement(answerer, patient(sex=sex), policy, NXL.GabapentinoidInPregnancy).missing
            for sex in (Sex.MALE, Sex.FEMALE)
        }
        assert not asked[Sex.MALE]
        assert {local_name(m.term) for m in asked[Sex.FEMALE]} == {"Pregnancy"}


FORBIDDEN_IN_PREGNANCY = """
@prefix nxl: <https://w3id.org/nextline/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
nxl:GabapentinoidInPregnancy a owl:Class ;
    rdfs:subClassOf nxl:ContraindicatedOption ;
    nxl:statement "An invented statement."@en ;
    owl:equivalentClass [ a owl:Class ; owl:intersectionOf ( nxl:TherapyOption
        [ a owl:Restriction ; owl:onProperty nxl:uses ; owl:someValuesFrom nxl:Gabapentinoid ]
        [ a owl:Restriction ; owl:onProperty nxl:forPatient ; owl:someValuesFrom
            [ a owl:Restriction ; owl:onProperty nxl:hasFinding ; owl:someValuesFrom nxl:Pregnancy ] ] ) ] .
"""


# --- records that nobody thought of -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def records(stated: Knowledge) -> st.SearchStrategy[Record]:
    """Any record that the contract allows, over everything that the ontology names; the sex is left open."""
    findings = sorted(local_name(f) for f in stated.findings)
    substances = sorted(local_name(s) for s in stated.interventions.below(NXL.Intervention) - {NXL.Intervention})
    days = st.dates(date(2026, 1, 1), DAY).map(str)
    finding = st.fixed_dictionaries({"code": st.sampled_from(findings)})
    absent = st.fixed_dictionaries({"code": st.sampled_from(findings), "status": st.just("absent")})
    medication = st.fixed_dictionaries({"code": st.sampled_from(substances)}, optional={"stopped": days})
    measurement = st.fixed_dictionaries(
        {
            "code": st.just("EstimatedGFR"),
            "value": st.integers(5, 120),
            "unit": st.just("mL/min/{1.73_m2}"),
            "date": days,
        }
    )
    outcome = st.sampled_from(
        ["inadequate-relief", "not-tolerated", "lost-effect", "effective", "stopped-other-reason", "unknown"]
    )
    course = st.fixed_dictionaries(
        {"substances": st.lists(st.sampled_from(substances), min_size=1, max_size=2, unique=True), "outcome": outcome},
        optional={"weeks": st.integers(0, 20), "end": days, "reachedTherapeuticDose": st.booleans()},
    )
    record: st.SearchStrategy[Record] = st.fixed_dictionaries(
        {
            "findings": st.lists(finding, min_size=1, max_size=6),
            "medications": st.lists(medication, max_size=4),
            "measurements": st.lists(measurement, max_size=1),
            "courses": st.lists(course, max_size=3),
        },
        optional={"ageYears": st.integers(0, 100)},
    )

    def with_absences(record: Record, absences: list[Record]) -> Record:
        return record | {"findings": [*record["findings"], *absences]}

    return st.builds(with_absences, record, st.lists(absent, max_size=2))


Read = Callable[[Record], PatientFacts]


@pytest.fixture(scope="session")
def read(stated: Knowledge, vocabulary: Vocabulary) -> Read:
    def facts_of(record: Record) -> PatientFacts:
        request = parse_request(json.dumps({"asOf": str(DAY), "patient": record}))
        try:
            return read_record(stated, vocabulary, request, DAY).facts
        except ContradictoryRecord:
            assume(False)
            raise

    return facts_of


@law
@given(data=st.data())
def test_adding_a_fact_never_lifts_a_contraindication(
    data: st.DataObject, records: st.SearchStrategy[Record], judge: Answerer, read: Read
) -> None:
    record, more = data.draw(records), data.draw(records)
    kind = data.draw(st.sampled_from(["findings", "courses", "medications"]))
    current = [entry for entry in more[kind] if entry.get("status") != "absent" and "stopped" not in entry]
    larger = record | {kind: record[kind] + current}
    before, after = read(record), read(larger)
    for policy in Policy:
        now = judge_therapies(judge, after, policy)
        for therapy, judgement in judge_therapies(judge, before, policy).items():
            if judgement.truth:
                assert now[therapy].truth is True, therapy.iri


@law
@given(data=st.data())
def test_forgetting_a_fact_never_allows_what_it_forbade(
    data: st.DataObject, records: st.SearchStrategy[Record], judge: Answerer, read: Read
) -> None:
    """Where silence is unknown and the medications are open."""
    record = data.draw(records)
    kind = data.draw(st.sampled_from(["findings", "measurements", "medications", "courses", "ageYears"]))
    forbidden = {t for t, judgement in judge_therapies(judge, read(record), Policy.UNKNOWN).items() if judgement.truth}
    if kind == "ageYears":
        smaller = [{name: value for name, value in record.items() if name != kind}]
    else:
        present = [i for i, entry in enumerate(record[kind]) if entry.get("status") != "absent"]
        smaller = [record | {kind: record[kind][:i] + record[kind][i + 1 :]} for i in present]
    for fewer in smaller:
        if fewer["findings"]:
            now = judge_therapies(judge, read(fewer), Policy.UNKNOWN)
            assert all(now[therapy].truth is not False for therapy in forbidden)


@law
@given(data=st.data())
def test_what_is_assumed_absent_is_the_only_difference_between_the_policies(
    data: st.DataObject, records: st.SearchStrategy[Record], judge: Answerer, read: Read
) -> None:
    facts = read(data.draw(records))
    unknown, absent = (judge_therapies(judge, facts, policy) for policy in (Policy.UNKNOWN, Policy.ABSENT))
    for therapy, judgement in unknown.items():
        assert judgement.truth is None or judgement.truth is absent[therapy].truth
        assert (judgement.truth is None) is bool(judgement.missing) or judgement.truth is not None


@settings(law, max_examples=25)
@given(data=st.data())
def test_the_order_of_input_never_matters(
    data: st.DataObject, records: st.SearchStrategy[Record], stated: Knowledge, read: Read
) -> None:
    record = data.draw(records)
    shuffled = {
        name: data.draw(st.permutations(value)) if isinstance(value, list) else value for name, value in record.items()
    }
    one, other = (without_places(read(r)) for r in (record, shuffled))
    assert one == other
    reading = data.draw(st.sampled_from(Reading))
    some = stated.therapies[:3]
    hashes = {content_hash(patient_axioms(stated, facts, reading, some).graph) for facts in (one, other)}
    assert len(hashes) == 1


def without_places(facts: PatientFacts) -> PatientFacts:
    """The facts without the place of each course in its request, which only serves to point at it."""
    return replace(facts, courses=tuple(replace(course, source_index=0) for course in facts.courses))
