"""What changes to a record make of its answer: nothing where nothing differs, and a reason where something does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kg.answer import Answerer
from kg.errors import ContradictoryRecord, InvalidRecord, UnknownGuideline
from kg.knowledge import Knowledge
from kg.namespaces import local_name
from kg.what_if import parse_changes, parse_what_if, what_if
from tests.conftest import ONTOLOGY, Ask

Record = dict[str, Any]
Suppose = Callable[..., Record]
EXAMPLES = sorted(path.stem for path in (ONTOLOGY / "examples").glob("*.json"))
TRIED = "second-line-failed"
SIDES = {"before": "lost", "after": "gained"}
law = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def request_of(example: str) -> Record:
    document = json.loads((ONTOLOGY / "examples" / f"{example}.json").read_text(encoding="utf-8"))
    request: Record = document["request"]
    return request


@pytest.fixture(scope="session")
def suppose(answerer: Answerer) -> Suppose:
    """What changes make of the answer to a request."""

    def compare(request: Record, *changes: Record) -> Record:
        parsed = parse_what_if(json.dumps({"request": request, "changes": changes}))
        return what_if(answerer, parsed.request, parsed.changes, today=date(2026, 11, 22))

    return compare


def is_empty(found: Record) -> bool:
    return not found["changes"] and not found["steps"]


# --- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_without_changes_nothing_changes(suppose: Suppose, example: str) -> None:
    found = suppose(request_of(example))
    assert is_empty(found)
    assert found["before"] == found["after"]


@given(data=st.data())
@law
def test_adding_a_finding_and_removing_it_again_changes_nothing(
    suppose: Suppose, knowledge: Knowledge, data: st.DataObject
) -> None:
    request = request_of(data.draw(st.sampled_from(EXAMPLES)))
    code = data.draw(st.sampled_from(sorted(map(local_name, knowledge.findings))))
    assume(code not in {finding["code"] for finding in request["patient"]["findings"]})
    found = suppose(request, {"addFinding": {"code": code}}, {"removeFinding": code})
    assert is_empty(found)
    assert found["before"] == found["after"]


@given(data=st.data())
@law
def test_what_is_told_is_the_difference_of_the_two_answers(
    suppose: Suppose, ask: Ask, knowledge: Knowledge, data: st.DataObject
) -> None:
    """Every option whose status differs is told, and no other status is claimed."""
    request = request_of(data.draw(st.sampled_from(EXAMPLES)))
    code = data.draw(st.sampled_from(sorted(map(local_name, knowledge.findings))))
    changed = json.loads(json.dumps(request))
    changed["patient"]["findings"].append({"code": code})
    try:
        after = ask(changed)
    except ContradictoryRecord:
        assume(False)
    before = ask(request)
    found = suppose(request, {"addFinding": {"code": code}})
    assert found["after"]["inputHash"] == after["inputHash"]
    status = [
        {(r["guideline"], o["therapy"]["id"]): r["status"] for o in answer["options"] for r in o["guidelines"]}
        for answer in (before, after)
    ]
    told = {(r["guideline"], c["therapy"]["id"]): r for c in found["changes"] for r in c["guidelines"]}
    for key, old in status[0].items():
        new = status[1][key]
        assert (key in told) or old == new
        if key in told:
            assert told[key]["status"] == {"before": old, "after": new}
    steps = [{s["step"]: s["met"] for s in answer["steps"]} for answer in (before, after)]
    assert {s for s in steps[0] if steps[0][s] != steps[1][s]} <= {s["step"] for s in found["steps"]}


@pytest.mark.parametrize("example", [e for e in EXAMPLES if request_of(e)["patient"].get("courses")])
def test_a_change_and_its_opposite_tell_the_same(suppose: Suppose, example: str) -> None:
    """What one way gains, the other loses."""
    request = request_of(example)
    courses = request["patient"]["courses"]
    shorter = {**request, "patient": {**request["patient"], "courses": courses[:-1]}}
    there = suppose(request, {"removeCourse": len(courses) - 1})
    back = suppose(shorter, {"addCourse": courses[-1]})
    assert there["before"] == back["after"] and there["after"] == back["before"]

    def turns(found: Record, *sides: str) -> set[tuple[str, ...]]:
        return {
            (
                change["therapy"]["id"],
                *(part["status"][side] or "" for side in sides),
                *(r["statement"] for side in sides for r in part["statements"][SIDES[side]]),
            )
            for change in found["changes"]
            for part in (change, *change["guidelines"])
        }

    assert turns(there, "before", "after") == turns(back, "after", "before")


# --- reasons ------------------------------------------------------------------------------------------------------


def test_a_contraindicating_finding_closes_an_option_and_is_its_reason(suppose: Suppose) -> None:
    found = suppose(request_of(TRIED), {"addFinding": {"code": "SignificantRespiratoryDepression"}})
    (change,) = (c for c in found["changes"] if c["therapy"]["id"] == "MorphineTherapy")
    assert change["status"] == {"before": "eligible", "after": "contraindicated"}
    (reason,) = change["statements"]["gained"]
    assert reason["kind"] == "contraindication" and reason["text"] and reason["source"]
    (fact,) = reason["facts"]
    assert fact["id"] == "SignificantRespiratoryDepression"
    assert fact["place"] == "changes.0.addFinding"
    assert change["statements"]["lost"] == change["missing"]["lost"] == []


def test_a_trial_less_leaves_a_step_unmet(suppose: Suppose) -> None:
    found = suppose(request_of(TRIED), {"removeCourse": 0})
    unmet = {
        s["label"]
        for c in found["changes"]
        for row in c["guidelines"]
        if row["status"]["after"] == "not-reached"
        for s in row["unmetSteps"]["gained"]
    }
    turned = {s["label"] for s in found["steps"] if s["met"] == {"before": True, "after": False}}
    assert unmet and unmet <= turned


def test_an_answered_question_is_no_longer_missing(suppose: Suppose, ask: Ask) -> None:
    request = request_of(TRIED) | {"unreportedFindings": "unknown"}
    asked = next(m["fact"]["id"] for o in ask(request)["options"] for m in o["missing"] if m["type"] == "unreported")
    found = suppose(request, {"addFinding": {"code": asked, "status": "absent"}})
    assert asked in {m["fact"]["id"] for c in found["changes"] for m in c["missing"]["lost"]}
    assert asked not in {m["fact"]["id"] for c in found["changes"] for m in c["missing"]["gained"]}


def test_a_measurement_replaces_the_one_that_there_was(suppose: Suppose) -> None:
    request = request_of("renal-impairment")
    (known,) = request["patient"]["measurements"]
    assert is_empty(suppose(request, {"setMeasurement": known}))
    found = suppose(request, {"setMeasurement": {**known, "value": 90}})
    (opened,) = (c for c in found["changes"] if c["therapy"]["id"] == "DuloxetineTherapy")
    assert opened["status"]["before"] == "contraindicated" != opened["status"]["after"]
    assert found["inputIssues"] == []


def test_an_age_is_set(suppose: Suppose) -> None:
    found = suppose(request_of(TRIED), {"setAge": 16})
    after = {row["status"]["after"] for c in found["changes"] for row in c["guidelines"]}
    assert after <= {"out-of-scope", "contraindicated"} and "out-of-scope" in after


def test_a_medication_is_added_and_removed(suppose: Suppose) -> None:
    request = request_of("untreated-polyneuropathy")
    found = suppose(request, {"addMedication": {"code": "Phenelzine"}})
    after = {c["status"]["after"] for c in found["changes"] if c["statements"]["gained"]}
    assert "contraindicated" in after
    assert "eligible" not in after  # nothing opens by it, and what was not reached is warned about at most
    assert is_empty(suppose(request, {"addMedication": {"code": "Phenelzine"}}, {"removeMedication": "Phenelzine"}))


def test_starting_a_therapy_is_told_as_its_use(suppose: Suppose) -> None:
    found = suppose(request_of("untreated-polyneuropathy"), {"addMedication": {"code": "Gabapentin"}})
    (change,) = (c for c in found["changes"] if c["therapy"]["id"] == "GabapentinTherapy")
    assert change["inUse"] == {"before": False, "after": True}


def test_changes_are_applied_in_their_order(suppose: Suppose) -> None:
    request = request_of(TRIED)
    courses = request["patient"]["courses"]
    moved = suppose(request, {"removeCourse": 0}, {"addCourse": courses[0]})
    assert is_empty(moved)
    assert is_empty(suppose(request, {"addCourse": courses[0]}, {"removeCourse": len(courses)}))


def test_a_finding_is_removed_by_any_code_that_means_it(suppose: Suppose) -> None:
    request = request_of(TRIED)
    request["patient"]["findings"].append({"code": "SignificantRespiratoryDepression"})
    by_name, by_iri = (
        suppose(request, {"removeFinding": f"{prefix}SignificantRespiratoryDepression"})
        for prefix in ("", "https://w3id.org/nextline/")
    )
    assert by_name == by_iri and by_name["changes"]


def test_what_cannot_be_used_is_told_by_where_it_was_given(suppose: Suppose) -> None:
    request = request_of(TRIED)
    request["patient"]["findings"].append({"code": "SNOMED:1"})
    found = suppose(request, {"addFinding": {"code": "SNOMED:2"}})
    assert [i["place"] for i in found["inputIssues"]] == [
        "request.patient.findings.1.code",
        "changes.0.addFinding.code",
    ]


# --- changes that cannot be made ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "place", "mend"),
    [
        ([{"removeFinding": "PainfulDiabeticPolyneuropaty"}], "changes.0.removeFinding", "PainfulDiabeticPolyneuropathy"),
        ([{"removeFinding": "PainfulDiabeticPolyneuropathy"}], "changes.0.removeFinding", "another finding"),
        ([{"setAge": 50}, {"removeCourse": 9}], "changes.1.removeCourse", "0 to 4"),
        ([{"removeCourse": 4}] * 2, "changes.1.removeCourse", "0 to 3"),
        ([{"removeCourse": -1}], "changes.0.removeCourse", ""),
        ([{"removeCourse": 1.0}], "changes.0.removeCourse", ""),
        ([{"removeCourse": True}], "changes.0.removeCourse", ""),
        ([{"removeMedication": "Morphine"}], "changes.0.removeMedication", "no medication"),
        ([{"removeMedication": "Duloxetine"}], "changes.0.removeMedication", "removeCourse 0"),
        ([{"addFinding": {"code": "Ashtma"}}], "changes.0.addFinding.code", "Asthma"),
        ([{"addFinding": {"code": "Asthma", "colour": "blue"}}], "changes.0.addFinding.colour", ""),
        ([{"addCourse": {"substances": ["NoSuchDrug"]}}], "changes.0.addCourse.substances.0", ""),
        ([{"addMedication": {"code": "NoSuchDrug"}}], "changes.0.addMedication.code", ""),
        ([{"setMeasurement": {"code": "ShoeSize", "value": 43, "unit": "1"}}], "changes.0.setMeasurement.code", "EstimatedGFR"),
        ([{"setMeasurement": {"code": "EstimatedGFR", "value": 43, "unit": "1"}}], "changes.0.setMeasurement.unit", "mL/min"),
        ([{"setAge": "63"}], "changes.0.setAge", ""),
        ([{"setAge": 140}], "changes.0.setAge", ""),
        ([{}], "changes.0", ""),
        ([{"setAge": 50, "removeCourse": 0}], "changes.0", ""),
        ([{"setColour": "blue"}], "changes.0.setColour", ""),
        ([{"setAge": 50}] * 51, "changes", ""),
        ("no list", "changes", ""),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_made_is_refused_by_its_place(
    suppose: Suppose, changes: Any, place: str, mend: str
) -> None:
    with pytest.raises(InvalidRecord) as refused:
        suppose(request_of(TRIED), *changes) if isinstance(changes, list) else parse_changes(json.dumps(changes))
    assert refused.value.place == place
    assert mend in refused.value.mend and refused.value.mend


def test_a_contradiction_with_a_change_names_both(suppose: Suppose) -> None:
    absent = {"code": "PainfulDiabeticPolyneuropathy", "status": "absent"}
    with pytest.raises(ContradictoryRecord) as refused:
        suppose(request_of(TRIED), {"removeCourse": 0}, {"addFinding": absent})
    assert refused.value.place == "changes.1.addFinding"
    assert "request.patient.findings.0" in refused.value.problem


def test_a_fault_of_the_record_itself_is_placed_in_the_request(suppose: Suppose) -> None:
    request = request_of(TRIED)
    with pytest.raises(UnknownGuideline) as unknown:
        suppose({**request, "guidelines": ["nobody"]})
    assert unknown.value.place == "request.guidelines.0"
    request["patient"]["findings"].append({"code": "Ashtma"})
    with pytest.raises(InvalidRecord) as refused:
        suppose(request, {"addFinding": {"code": "Asthma"}})
    assert refused.value.place == "request.patient.findings.1.code"


@pytest.mark.parametrize("body", ["[]", "{}", '{"request": {}}', '{"changes": []}', '"x"'])
def test_a_body_of_another_shape_is_refused(body: str) -> None:
    with pytest.raises(InvalidRecord):
        parse_what_if(body)


def test_a_list_of_changes_is_read_for_itself() -> None:
    (change,) = parse_changes('[{"setAge": 70}]')
    assert change.set_age == 70
    with pytest.raises(InvalidRecord) as refused:
        parse_changes('{"setAge": 70}')
    assert refused.value.place == "changes"
