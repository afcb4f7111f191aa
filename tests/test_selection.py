"""What a request wants to hear: whose labels, from which review on, in which language, and one status of several."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.answer import Answerer
from kg.errors import InvalidRecord
from kg.policies import Verdict, agreement, overall
from kg.reference import ReferenceEngine
from kg.request import parse_request
from kg.verdicts import Standing, Status
from kg.verification import Comparison
from tests.answers import by_guideline
from tests.conftest import Ask

PAIN = {"code": "PainfulDiabeticPolyneuropathy"}
LIVER = {"code": "HepaticImpairment"}
Record = dict[str, Any]


def record(*findings: Record, **request: Any) -> Record:
    patient = {"ageYears": 60, "sex": "male", "findings": [PAIN, *findings]}
    return {"asOf": "2026-11-22", "unreportedFindings": "absent", "guidelines": ["seed"], "patient": patient} | request


# --- whose labels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jurisdiction", "status"), [("strictest", "contraindicated"), ("EU", "contraindicated")])
def test_what_a_label_forbids_is_forbidden_where_it_holds(ask: Ask, jurisdiction: str, status: str) -> None:
    answer = ask(record(LIVER, jurisdiction=jurisdiction))
    assert answer["jurisdiction"] == jurisdiction
    assert by_guideline(answer)["DuloxetineTherapy"]["status"] == status


def test_a_label_of_elsewhere_is_left_out_and_listed(ask: Ask) -> None:
    """Where its own label says something else of the same; each jurisdiction has such statements."""
    answer = ask(record(LIVER, jurisdiction="US"))
    option = by_guideline(answer)["DuloxetineTherapy"]
    assert option["status"] != "contraindicated"
    left_out = {row["label"]: row for row in answer["leftOut"]}
    assert left_out["duloxetine in hepatic impairment"]["jurisdiction"] == ["EU"]
    assert all(ask(record(jurisdiction=code))["leftOut"] for code in ("EU", "UK", "US"))
    assert all(not {"US", "INT"} & set(row["jurisdiction"]) for row in answer["leftOut"])


@pytest.mark.parametrize("jurisdiction", ["strictest", "EU", "UK", "US"])
def test_what_one_label_alone_was_read_to_forbid_is_forbidden_everywhere(ask: Ask, jurisdiction: str) -> None:
    """That nobody read the label of another country is no permission there."""
    depressed = record({"code": "SignificantRespiratoryDepression"}, jurisdiction=jurisdiction)
    (reason,) = (
        r
        for r in by_guideline(ask(depressed))["MorphineTherapy"]["whyNot"]
        if r["statement"].endswith("/OpioidInSignificantRespiratoryDepression")
    )
    assert reason["kind"] == "contraindication"


def test_hermit_leaves_out_the_same_statements(answerer: Answerer, reference: ReferenceEngine) -> None:
    request = parse_request(json.dumps(record(LIVER, jurisdiction="US")))
    found = Comparison(answerer, reference).of_request(request, least_certain=3)
    assert found.options and found.differences == ()


# --- from which review on -----------------------------------------------------------------------------------------


def test_without_approved_indications_nothing_is_indicated_and_what_forbids_still_holds(ask: Ask) -> None:
    everything, approved = ask(record(LIVER)), ask(record(LIVER, minimumReviewStatus="approved"))
    before, after = by_guideline(everything), by_guideline(approved)
    assert {row["status"] for row in after.values()} <= {"not-indicated", "contraindicated"}
    forbidden = {name for name, row in before.items() if row["status"] == "contraindicated"}
    assert forbidden and forbidden == {n for n, row in after.items() if row["status"] == "contraindicated"}
    kinds = {row["kind"] for row in approved["leftOut"]}
    assert "indication" in kinds
    assert not kinds & {"contraindication", "caution", "interaction", "recommendation-against"}
    assert everything["leftOut"] == []


def test_what_is_reviewed_enough_is_heard(ask: Ask) -> None:
    options = by_guideline(ask(record(minimumReviewStatus="under-review")))
    assert options["PregabalinTherapy"]["status"] == "eligible"


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "mend"),
    [
        ("jurisdiction", "Mars", "EU"),
        ("minimumReviewStatus", "liked", "approved"),
        ("policy", "loudest", "strictest"),
        ("lang", "tlh", ""),
    ],
)
def test_a_choice_that_is_not_offered_is_refused_by_its_field(ask: Ask, field: str, value: str, mend: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        ask(record(**{field: value}))
    assert refused.value.place == field
    assert mend in refused.value.mend


# --- one status of several ----------------------------------------------------------------------------------------


class Code:
    """As much of a guideline as policies look at."""

    def __init__(self, code: str) -> None:
        self.code = code


STATUSES = st.sampled_from([s for s in Status if s is not Status.OUT_OF_SCOPE])
GUIDELINES: Any = tuple(Code(name) for name in "abc")


@given(said=st.dictionaries(st.sampled_from("abc"), STATUSES), outside=st.sets(st.sampled_from("abc")))
def test_policies_take_the_most_or_the_least_open_of_what_is_said(said: dict[str, Status], outside: set[str]) -> None:
    verdicts = {code: Verdict(status, None) for code, status in said.items()}
    within = {code: status for code, status in said.items() if code not in outside}

    def by(policy: str) -> Status | None:
        return overall(policy, GUIDELINES, "abc", verdicts, lambda g: g.code not in outside)[0]

    assert by("each") is None
    if within:
        assert by("any") is min(within.values(), key=lambda s: s.order)
        assert by("strictest") is max(within.values(), key=lambda s: s.order)
    eligible = all(within.get(code) is Status.ELIGIBLE for code in "abc" if code not in outside)
    assert (by("all") is Status.ELIGIBLE) is (eligible and len(outside) < 3)
    for code in "abc":
        expected = Status.OUT_OF_SCOPE if code in outside else said.get(code, Status.NOT_INDICATED)
        assert by(code) is expected


def test_agreement_counts_only_guidelines_that_speak_to_the_patient() -> None:
    for_, against = Verdict.of(Standing(True, True, False, None, False)), Verdict(Status.RECOMMENDED_AGAINST, False)
    silent = Verdict.of(Standing(False, True, True, False, False))
    told = {(a, b): agreement([a, b, silent]) for a, b in product((for_, against), repeat=2)}
    assert told == {
        (for_, for_): "for",
        (for_, against): "split",
        (against, for_): "split",
        (against, against): "against",
    }
    assert agreement([silent]) == "silent"
