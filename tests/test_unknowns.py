"""What is reported in part is neither no nor yes: it stays open, the answer asks for it, and the reply settles it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.answers import by_guideline
from tests.conftest import Ask

PAIN = {"code": "PainfulDiabeticPolyneuropathy"}


def record(*findings: dict[str, Any], policy: str = "absent", **patient: Any) -> dict[str, Any]:
    person = {"ageYears": 60, "sex": "male", "findings": list(findings), **patient}
    return {"asOf": "2026-11-22", "unreportedFindings": policy, "patient": person}


def options(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name.removesuffix("Therapy"): option for name, option in by_guideline(answer).items()}


def asked(option: dict[str, Any]) -> set[str]:
    return {row["fact"]["id"] for row in option["missing"]}


def tried(*substances: str, **course: Any) -> dict[str, Any]:
    given = {
        "weeks": 8,
        "weeksAtDose": 6,
        "end": "2026-06-01",
        "reachedTherapeuticDose": True,
        "outcome": "inadequate-relief",
    }
    return {"substances": list(substances), **given, **course}


def test_a_course_with_an_unmapped_code_keeps_what_is_known_of_it(ask: Ask) -> None:
    both = ask(record(PAIN, courses=[{"substances": ["Phenelzine", "RxNorm:99999999"], "ongoing": True}]))
    assert options(both)["Duloxetine"]["status"] == "contraindicated"
    assert [row["place"] for row in both["ledger"]] == ["patient.courses.0"]
    assert [issue["kind"] for issue in both["inputIssues"]] == ["unmapped-code"]
    alone = options(ask(record(PAIN, courses=[{"substances": ["RxNorm:99999999"], "ongoing": True}])))
    assert alone["Duloxetine"]["status"] == "conditional"
    assert "MonoamineOxidaseInhibitor" in asked(alone["Duloxetine"])
    named = tried("Gabapentin", "RxNorm:99999999", outcome="not-tolerated", notTolerated=["Gabapentin"])
    assert options(ask(record(PAIN, courses=[named])))["Gabapentin"]["status"] == "exhausted"


@pytest.mark.parametrize(
    ("reported", "denied"),
    [
        ("ICD10CM:E11.42", "PainfulDiabeticPolyneuropathy"),
        ("FailedBackSurgerySyndrome", "FailedBackSurgerySyndromeWithNeuropathicPain"),
    ],
)
def test_something_wider_than_a_pain_in_scope_asks_for_it_and_is_settled(ask: Ask, reported: str, denied: str) -> None:
    open_ = ask(record({"code": reported}))
    assert options(open_)["Pregabalin"]["status"] == "conditional"
    assert denied in asked(options(open_)["Pregabalin"])
    question = next(q for q in open_["questions"] if q["fact"]["id"] == denied)
    assert question["settles"]["ifPresent"] and question["settles"]["ifAbsent"]
    no = ask(record({"code": reported}, {"code": denied, "status": "absent"}))
    assert {option["status"] for option in options(no).values()} == {"out-of-scope"}
    yes = ask(record({"code": reported}, {"code": denied}))
    assert options(yes)["Pregabalin"]["status"] == "eligible"


def test_a_dose_judged_by_a_stale_kidney_function_stays_open(ask: Ask) -> None:
    low = tried("Gabapentin", dailyDoseMg={"Gabapentin": 700})
    del low["reachedTherapeuticDose"]
    old = {"code": "EstimatedGFR", "value": 20, "unit": "mL/min/{1.73_m2}", "date": "2024-01-01"}
    answer = ask(record(PAIN, courses=[low], measurements=[old]))
    assert options(answer)["Gabapentin"]["status"] == "conditional"
    assert "EstimatedGFR" in asked(options(answer)["Gabapentin"])
    assert answer["measurements"][0] | {"date": "2024-01-01", "stale": True} == answer["measurements"][0]
    fresh = options(ask(record(PAIN, courses=[low], measurements=[old | {"date": "2026-11-01"}])))
    assert fresh["Gabapentin"]["status"] == "exhausted"


def test_a_recorded_stage_of_kidney_disease_stands_for_its_range(ask: Ask) -> None:
    low = tried("Gabapentin", dailyDoseMg={"Gabapentin": 700})
    del low["reachedTherapeuticDose"]
    staged = options(ask(record(PAIN, {"code": "ChronicKidneyDiseaseStage4"}, courses=[low])))
    assert staged["Gabapentin"]["status"] == "exhausted"
    assert options(ask(record(PAIN, courses=[low])))["Gabapentin"]["status"] == "eligible"


def test_a_dose_for_which_the_ontology_has_no_rule_is_never_read_as_not_tried(ask: Ask) -> None:
    course = tried("Morphine", dailyDoseMg={"Morphine": 60})
    del course["reachedTherapeuticDose"]
    courses = [tried(s) for s in ("Gabapentin", "Duloxetine", "Amitriptyline", "Tramadol")]
    answer = ask(record(PAIN, courses=[*courses, tried("Gabapentin", "Duloxetine"), course]))
    assert options(answer)["Morphine"]["status"] == "conditional"
    assert asked(options(answer)["Morphine"]) == {"patient.courses.5"}


def test_a_group_unusable_for_mixed_reasons_waits_for_the_open_one(ask: Ask) -> None:
    judged = [{"class": snri, "reason": "blood pressure"} for snri in ("Venlafaxine", "Desvenlafaxine", "Milnacipran")]
    courses = [tried("Gabapentin"), tried("Amitriptyline")]
    liver = record(PAIN, {"code": "LiverDisease"}, courses=courses, judgedUnsuitable=judged)
    assert options(ask(liver))["Tramadol"]["status"] == "conditional"
    impaired = record(
        PAIN,
        {"code": "HepaticImpairment"},
        {"code": "ModerateOrSevereHepaticImpairment", "status": "absent"},
        courses=courses,
        judgedUnsuitable=judged,
    )
    assert options(ask(impaired))["Tramadol"]["status"] == "eligible"


def test_that_all_of_a_combination_was_tolerated_can_be_said(ask: Ask) -> None:
    course = {"substances": ["Amitriptyline", "Pregabalin"], "weeks": 2, "reachedTherapeuticDose": True}
    assert options(ask(record(PAIN, courses=[course])))["Pregabalin"]["status"] == "conditional"
    said = options(ask(record(PAIN, courses=[course | {"notTolerated": []}])))
    assert said["Pregabalin"]["status"] == "eligible"


def test_an_absence_settles_what_an_unknown_medication_leaves_open(ask: Ask) -> None:
    unknown = [{"code": "RxNorm:99999999"}]
    groups = ("MonoamineOxidaseInhibitor", "StrongCyp1a2Inhibitor", "Thioridazine")
    no = [{"code": code, "status": "absent"} for code in groups]
    assert options(ask(record(PAIN, medications=unknown)))["Duloxetine"]["status"] == "conditional"
    assert options(ask(record(PAIN, medications=[*unknown, *no])))["Duloxetine"]["status"] == "eligible"


def test_an_absence_is_read_over_the_wash_out_of_its_own_group(ask: Ask) -> None:
    """A benzodiazepine stopped twelve days ago is out of every window that asks about benzodiazepines."""
    stopped = {"code": "Lorazepam", "stopped": "2026-11-10"}
    answer = ask(record(PAIN, medications=[stopped, {"code": "Benzodiazepine", "status": "absent"}]))
    labels = {reason["label"] for reason in options(answer)["Gabapentin"]["because"]}
    assert "gabapentinoid with current benzodiazepine" not in labels


def test_hypersensitivity_to_a_drug_forbids_it(ask: Ask) -> None:
    for name in ("Duloxetine", "Venlafaxine"):
        found = options(ask(record(PAIN, {"code": f"HypersensitivityTo{name}"})))
        assert found[name]["status"] == "contraindicated"


def test_whichever_part_was_not_tolerated_the_same_combination_is_closed(ask: Ask) -> None:
    course = tried("Gabapentin", "Nortriptyline", outcome="not-tolerated")
    found = options(ask(record(PAIN, courses=[course])))
    reasons = {reason["label"]: reason["facts"] for reason in found["GabapentinWithNortriptyline"]["because"]}
    assert [fact["place"] for fact in reasons["option with a substance not tolerated before"]] == ["patient.courses.0"]
    assert found["Gabapentin"]["status"] == "conditional"
