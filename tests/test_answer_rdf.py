"""The answer as RDF: it says what the JSON says, can be asked by SPARQL, and tells where it comes from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rdflib import DCTERMS, OWL, PROV, RDF, RDFS, BNode, Graph, Literal, URIRef
from rdflib.compare import isomorphic

from kg.answer_rdf import answer_graph, serialise_answer
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.store import ResultFormat
from tests.conftest import ONTOLOGY, Ask

EXAMPLES = sorted(path.stem for path in (ONTOLOGY / "examples").glob("*.json"))

ELIGIBLE = """SELECT ?option ?statement ?source WHERE {
  ?option a nxl:TherapyOption ; nxl:standing ?standing .
  ?standing nxl:status "eligible" .
  ?option nxl:standing?/nxl:because/nxl:about ?statement .
  ?statement dcterms:source ?source . }"""


def request_of(example: str) -> dict[str, Any]:
    document = json.loads((ONTOLOGY / "examples" / f"{example}.json").read_text(encoding="utf-8"))
    request: dict[str, Any] = document["request"]
    return request


@pytest.fixture(scope="module")
def answers(ask: Ask) -> dict[str, dict[str, Any]]:
    return {example: ask(request_of(example)) for example in EXAMPLES}


@pytest.fixture(scope="module")
def graphs(answers: dict[str, dict[str, Any]], knowledge: Knowledge) -> dict[str, Graph]:
    return {example: answer_graph(answer, knowledge) for example, answer in answers.items()}


def option_iri(graph: Graph, option: dict[str, Any]) -> URIRef:
    """The individual of an option, found by what it is."""
    (iri,) = graph.subjects(RDF.type, URIRef(option["therapy"]["iri"]))
    return URIRef(str(iri))


def local_names(values: Any) -> set[str]:
    return {local_name(str(value)) for value in values}


@pytest.mark.parametrize("example", EXAMPLES)
def test_eligible_options_with_statements_and_sources_can_be_asked_for(
    answers: dict[str, dict[str, Any]], graphs: dict[str, Graph], example: str
) -> None:
    answer, graph = answers[example], graphs[example]
    found = {(str(o), str(s), local_name(str(r))) for o, s, r in graph.query(ELIGIBLE, initNs={"nxl": NXL})}  # type: ignore[misc]
    expected = {
        (str(option_iri(graph, option)), reason["statement"], source["id"])
        for option in answer["options"]
        for row in option["guidelines"]
        if row["status"] == "eligible"
        for reason in (*option["because"], *row["because"])
        for source in reason["source"]
    }
    assert found == expected


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_option_says_in_rdf_what_it_says_in_json(
    answers: dict[str, dict[str, Any]], graphs: dict[str, Graph], knowledge: Knowledge, example: str
) -> None:
    answer, graph = answers[example], graphs[example]
    for position, option in enumerate(answer["options"], start=1):
        iri = option_iri(graph, option)
        types = set(graph.objects(iri, RDF.type))
        held = {str(t) for t in types & knowledge.statements.keys()}
        assert NXL.TherapyOption in types
        assert held == {reason["statement"] for part in (option, *option["guidelines"]) for reason in part["because"]}
        assert graph.value(iri, NXL.agreement) == Literal(option["agreement"])
        assert graph.value(iri, NXL.inUse) == Literal(option["inUse"])
        assert graph.value(iri, NXL.rank) == Literal(position)
        assert len(set(graph.objects(iri, NXL.assumedAbsent))) == len(option["assumedAbsent"])
        tells_the_same(graph, iri, option)
        standings = {str(graph.value(s, NXL.guideline)): s for s in graph.objects(iri, NXL.standing)}
        assert len(standings) == len(option["guidelines"])
        for row in option["guidelines"]:
            guideline = knowledge.guidelines[row["guideline"]]
            standing = URIRef(str(standings[str(guideline.iri)]))
            assert (guideline.eligible in types) is (row["status"] == "eligible")
            assert graph.value(standing, NXL.status) == Literal(row["status"])
            assert knowledge.individual_code(graph.value(standing, NXL.line)) == row["line"]  # type: ignore[arg-type]
            strength = knowledge.individual_code(graph.value(standing, NXL.strength))  # type: ignore[arg-type]
            assert strength == row["strength"]
            assert {str(s) for s in graph.objects(standing, NXL.unmetStep)} == {s["step"] for s in row["unmetSteps"]}
            assert len(set(graph.objects(standing, NXL.alternative))) == len(row["alternatives"])
            tells_the_same(graph, standing, row)


def tells_the_same(graph: Graph, iri: URIRef, told: dict[str, Any]) -> None:
    """What is missing, and what closes an option or its standing."""
    labels = {str(graph.value(m, RDFS.label)) for m in graph.objects(iri, NXL.missing)}
    assert labels == {missing["fact"]["label"] for missing in told["missing"]}
    rejected = {r["statement"] for r in told["whyNot"] if "statement" in r}
    assert {str(s) for s in graph.objects(iri, NXL.rejectedBy)} == rejected


def test_a_reason_ends_in_facts_of_the_record(
    answers: dict[str, dict[str, Any]], graphs: dict[str, Graph], knowledge: Knowledge
) -> None:
    answer, graph = answers["renal-impairment"], graphs["renal-impairment"]
    for option in answer["options"]:
        iri = option_iri(graph, option)
        reasons = [r for of in (iri, *graph.objects(iri, NXL.standing)) for r in graph.objects(of, NXL.because)]
        for reason in reasons:
            statement = str(graph.value(reason, NXL.about))
            parts = (option, *option["guidelines"])
            (told,) = (r for part in parts for r in part["because"] if r["statement"] == statement)
            places = {str(p) for f in graph.objects(reason, PROV.wasDerivedFrom) for p in graph.objects(f, NXL.locator)}
            assert places == {fact["place"] for fact in told["facts"] if fact.get("place")}
    (measured,) = (f for f in graph.subjects(NXL.kind, Literal("measurement")) if isinstance(f, URIRef))
    assert graph.value(measured, RDF.value) == Literal(20.0)
    assert graph.value(measured, NXL.about) in knowledge.quantities


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_terms_of_an_answer_are_terms_of_the_ontology(
    graphs: dict[str, Graph], knowledge: Knowledge, example: str
) -> None:
    declared = {str(s) for s in knowledge.graph.subjects(RDF.type, None)}
    apart = ("answers/", "records/", "software/", "releases/")
    own = {str(t) for triple in graphs[example] for t in triple if isinstance(t, URIRef) and t.startswith(str(NXL))}
    assert sorted(t for t in own - declared if not t.removeprefix(str(NXL)).startswith(apart)) == []


def test_an_answer_tells_where_it_comes_from(answers: dict[str, dict[str, Any]], graphs: dict[str, Graph]) -> None:
    answer, graph = answers["second-line-failed"], graphs["second-line-failed"]
    (activity,) = graph.subjects(RDF.type, PROV.Activity)
    (iri,) = graph.subjects(PROV.wasGeneratedBy, activity)
    (agent,) = graph.objects(activity, PROV.wasAssociatedWith)
    used = set(graph.objects(activity, PROV.used))
    knowledge = URIRef(answer["knowledge"]["versionIri"])
    assert (iri, RDF.type, PROV.Entity) in graph
    assert (agent, RDF.type, PROV.SoftwareAgent) in graph and graph.value(agent, OWL.versionInfo)
    assert knowledge in used
    identifiers = {str(graph.value(entity, DCTERMS.identifier)) for entity in used}
    assert identifiers == {f"sha256:{answer['knowledge']['contentHash']}", f"sha256:{answer['inputHash']}"}
    assert graph.value(iri, NXL.asOf, any=False) == Literal(date.fromisoformat(answer["asOf"]))
    assert str(graph.value(iri, NXL.disclaimer)) == answer["notice"]
    sources = {
        s["id"] for o in answer["options"] for p in (o, *o["guidelines"]) for r in p["because"] for s in r["source"]
    }
    assert sources <= local_names(graph.objects(iri, PROV.wasDerivedFrom))
    assert {str(graph.value(p, NXL.forPatient)) for p in graph.subjects(RDF.type, NXL.TherapyOption)} == {
        f"{iri}/patient"
    }


def test_the_patient_is_in_the_classes_of_the_steps_that_are_met(
    answers: dict[str, dict[str, Any]], graphs: dict[str, Graph]
) -> None:
    for example, answer in answers.items():
        (patient,) = graphs[example].subjects(RDF.type, NXL.Patient)
        types = {str(t) for t in graphs[example].objects(patient, RDF.type)}
        assert {s["step"] for s in answer["steps"] if s["met"]} <= types
        assert not {s["step"] for s in answer["steps"] if not s["met"]} & types


def test_the_record_is_named_by_its_hash_and_the_patient_only_if_the_request_does(
    ask: Ask, knowledge: Knowledge
) -> None:
    request = request_of("renal-impairment")
    named = answer_graph(ask(request), knowledge)
    (patient,) = named.subjects(RDF.type, NXL.Patient)
    assert named.value(patient, DCTERMS.identifier) == Literal(request["patient"].pop("id"))
    unnamed = answer_graph(ask(request), knowledge)
    (patient,) = unnamed.subjects(RDF.type, NXL.Patient)
    assert unnamed.value(patient, DCTERMS.identifier) is None


def test_patients_read_the_lay_text(ask: Ask, knowledge: Knowledge) -> None:
    request = request_of("renal-impairment") | {"audience": "patient"}
    answer = ask(request)
    graph = answer_graph(answer, knowledge)
    reasons = [r for option in answer["options"] for part in (option, *option["guidelines"]) for r in part["because"]]
    assert reasons
    for reason in reasons:
        assert str(graph.value(URIRef(reason["statement"]), NXL.layStatement)) == reason["text"]
        assert (URIRef(reason["statement"]), NXL.statement, None) not in graph


def test_what_could_not_be_used_is_told(ask: Ask, knowledge: Knowledge) -> None:
    request = request_of("renal-impairment")
    request["patient"]["findings"].append({"code": "SNOMED:1"})
    graph = answer_graph(ask(request), knowledge)
    (issue,) = graph.objects(None, NXL.inputIssue)
    assert graph.value(issue, NXL.kind) == Literal("unmapped-code")
    assert str(graph.value(issue, NXL.locator)) == f"patient.findings.{len(request['patient']['findings']) - 1}.code"


@pytest.mark.parametrize("example", EXAMPLES)
def test_both_formats_say_the_same(
    answers: dict[str, dict[str, Any]], graphs: dict[str, Graph], knowledge: Knowledge, example: str
) -> None:
    turtle, json_ld = (
        Graph().parse(data=serialise_answer(answers[example], knowledge, format_), format=name)
        for format_, name in ((ResultFormat.TURTLE, "turtle"), (ResultFormat.JSON_LD, "json-ld"))
    )
    assert isomorphic(turtle, json_ld)
    assert isomorphic(turtle, graphs[example])
    assert not [t for triple in turtle for t in triple if isinstance(t, BNode)]


def test_the_same_record_gives_the_same_bytes_whatever_the_process(tmp_path: Path, build_folder: Path) -> None:
    record = tmp_path / "patient.json"
    record.write_text(json.dumps(request_of("second-line-failed")), encoding="utf-8")
    command = [sys.executable, "-m", "api.cli", "evaluate", str(record), "--build", str(build_folder)]
    for format_ in ("turtle", "json-ld"):
        written = {
            subprocess.run(
                [*command, "--format", format_],
                env={**os.environ, "PYTHONHASHSEED": seed},
                cwd=ONTOLOGY.parent,
                check=True,
                capture_output=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(written) == 1
        assert Graph().parse(data=written.pop(), format=format_)


def test_another_day_is_another_answer_about_the_same_record(ask: Ask, knowledge: Knowledge) -> None:
    answer = ask(request_of("renal-impairment"))
    one, other = (answer_graph({**answer, "asOf": day}, knowledge) for day in ("2026-11-22", "2026-11-23"))
    names = [set(graph.subjects(PROV.wasGeneratedBy, None)) for graph in (one, other)]
    assert not names[0] & names[1]
