"""The two engines against each other: invented patients, and ontologies in which one axiom was changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from rdflib import OWL, RDFS, XSD, BNode, Graph, Literal, URIRef

from kg import closure
from kg.answer import Answerer
from kg.build_folder import open_build
from kg.errors import ContradictoryRecord
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.narrowing import narrowed
from kg.patients import AS_OF, Patients
from kg.reference import ReferenceEngine
from kg.request import parse_request
from kg.sources import Sources
from kg.verdicts import Status
from kg.verification import Comparison
from tests.judging import answerer_of
from tests.serving import ROOT

SEED = 20
IN_GATE = 40


def test_the_engines_agree_on_invented_patients(answerer: Answerer, build_folder: Path) -> None:
    """On the three options of each that are most open; `nextline verify` compares every option of as many as wanted."""
    generated = Patients(answerer.knowledge, answerer.engine.program).generate(SEED)
    hasty = open_build(build_folder, deadline_seconds=30).reference  # what takes longer is left to the command
    told: list[str] = []
    asked = sorted(islice(generated, IN_GATE), key=lambda record: record["guidelines"])
    tally = Comparison(answerer, hasty).of_many(asked, told.append, least_certain=3, workers=2)
    assert tally.disagreement is None, tally.disagreement
    assert tally.patients >= IN_GATE * 0.75, told
    assert tally.options >= 3 * tally.patients


def test_the_same_seed_gives_the_same_patients(build_folder: Path) -> None:
    """Also in processes of their own, in which sets come in another order."""
    program = """
import json, sys
from itertools import islice
from pathlib import Path
from kg.build_folder import open_build
from kg.patients import Patients
answerer = open_build(Path(sys.argv[1])).answerer
patients = Patients(answerer.knowledge, answerer.engine.program)
print(json.dumps(list(islice(patients.generate(int(sys.argv[2])), 30))))
"""
    told = [
        subprocess.run(
            [sys.executable, "-c", program, str(build_folder), seed],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": order},
        ).stdout
        for seed, order in (("20", "1"), ("20", "2"), ("21", "1"))
    ]
    assert told[0] == told[1] != told[2]


def test_invented_patients_meet_every_status(answerer: Answerer) -> None:
    """Else their agreement would show little."""
    generated = Patients(answerer.knowledge, answerer.engine.program).generate(SEED)
    seen = set()
    for record in islice(generated, 400):
        try:
            answer = answerer.answer(parse_request(json.dumps(record)), today=AS_OF)
        except ContradictoryRecord:
            continue
        seen |= {row["status"] for option in answer["options"] for row in option["guidelines"]}
    assert len(seen) == 9


# --- one axiom changed --------------------------------------------------------------------------------------------

Change = Callable[[Graph], None]


def without_a_contraindication(graph: Graph) -> None:
    graph.remove((NXL.TramadolInUncontrolledEpilepsy, RDFS.subClassOf, NXL.ContraindicatedOption))


def with_a_class_moved(graph: Graph) -> None:
    graph.remove((NXL.SevereAsthma, RDFS.subClassOf, NXL.AcuteOrSevereAsthma))
    graph.add((NXL.SevereAsthma, RDFS.subClassOf, NXL.Asthma))


def with_another_bound(graph: Graph) -> None:
    change_bounds(
        graph, NXL.PatientWithSevereRenalImpairmentByEgfr, XSD.maxExclusive, Literal("25.0", datatype=XSD.decimal)
    )


def with_longer_trials(graph: Graph) -> None:
    change_bounds(graph, NXL.SeedAdequateCourse, XSD.minInclusive, Literal(28))


def with_another_group(graph: Graph) -> None:
    """A contraindication of all opioids becomes one of strong opioids."""
    for node in graph.items(definition(graph, NXL.OpioidInAcuteOrSevereAsthma)):
        if (node, OWL.onProperty, NXL.uses) in graph:
            graph.set((node, OWL.someValuesFrom, NXL.StrongOpioid))


def definition(graph: Graph, term: URIRef) -> Any:
    return graph.value(graph.value(term, OWL.equivalentClass), OWL.intersectionOf)


def change_bounds(graph: Graph, term: URIRef, facet: URIRef, bound: Literal) -> None:
    waiting: list[Any] = [graph.value(term, OWL.equivalentClass)]
    changed = 0
    while waiting:
        node = waiting.pop()
        for predicate, value in list(graph.predicate_objects(node)):
            if predicate == facet:
                graph.set((node, facet, bound))
                changed += 1
            elif isinstance(value, BNode):
                waiting.append(value)
    assert changed == 1


PAIN = {"code": "PainfulDiabeticPolyneuropathy"}
TRIED: list[dict[str, Any]] = [
    {
        "substances": [name],
        "weeks": 3,
        "end": "2026-06-01",
        "reachedTherapeuticDose": True,
        "outcome": "inadequate-relief",
    }
    for name in ("Duloxetine", "Amitriptyline", "Gabapentin")
]
EGFR = {"code": "EstimatedGFR", "value": 28, "unit": "mL/min/{1.73_m2}", "date": "2026-11-01"}
CHANGES: list[tuple[Change, dict[str, Any], set[str]]] = [
    (
        without_a_contraindication,
        {"findings": [PAIN, {"code": "UncontrolledEpilepsy"}], "courses": TRIED},
        {"TramadolTherapy"},
    ),
    (with_a_class_moved, {"findings": [PAIN, {"code": "SevereAsthma"}]}, {"MorphineTherapy", "TramadolTherapy"}),
    (with_another_bound, {"findings": [PAIN], "measurements": [EGFR]}, {"DuloxetineTherapy"}),
    (with_longer_trials, {"findings": [PAIN], "courses": TRIED}, {"TramadolTherapy", "DuloxetineTherapy"}),
    (with_another_group, {"findings": [PAIN, {"code": "AcuteAsthma"}]}, {"TramadolTherapy"}),
]


@pytest.mark.parametrize(("change", "patient", "expected"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_both_engines_follow_a_changed_axiom(
    sources: Sources, change: Change, patient: dict[str, Any], expected: set[str]
) -> None:
    """The answers change where the axiom says, by both engines, and these agree before and after."""
    request = json.dumps(
        {"asOf": "2026-11-22", "unreportedFindings": "absent", "patient": {"ageYears": 60, "sex": "male", **patient}}
    )
    before, changed = one_guideline(sources), one_guideline(sources)
    change(changed)

    def by_both(graph: Graph) -> dict[str, Status]:
        answerer, reference = engines(graph)
        parsed = parse_request(request)
        facts = answerer.read(parsed, AS_OF).facts
        asked = tuple(t for t in answerer.knowledge.therapies if local_name(t.iri) in expected)
        seed = answerer.guidelines(["seed"])
        ours = answerer.engine.evaluate(facts, parsed.unreported_findings, seed)
        theirs = reference.evaluate(facts, parsed.unreported_findings, seed, asked)
        by_ours = {local_name(t.iri): ours.standing("seed", t.iri).status for t in asked}
        assert by_ours == {local_name(t.iri): theirs.standings["seed", t.iri].status for t in asked}
        return by_ours

    with ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(by_both, (before, changed)))
    assert {name for name in expected if statuses[0][name] is not statuses[1][name]} == expected, statuses


def one_guideline(sources: Sources) -> Graph:
    """The seed and all labels: less to reason over."""
    return narrowed(sources.graph, {NXL.guidelineSeed})


def engines(graph: Graph) -> tuple[Answerer, ReferenceEngine]:
    knowledge = Knowledge(graph)
    return answerer_of(knowledge), ReferenceEngine(knowledge, closure.closure_of(graph))


def test_a_disagreement_is_found_and_made_small(sources: Sources) -> None:
    """Against a reference over another ontology, so that the engines have to differ."""
    statements = Knowledge(one_guideline(sources)).statements.values()
    of_others = [s.iri for s in statements if s.groups and NXL.Duloxetine not in s.groups]
    small = narrowed(sources.graph, {NXL.guidelineSeed}, of_others)
    changed = narrowed(small, {NXL.guidelineSeed})
    with_another_bound(changed)
    answerer, _ = engines(small)
    _, reference = engines(changed)
    record = {
        "asOf": "2026-11-22",
        "unreportedFindings": "absent",
        "patient": {"ageYears": 60, "sex": "male", "findings": [PAIN], "measurements": [EGFR]},
    }
    told: list[str] = []
    tally = Comparison(answerer, reference).of_many([record], told.append)
    assert tally.disagreement is not None
    smallest = tally.disagreement.record["patient"]
    assert smallest["measurements"][0]["value"] == 28
    assert "sex" not in smallest
    assert any("contraindicated" in str(difference) for difference in tally.disagreement.differences)
    assert told
