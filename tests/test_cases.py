"""Patients with the answers that a clinician expects, one file each in `tests/cases`, by section or theme of safety.

All run through the compiled engine; those marked `gate: true` also through HermiT, which `pytest -m ""` does with all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from kg.answer import Answerer
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.reference import ReferenceEngine
from kg.request import parse_request
from kg.sources import Sources
from kg.verdicts import Status
from kg.verification import Comparison, Verification
from tests.answers import by_guideline
from tests.case_format import Names, expectations_of, guidelines_of, request_of
from tests.conftest import Ask

CASES = Path(__file__).resolve().parent / "cases"
FILES = sorted(CASES.rglob("*.yaml"))
SECTIONS = {
    "scope",
    "first-line",
    "second-line",
    "third-line",
    "safety",
    "opioids",
    "refractory-types",
    "low-dose-naltrexone",
    "incomplete-records",
    "combinations",
    "cdc2022",
}
KEYS = {"title", "why", "asOf", "unreported", "gate", "patient", "guideline", "guidelines"}
EXPECTATIONS = {
    "expect",
    "only these",
    "everything else",
    "because",
    "not because",
    "missing",
    "not missing",
    "steps",
    "courses",
    "in use",
}


def read(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return case


def name_of(path: Path) -> str:
    return path.relative_to(CASES).with_suffix("").as_posix()


def section_of(path: Path) -> str:
    """The folder below `tests/cases`; those of safety are divided further, by theme."""
    return path.relative_to(CASES).parts[0]


def parameters() -> list[Any]:
    return [
        pytest.param(path, id=name_of(path), marks=() if read(path).get("gate") else pytest.mark.slow) for path in FILES
    ]


@pytest.fixture(scope="session")
def names(knowledge: Knowledge) -> Names:
    return Names(knowledge)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_case(path: Path, ask: Ask, names: Names) -> None:
    case = read(path)
    answer = ask(request_of(case, names))
    differences = []
    for guideline, expected in expectations_of(case).items():
        options = by_guideline(answer, guideline)
        found = [
            *statuses(expected, options, names),
            *reasons(expected, options, names),
            *missing_facts(expected, options, names),
            *patient_side(expected, answer, options, names),
        ]
        differences += [f"{guideline}: {difference}" for difference in found]
    assert not differences, "\n".join([case["title"], *differences])


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_reasons_are_traceable(path: Path, ask: Ask, names: Names) -> None:
    """Each reason has a text, a source, a review status and, if it asks something of the patient, the facts."""
    for option in ask(request_of(read(path), names))["options"]:
        for reason in (r for told in (option, *option["guidelines"]) for r in told["because"]):
            assert reason["text"]
            assert reason["source"]
            assert reason["reviewStatus"]
            assert all(fact["place"] or fact["fact"] == "silence" for fact in reason["facts"])


@pytest.mark.parametrize("path", parameters())
def test_both_engines_agree_on_every_option(path: Path, compared: dict[Path, Future[Verification]]) -> None:
    assert compared[path].result().differences == ()


@pytest.fixture(scope="module")
def compared(
    request: pytest.FixtureRequest, names: Names, answerer: Answerer, reference: ReferenceEngine
) -> Iterator[dict[Path, Future[Verification]]]:
    """The comparisons of the cases that are to be run, two at a time."""
    comparison = Comparison(answerer, reference)
    chosen = [i for i in request.session.items if i.name.startswith(test_both_engines_agree_on_every_option.__name__)]
    with ThreadPoolExecutor(2) as pool:
        yield {
            path: pool.submit(comparison.of_request, parse_request(json.dumps(request_of(read(path), names))))
            for path in (i.callspec.params["path"] for i in chosen)  # type: ignore[attr-defined]
        }
        pool.shutdown(cancel_futures=True)


def statuses(case: dict[str, Any], options: dict[str, Any], names: Names, guideline: str = "seed") -> list[str]:
    expected = {name: status for status, who in case.get("expect", {}).items() for name in names.options(who)}
    if "everything else" in case:
        rest = dict.fromkeys(options, case["everything else"])
        if case["everything else"] == "not-reached":
            rest |= dict.fromkeys(names.has_no_place[guideline], "not-indicated")
        expected = rest | expected
    found = {name: option["status"] for name, option in options.items()}
    wrong = [f"{n}: {found[n]}, expected {s}" for n, s in sorted(expected.items()) if found[n] != s]
    complete = set(case.get("only these", ()))
    speaks_of = found.keys() - (names.has_no_place[guideline] if "not-indicated" in complete else set())
    return wrong + [
        f"{n}: {found[n]}, not expected"
        for n in sorted(speaks_of)
        if found[n] in complete and expected.get(n) != found[n]
    ]


def reasons(case: dict[str, Any], options: dict[str, Any], names: Names) -> list[str]:
    wrong = []
    for key, wanted in (("because", True), ("not because", False)):
        for pattern, statements in case.get(key, {}).items():
            for name in sorted(names.options([pattern])):
                held = {local_name(reason["statement"]) for reason in options[name]["because"]}
                wrong += [f"{name}: {key} {s}; found {sorted(held)}" for s in statements if (s in held) is not wanted]
    return wrong


def missing_facts(case: dict[str, Any], options: dict[str, Any], names: Names) -> list[str]:
    wrong = []
    for key, wanted in (("missing", True), ("not missing", False)):
        for pattern, facts in case.get(key, {}).items():
            for name in sorted(names.options([pattern])):
                asked = {row["fact"]["id"] for row in options[name]["missing"]}
                wrong += [f"{name}: {key} {f}; found {sorted(asked)}" for f in facts if (f in asked) is not wanted]
    return wrong


def patient_side(case: dict[str, Any], answer: dict[str, Any], options: dict[str, Any], names: Names) -> list[str]:
    met = {local_name(row["step"]) for row in answer["steps"] if row["met"]}
    met |= {local_name(s["statement"]) for row in answer["steps"] for s in row["how"] if "statement" in s}
    asked = case.get("steps", {})
    wrong = [f"step {s} is not met" for s in asked.get("met", ()) if s not in met]
    wrong += [f"step {s} is met" for s in asked.get("unmet", ()) if s in met]
    for number, judgements in case.get("courses", {}).items():
        held = {local_name(s["statement"]) for s in answer["ledger"][number - 1]["judgements"]}
        for judgement in judgements:
            name, negated = judgement.removeprefix("not "), judgement.startswith("not ")
            if (name in held) is negated:
                wrong.append(f"course {number}: {judgement} expected, found {sorted(held)}")
    if "in use" in case:
        used = {name for name, option in options.items() if option["inUse"]}
        if used != names.options(case["in use"]):
            wrong.append(f"in use: {sorted(used)}")
    return wrong


def test_every_section_of_the_seed_and_every_guideline_has_patients(sources: Sources) -> None:
    """Cases of the seed and of safety stand in their section, those of another guideline in a folder named by its code."""
    others = set(Knowledge(sources.graph).guidelines) - {"seed"}
    assert {section_of(path) for path in FILES} == SECTIONS | others
    assert {code for path in FILES for code in guidelines_of(read(path))} == {"seed"} | others
    assert len(FILES) >= 28


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_case_says_what_it_shows_in_names_of_the_ontology(
    path: Path, declared: set[str], stated_names: Names
) -> None:
    case = read(path)
    assert {"title", "why", "asOf", "unreported", "patient"} <= set(case) <= KEYS | EXPECTATIONS
    assert case["why"].endswith(".")
    parse_request(json.dumps(request_of(case, stated_names)))
    for guideline, expected in expectations_of(case).items():
        assert guideline in declared
        assert set(expected) & EXPECTATIONS
        assert set(expected) <= KEYS | EXPECTATIONS
        for status, who in expected.get("expect", {}).items():
            assert status in set(Status)
            assert stated_names.options(who)
        for key in ("because", "not because", "missing", "not missing"):
            for pattern, named in expected.get(key, {}).items():
                assert stated_names.options([pattern])
                assert {name for name in named if not name.startswith("patient.")} <= declared


@pytest.fixture(scope="module")
def stated_names(sources: Sources) -> Names:
    return Names(Knowledge(sources.graph))


@pytest.fixture(scope="module")
def declared(sources: Sources) -> set[str]:
    """The local names of everything that the ontology describes, and the codes that requests use for quantities."""
    codes = {str(code) for code in sources.graph.objects(None, NXL.code)}
    return codes | {local_name(str(term)) for term in sources.graph.subjects()}
