"""The lines of a case mean what a clinician would read in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kg.knowledge import Knowledge
from kg.request import parse_request
from kg.sources import Sources
from tests.case_format import Names, expectations_of, request_of


@pytest.fixture(scope="module")
def names(sources: Sources) -> Names:
    return Names(Knowledge(sources.graph))


def case(**patient: Any) -> dict[str, Any]:
    return {
        "asOf": "2026-11-22",
        "unreported": "absent",
        "patient": {"findings": ["painful diabetic polyneuropathy"], **patient},
    }


@pytest.mark.parametrize(
    ("line", "course"),
    [
        (
            "duloxetine 60 mg, 10 weeks, until 2026-03-20, inadequate relief",
            {
                "substances": ["Duloxetine"],
                "dailyDoseMg": {"Duloxetine": 60},
                "weeks": 10,
                "end": "2026-03-20",
                "outcome": "inadequate-relief",
            },
        ),
        (
            "gabapentin 1800 mg with amitriptyline, 8 weeks, 1 week at dose, amitriptyline not tolerated",
            {
                "substances": ["Gabapentin", "Amitriptyline"],
                "dailyDoseMg": {"Gabapentin": 1800},
                "weeks": 8,
                "weeksAtDose": 1,
                "outcome": "not-tolerated",
                "notTolerated": ["Amitriptyline"],
            },
        ),
        (
            "morphine 7.5 mg, since 2026-08-01, ongoing, therapeutic dose reached, highest tolerated dose, effective",
            {
                "substances": ["Morphine"],
                "dailyDoseMg": {"Morphine": 7.5},
                "start": "2026-08-01",
                "ongoing": True,
                "reachedTherapeuticDose": True,
                "maximumToleratedDose": True,
                "outcome": "effective",
            },
        ),
        (
            "tricyclic antidepressant, stopped for cost",
            {"substances": ["TricyclicAntidepressant"], "dailyDoseMg": {}, "outcome": "stopped-other-reason"},
        ),
    ],
)
def test_a_course_is_one_line(names: Names, line: str, course: dict[str, Any]) -> None:
    request = request_of(case(courses=[line]), names)
    assert request["patient"]["courses"] == [course]
    parse_request(json.dumps(request))


def test_the_rest_of_a_patient(names: Names) -> None:
    given = case(
        **{
            "age": 74,
            "sex": "male",
            "not": ["implant or foreign body"],
            "labs": ["EstimatedGFR 28.5 mL/min/{1.73_m2} on 2026-11-01"],
            "medications": ["phenelzine, since 2026-01-01, stopped 2026-11-09", "no benzodiazepine"],
            "medications complete": True,
            "judged unsuitable": {"tricyclic antidepressant": "falls"},
        }
    )
    patient = request_of(given, names)["patient"]
    assert patient["findings"] == [
        {"code": "PainfulDiabeticPolyneuropathy"},
        {"code": "ImplantOrForeignBody", "status": "absent"},
    ]
    assert patient["measurements"] == [
        {"code": "EstimatedGFR", "value": 28.5, "unit": "mL/min/{1.73_m2}", "date": "2026-11-01"}
    ]
    assert patient["medications"] == [
        {"code": "Phenelzine", "started": "2026-01-01", "stopped": "2026-11-09"},
        {"code": "Benzodiazepine", "status": "absent"},
    ]
    assert patient["medicationsComplete"] is True
    assert patient["judgedUnsuitable"] == [{"class": "TricyclicAntidepressant", "reason": "falls"}]
    assert (patient["ageYears"], patient["sex"]) == (74, "male")


def test_options_go_by_what_they_use(names: Names) -> None:
    assert names.options(["morphine", "spinal cord stimulation"]) == {"MorphineTherapy", "SpinalCordStimulationTherapy"}
    assert "GabapentinWithDuloxetineTherapy" in names.options(["gabapentin with *"])
    assert "MorphineWithGabapentinTherapy" not in names.options(["gabapentin with *"])


def test_a_case_is_about_the_seed_unless_it_names_another_guideline_or_several(names: Names) -> None:
    plain, other = case() | {"expect": {}}, case() | {"guideline": "elsewhere"}
    several = case() | {"guidelines": {"seed": {"expect": {"eligible": ["duloxetine"]}}, "elsewhere": {"in use": []}}}
    assert request_of(plain, names)["guidelines"] == ["seed"]
    assert request_of(other, names)["guidelines"] == ["elsewhere"]
    assert request_of(several, names)["guidelines"] == ["seed", "elsewhere"]
    assert expectations_of(plain) == {"seed": plain}
    assert expectations_of(several)["elsewhere"] == {"in use": []}
    assert expectations_of(several)["seed"]["expect"] == {"eligible": ["duloxetine"]}


@pytest.mark.parametrize(
    ("patient", "told"),
    [
        ({"findings": ["pain of unknown name"]}, "pain of unknown name"),
        ({"courses": ["duloxetine 60 mg, for a while"]}, "for a while"),
        ({"courses": ["duloxetin 60 mg"]}, "duloxetin"),
    ],
)
def test_a_line_that_is_not_understood_is_named(names: Names, patient: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        request_of(case(**patient), names)
