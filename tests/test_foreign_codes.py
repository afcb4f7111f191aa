"""A foreign code never says more than it means: present, absent or unmapped."""

from __future__ import annotations

import csv
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rdflib import SKOS, Literal, URIRef

from kg.answer import Answerer
from kg.errors import InvalidRecord
from kg.facts import Policy
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.reading import ReadRecord, read_record
from kg.request import parse_request
from kg.vocabulary import Broader, Vocabulary
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


@pytest.mark.parametrize("code", ["ICD10CM:J45.50", "icd10cm:j45.50", "ICD10CM:J4550", "ICD10CM: j4550 "])
def test_a_code_that_nests_may_be_spelt_in_any_case_and_without_its_point(knowledge: Knowledge, code: str) -> None:
    found = read(knowledge, findings=[PAIN, {"code": code}])
    assert NXL.SevereAsthma in found.facts.present
    assert not found.issues


def test_a_category_that_no_term_equals_may_mean_whatever_lies_in_it(answerer: Answerer) -> None:
    """Asthma of a severity that the code leaves open: silence about severe asthma is not absence then."""
    assert "AcuteOrSevereAsthma" in missing(
        answerer, "MorphineTherapy", Policy.ABSENT, findings=[PAIN, {"code": "ICD10CM:J45"}]
    )


def test_a_code_below_a_mapped_one_means_the_same_finding(knowledge: Knowledge) -> None:
    found = read(knowledge, findings=[PAIN, {"code": "ICD10CM:J45.50X"}])
    assert NXL.SevereAsthma in found.facts.present


def test_the_beginning_of_a_category_means_nothing(knowledge: Knowledge) -> None:
    assert [issue.kind for issue in read(knowledge, findings=[PAIN, {"code": "ICD10CM:J"}]).issues] == ["unmapped-code"]


def test_absence_of_a_category_denies_what_lies_in_it(answerer: Answerer) -> None:
    """Asthma of any kind; what remains is asked of other findings."""
    absent = [PAIN, {"code": "ICD10CM:J45", "status": "absent"}]
    assert "SevereAsthma" not in missing(answerer, "MorphineTherapy", Policy.UNKNOWN, findings=absent)


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


# --- the mappings as a whole --------------------------------------------------------------------------------------

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("NEXTLINE_SHARED", HERE.parent.parent / "shared")) / "facts"
LEFT_OUT = HERE / "left_out_codes.csv"
RELATIONS = (SKOS.exactMatch, SKOS.broadMatch, SKOS.narrowMatch, SKOS.relatedMatch)
COLUMNS = {"snomed_ct": "SNOMED", "icd10cm": "ICD10CM", "icd11": "ICD11", "mondo": "MONDO"}
PROTECTED = ("SNOMED", "ATC", "ICD11")

needs_research = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the research tables are not here; NEXTLINE_SHARED names them"
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def codes_of(row: dict[str, str]) -> list[str]:
    """The codes of a row of the research tables, as requests write them."""
    found = [(system, row.get(column, "")) for column, system in COLUMNS.items()]
    return [
        f"{system}:{code.removeprefix('MONDO:')}" for system, cell in found for code in cell.replace(";", " ").split()
    ]


def foreign(knowledge: Knowledge, code: str) -> URIRef:
    system, _, value = code.partition(":")
    return URIRef(Vocabulary(knowledge).systems[system] + value)


def terms(knowledge: Knowledge, relation: URIRef, code: URIRef) -> set[URIRef]:
    return {URIRef(str(s)) for s in knowledge.graph.subjects(relation, code)}


def test_no_text_of_a_protected_terminology_is_carried(knowledge: Knowledge) -> None:
    """Codes are pointed at; nothing is said of them, so that none of their terms can stand there."""
    namespaces = tuple(Vocabulary(knowledge).systems[name] for name in PROTECTED)
    assert not [s for s in set(knowledge.graph.subjects()) if str(s).startswith(namespaces)]
    assert not [o for p in RELATIONS for o in knowledge.graph.objects(None, p) if not isinstance(o, URIRef)]


def test_a_code_means_one_finding_at_most(knowledge: Knowledge) -> None:
    for code in set(knowledge.graph.objects(None, SKOS.exactMatch)):
        meant = terms(knowledge, SKOS.exactMatch, URIRef(str(code))) & knowledge.findings
        assert len(meant) <= 1, (code, meant)


def test_a_code_stands_in_one_relation_to_a_term(knowledge: Knowledge) -> None:
    told: dict[tuple[Any, Any], list[URIRef]] = {}
    for relation in RELATIONS:
        for pair in knowledge.graph.subject_objects(relation):
            told.setdefault(pair, []).append(relation)
    assert not {pair: relations for pair, relations in told.items() if len(relations) > 1}


def test_the_directions_of_a_code_agree_with_the_hierarchy(knowledge: Knowledge) -> None:
    """A code that states a term means no more than what is above the term, and is no kind of what is below it."""
    taxonomy = knowledge.taxonomy
    for code in {URIRef(str(o)) for p in RELATIONS for o in knowledge.graph.objects(None, p)}:
        exact = terms(knowledge, SKOS.exactMatch, code) & knowledge.findings
        kind_of = terms(knowledge, SKOS.narrowMatch, code) & knowledge.findings
        wider_than = terms(knowledge, SKOS.broadMatch, code) & knowledge.findings
        for stated in exact | kind_of:
            assert not (taxonomy.above(stated) & wider_than), (code, stated)
        for meant in exact:
            assert kind_of <= taxonomy.above(meant), (code, meant, kind_of)


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        ("SNOMED:193184006", "PainfulDiabeticPolyneuropathy"),
        ("SNOMED:89627008", "Hyponatraemia"),
        ("ICD10CM:G40.919", "UncontrolledEpilepsy"),
        ("ICD10CM:G40.909", "Epilepsy"),
        ("ICD10CM:I50.22", "HeartFailure"),
        ("ICD10CM:N18.32", "ChronicKidneyDiseaseStage3"),
        ("ICD10CM:J45.909", "Asthma"),
        ("ICD10CM:I10", "EssentialHypertension"),
        ("ICD10CM:G90.50", "ComplexRegionalPainSyndromeTypeI"),
        ("ICD10CM:J96.00", "AcuteRespiratoryFailure"),
        ("ICD10CM:J96.02", "AcuteRespiratoryFailureWithHypercapnia"),
        ("ICD10CM:J96.11", "ReducedRespiratoryReserve"),
        ("ICD10CM:J96.12", "RespiratoryFailureWithHypercapnia"),
    ],
)
def test_a_code_states_no_more_than_it_says(knowledge: Knowledge, code: str, finding: str) -> None:
    resolved = Vocabulary(knowledge).resolve_finding(code, "here")
    assert isinstance(resolved, URIRef) and local_name(resolved) == finding


@pytest.mark.parametrize(
    "code",
    [
        "ICD10CM:G62.1",
        "ICD10CM:G62.9",
        "ICD10CM:E10.42",
        "ICD10CM:M54.16",
        "SNOMED:7916009",
        "ICD10CM:G89.22",
        "ICD10CM:Z18.10",
    ],
)
def test_a_code_that_tells_of_no_pain_states_none(knowledge: Knowledge, code: str) -> None:
    assert isinstance(Vocabulary(knowledge).resolve_finding(code, "here"), Broader)


def test_every_quantity_has_a_code_of_its_own(knowledge: Knowledge) -> None:
    loinc = Vocabulary(knowledge).systems["LOINC"]
    for quantity in knowledge.quantities:
        assert [o for o in knowledge.graph.objects(quantity, SKOS.exactMatch) if str(o).startswith(loinc)], quantity


def test_what_is_left_out_has_a_reason() -> None:
    left_out = rows(LEFT_OUT)
    assert all(row["reason"].endswith(".") for row in left_out)
    assert len({(row["row_id"], row["code"]) for row in left_out}) == len(left_out)


@needs_research
def test_every_condition_of_the_research_has_its_codes(knowledge: Knowledge) -> None:
    left_out = {(row["row_id"], row["code"]) for row in rows(LEFT_OUT)}
    carried = {str(o) for o in knowledge.graph.objects(None, NXL.researchRow)}
    conditions = rows(SHARED / "conditions.csv")
    assert not [row["cond_id"] for row in conditions if row["cond_id"] not in carried]
    lacking = {
        (row["cond_id"], code)
        for row in conditions
        for code in codes_of(row)
        if not any(terms(knowledge, p, foreign(knowledge, code)) for p in RELATIONS)
    }
    assert lacking == left_out


@needs_research
def test_every_code_of_a_contraindication_is_known(knowledge: Knowledge) -> None:
    left_out = {row["code"] for row in rows(LEFT_OUT)}
    codes = {code for row in rows(SHARED / "contraindications.csv") for code in codes_of(row)} - left_out
    assert not [c for c in codes if not any(terms(knowledge, p, foreign(knowledge, c)) for p in RELATIONS)]


@needs_research
def test_a_code_that_is_only_near_is_never_exact(knowledge: Knowledge) -> None:
    """Of the condition of the row, that is of its most specific terms; a wider term of the row may be what it means."""
    for row in rows(SHARED / "contraindications.csv"):
        if row["code_match"] == "proxy":
            carriers = {URIRef(str(s)) for s in knowledge.graph.subjects(NXL.researchRow, Literal(row["row_id"]))}
            conditions = set(knowledge.taxonomy.most_specific(carriers & knowledge.findings))
            for code in codes_of(row):
                exact = terms(knowledge, SKOS.exactMatch, foreign(knowledge, code)) & conditions
                assert not exact, (row["row_id"], code, exact)
