"""The contract of a request: what is read, and what is refused with the place of the fault."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from kg.errors import InvalidRecord
from kg.facts import Policy, Sex
from kg.request import EligibilityRequest, parse_request

PAIN = [{"code": "PainfulDiabeticPolyneuropathy"}]


def parsed(**patient: Any) -> EligibilityRequest:
    return parse_request(json.dumps({"patient": {"findings": PAIN, **patient}}))


def test_only_findings_are_required_and_silence_stays_silence() -> None:
    request = parsed()
    assert (request.as_of, request.unreported_findings, request.audience) == (None, Policy.UNKNOWN, "clinician")
    patient = request.patient
    assert (patient.age_years, patient.pregnant, patient.sex) == (None, None, Sex.UNKNOWN)
    assert not patient.medications_complete


def test_the_record_of_the_documentation_is_read_whole() -> None:
    document = {
        "asOf": "2026-11-22",
        "unreportedFindings": "unknown",
        "audience": "clinician",
        "guidelines": ["seed"],
        "patient": {
            "id": "p1",
            "ageYears": 63,
            "sex": "female",
            "pregnant": False,
            "findings": [{"code": "PainfulDiabeticPolyneuropathy"}, {"code": "SNOMED:84757009", "status": "absent"}],
            "measurements": [{"code": "EstimatedGFR", "value": 28, "unit": "mL/min/{1.73_m2}", "date": "2026-11-01"}],
            "medications": [
                {"code": "Phenelzine", "stopped": "2026-11-15"},
                {"code": "Benzodiazepine", "status": "absent"},
            ],
            "medicationsComplete": False,
            "courses": [
                {
                    "substances": ["Duloxetine"],
                    "start": "2026-01-05",
                    "end": "2026-03-20",
                    "dailyDoseMg": {"Duloxetine": 60},
                    "outcome": "inadequate-relief",
                },
                {
                    "substances": ["Gabapentin", "Amitriptyline"],
                    "weeks": 8,
                    "weeksAtDose": 5,
                    "reachedTherapeuticDose": True,
                    "outcome": "not-tolerated",
                    "notTolerated": ["Amitriptyline"],
                },
            ],
            "judgedUnsuitable": [{"class": "TricyclicAntidepressant", "reason": "dementia and falls"}],
        },
    }
    request = parse_request(json.dumps(document))
    assert request.model_dump(mode="json", by_alias=True, exclude_unset=True)["patient"]["courses"][1]["weeks"] == "8"
    assert request.as_of == date(2026, 11, 22)
    assert request.patient.judged_unsuitable[0].class_ == "TricyclicAntidepressant"


def test_numbers_are_exact() -> None:
    """A float of a lab system keeps its digits, so that a bound is met exactly."""
    measurement = {"code": "EstimatedGFR", "value": 29.999999999999999999, "unit": "mL/min/{1.73_m2}"}
    assert parsed(measurements=[measurement]).patient.measurements[0].value == Decimal("30.0")
    text = '{"patient": {"findings": [{"code": "X"}], "measurements": [{"code": "Y", "value": 29.9999999999999999, "unit": "u"}]}}'
    assert parse_request(text).patient.measurements[0].value == Decimal("29.9999999999999999")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "line 1"),
        (b"{", "line 1"),
        (b'{"patient":\n {"findings": [}', "line 2"),
        (b"\xff\xfe", ""),
        (b'{"a": "\xe9"}', "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'"text"', "body"),
        (b"[" * 100_000, "body"),
        (b"NaN", "body"),
        (b'{"patient": {"ageYears": NaN}}', "patient.ageYears"),
        (b'{"patient": {"courses": [{}, {"weeks": -Infinity}]}}', "patient.courses.1.weeks"),
        (b'{"patient": {"ageYears": ' + b"9" * 10_000 + b"}}", "patient.ageYears"),
        (b'{"patient": {"ageYears": 1e99999999999999999999}}', "patient.ageYears"),
        (b'{"patient": {"findings": [{"code": "A"}], "ageYears": 1e999}}', "patient.ageYears"),
        (b'{"asOf": "2026-01-01", "asOf": "2026-01-02", "patient": {}}', "asOf"),
        (b'{"patient": {"findings": [{"code": "A", "code": "B"}]}}', "patient.findings.0.code"),
    ],
    ids=lambda value: repr(value[:25]),
)
def test_what_is_no_json_object_is_refused(body: bytes, place: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        parse_request(body)
    assert caught.value.place.startswith(place)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("patient", "place"),
    [
        ({"findings": []}, "patient.findings"),
        ({"findings": [{"code": ""}]}, "patient.findings.0.code"),
        ({"findings": [{"code": "A", "status": "maybe"}]}, "patient.findings.0.status"),
        ({"findings": [{"code": "A", "onset": "2026-02-02", "resolved": "2026-01-01"}]}, "patient.findings.0"),
        ({"ageYears": -1}, "patient.ageYears"),
        ({"ageYears": 131}, "patient.ageYears"),
        ({"ageYears": "63"}, "patient.ageYears"),
        ({"ageYears": True}, "patient.ageYears"),
        ({"sex": "f"}, "patient.sex"),
        ({"pregnant": "no"}, "patient.pregnant"),
        ({"colour": "blue"}, "patient.colour"),
        ({"measurements": [{"code": "EstimatedGFR", "value": "28", "unit": "u"}]}, "patient.measurements.0.value"),
        ({"measurements": [{"code": "EstimatedGFR", "value": 28}]}, "patient.measurements.0.unit"),
        (
            {"measurements": [{"code": "EstimatedGFR", "value": 28, "unit": "u", "date": "01.11.2026"}]},
            "patient.measurements.0.date",
        ),
        ({"medications": [{"code": "A", "started": "2026-02-02", "stopped": "2026-01-01"}]}, "patient.medications.0"),
        ({"medications": [{"code": "A", "status": "absent", "stopped": "2026-01-01"}]}, "patient.medications.0"),
        ({"courses": [{}]}, "patient.courses.0"),
        ({"courses": [{"substances": ["A"], "therapy": "B"}]}, "patient.courses.0"),
        ({"courses": [{"substances": ["A"], "weeks": -1}]}, "patient.courses.0.weeks"),
        ({"courses": [{"substances": ["A"], "start": "2026-03-01", "end": "2026-01-01"}]}, "patient.courses.0"),
        ({"courses": [{"substances": ["A"], "end": "2026-03-01", "ongoing": True}]}, "patient.courses.0"),
        ({"courses": [{"substances": ["A"], "weeks": 3, "weeksAtDose": 4}]}, "patient.courses.0"),
        ({"courses": [{"substances": ["A"], "outcome": "failed"}]}, "patient.courses.0.outcome"),
        ({"courses": [{"substances": ["A"], "dailyDoseMg": {"A": -5}}]}, "patient.courses.0.dailyDoseMg.A"),
        ({"judgedUnsuitable": [{"class": "A"}]}, "patient.judgedUnsuitable.0.reason"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_that_breaks_the_contract_is_named(patient: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        parsed(**patient)
    assert caught.value.place == place
    assert caught.value.problem.endswith(".")
    assert caught.value.mend


def test_further_faults_are_counted() -> None:
    with pytest.raises(InvalidRecord, match=r"2 more problem\(s\)"):
        parsed(ageYears=-1, colour="blue", sex="f")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (r'{"patient": {"findings": [{"code": "\ud800"}]}}', "patient.findings.0.code"),
        (r'{"patient": {"\udc00": 1}}', r"patient.\udc00"),
    ],
    ids=["value", "name"],
)
def test_a_lone_surrogate_is_named_as_such(body: str, place: str) -> None:
    with pytest.raises(InvalidRecord, match="lone surrogate") as caught:
        parse_request(body)
    assert caught.value.place == place
    str(caught.value).encode("utf-8")


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ({"findings": 1}, "a list is expected"),
        ({"findings": [1]}, "an object is expected"),
        ({"findings": []}, "list should have at least 1 item"),
        ({"courses": [{"substances": ["A"], "dailyDoseMg": []}]}, "an object is expected"),
        ({"courses": [{"substances": ["A"], "weeks": []}]}, "a number is expected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_messages_use_the_words_of_json(patient: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        parsed(**patient)
    assert caught.value.problem.startswith(expected)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"as_of": "2026-11-22", "patient": {"findings": PAIN}}, "as_of"),
        ({"patient": {"findings": PAIN, "age_years": 63}}, "patient.age_years"),
        ({"patient": {"findings": PAIN, "courses": [{"substances": ["A"], "daily_dose_mg": {}}]}}, "patient.courses.0"),
        ({"patient": {"findings": PAIN, "judgedUnsuitable": [{"class_": "A", "reason": "b"}]}}, "patient.judged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_the_documented_names_are_taken(document: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        parse_request(json.dumps(document))
    assert caught.value.place.startswith(place)


def test_the_schema_describes_numbers_as_numbers_with_their_bounds() -> None:
    definitions = EligibilityRequest.model_json_schema()["$defs"]
    age = {"type": "number", "minimum": 0, "maximum": 130}
    assert definitions["PatientEntry"]["properties"]["ageYears"]["anyOf"] == [age, {"type": "null"}]
    weeks = {"type": "number", "minimum": 0, "maximum": 5200}
    assert definitions["CourseEntry"]["properties"]["weeks"]["anyOf"] == [weeks, {"type": "null"}]
    dose = definitions["CourseEntry"]["properties"]["dailyDoseMg"]["additionalProperties"]
    assert dose == {"type": "number", "minimum": 0}
