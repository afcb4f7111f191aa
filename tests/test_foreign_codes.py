"""A foreign code never says more than it means: present, absent or unmapped."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from kg.answer import Answerer
from kg.errors import InvalidRecord
from kg.facts import Policy
from kg.knowledge import Knowledge
from kg.namespaces import local_name
from kg.reading import ReadRecord, read_record
from kg.request import parse_request
from kg.vocabulary import Vocabulary
from tests.judging import judge_therapies

PAIN = {"code": "PainfulDiabeticPolyneuropathy"}
EGFR = {"code": "EstimatedGFR", "unit": "mL/min/{1.73_m2}"}


def read(knowledge: Knowledge, **patient: Any) -> ReadRecord:
    request = parse_request(json.dumps({"patient": {"ageYears": 60, "findings": [PAIN], **patient}}))
    return read_record(knowledge, Vocabulary(knowledge), request, date(2026, 11, 22))


def missing(answerer: Answerer, therapy: str, policy: Policy, **patient: Any) -> set[str]:
    by_therapy = judge_therapies(answerer, read(answerer.knowledge, **patient).facts, policy)
    judged = next(found for of, found in by_therapy.items() if local_name(of.iri) == therapy)
    assert judged.truth is None
    return {local_name(m.term) for m in judged.missing}


def test_absence_of_a_wider_code_denies_only_what_it_covers(answerer: Answerer) -> None:
    absent = [PAIN, {"code": "ICD10CM:Z18.10", "status": "absent"}]
    asked = missing(answerer, "HighFrequencyMotorCortexRtmsTherapy", Policy.ABSENT, findings=absent)
    assert "CardiacPacemaker" in asked
    assert "IntracranialFerromagneticImplant" not in asked


def test_absence_of_a_narrower_code_denies_nothing(answerer: Answerer) -> None:
    absent = [PAIN, {"code": "ICD10CM:G40.909", "status": "absent"}]
    assert "UncontrolledEpilepsy" in missing(answerer, "TramadolTherapy", Policy.UNKNOWN, findings=absent)


def test_absence_of_one_member_does_not_contradict_another(answerer: Answerer) -> None:
    findings = [PAIN, {"code": "Type2DiabetesMellitus"}, {"code": "SNOMED:414916001", "status": "absent"}]
    assert not read(answerer.knowledge, findings=findings).issues
    medications = [{"code": "Venlafaxine"}, {"code": "ATC:N06AA", "status": "absent"}]
    assert not read(answerer.knowledge, medications=medications).issues


def test_an_unmapped_medication_may_be_any_substance(answerer: Answerer) -> None:
    medications = [{"code": "RxNorm:99999999"}]
    for policy in Policy:
        asked = missing(answerer, "DuloxetineTherapy", policy, medications=medications, medicationsComplete=True)
        assert "MonoamineOxidaseInhibitor" in asked


def test_a_group_that_may_hold_a_member_of_another_is_unspecified(answerer: Answerer) -> None:
    asked = missing(answerer, "ImipramineTherapy", Policy.ABSENT, medications=[{"code": "Antidepressant"}])
    assert "MonoamineOxidaseInhibitor" in asked


def test_an_undated_value_never_displaces_a_dated_one(answerer: Answerer) -> None:
    values = [{**EGFR, "value": 20, "date": "2026-11-01"}, {**EGFR, "value": 80}]
    assert [m.value for m in read(answerer.knowledge, measurements=values).facts.measurements] == [20]
    asked = missing(answerer, "DuloxetineTherapy", Policy.ABSENT, measurements=[{**EGFR, "value": 80}])
    assert "estimatedGfr" in asked


def test_a_record_of_unmapped_findings_alone_is_refused(answerer: Answerer) -> None:
    with pytest.raises(InvalidRecord, match="not mapped"):
        read(answerer.knowledge, findings=[{"code": "SNOMED:1"}, {"code": "SNOMED:2"}])


@pytest.mark.parametrize(
    "body",
    [
        '{"patient":{"ageYears":1e-900000000,"findings":[{"code":"Epilepsy"}]}}',
        '{"patient":{"ageYears":1e999999999999999999999,"findings":[{"code":"Epilepsy"}]}}',
        '{"guidelines":["\\ud800"],"patient":{"findings":[{"code":"Epilepsy"}]}}',
        '{"\\ud800":1,"\\ud800":2}',
        '{"asOf":"0","patient":{"findings":[{"code":"Epilepsy"}]}}',
        '{"patient":{"findings":[{"code":"Epilepsy"}],"medications":[{"code":"Phenelzine","stopped":"0"}]}}',
    ],
)
def test_numbers_dates_and_text_out_of_range_are_refused(body: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        parse_request(body)
    str(caught.value).encode("utf-8")
