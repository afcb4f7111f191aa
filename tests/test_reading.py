"""From a request to facts: codes resolved, days reckoned, contradictions found, and nothing dropped silently."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from kg.errors import ContradictoryRecord, InvalidRecord
from kg.facts import Course
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.reading import ReadRecord, read_record
from kg.request import parse_request
from kg.sources import Sources
from kg.vocabulary import Vocabulary

DAY = date(2026, 11, 22)
PAIN = {"code": "PainfulDiabeticPolyneuropathy"}
EGFR = {"code": "EstimatedGFR", "value": 28, "unit": "mL/min/{1.73_m2}"}


@pytest.fixture(scope="module")
def stated(sources: Sources) -> Knowledge:
    return Knowledge(sources.graph)


class Reader:
    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.vocabulary = Vocabulary(knowledge)

    def __call__(self, *findings: dict[str, Any], **patient: Any) -> ReadRecord:
        document = {"asOf": str(DAY), "patient": {"findings": [PAIN, *findings], **patient}}
        return read_record(self.knowledge, self.vocabulary, parse_request(json.dumps(document)), DAY)

    def course(self, **course: Any) -> Course:
        return self(courses=[{"substances": ["Duloxetine"], **course}]).facts.courses[0]


@pytest.fixture(scope="module")
def read(stated: Knowledge) -> Reader:
    return Reader(stated)


# --- codes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "AcuteHepatitis",
        "nxl:AcuteHepatitis",
        "https://w3id.org/nextline/AcuteHepatitis",
        "SNOMED:37871000",
        "snomed:37871000",
    ],
)
def test_a_code_may_be_a_name_a_curie_or_of_another_system(read: Reader, code: str) -> None:
    assert NXL.AcuteHepatitis in read({"code": code}).facts.present


def test_a_misspelt_name_is_refused_with_what_may_be_meant(read: Reader) -> None:
    with pytest.raises(InvalidRecord, match="Did you mean Asthma") as caught:
        read({"code": "Astma"})
    assert caught.value.place == "patient.findings.1.code"


def test_a_name_of_another_branch_is_refused(read: Reader) -> None:
    with pytest.raises(InvalidRecord, match="is not a finding"):
        read({"code": "Morphine"})
    with pytest.raises(InvalidRecord, match="is not an intervention"):
        read(medications=[{"code": "Asthma"}])


def test_an_unmapped_code_is_reported_and_the_rest_is_used(read: Reader) -> None:
    record = read({"code": "SNOMED:1"}, {"code": "Asthma"})
    assert [(issue.kind, issue.place) for issue in record.issues] == [("unmapped-code", "patient.findings.1.code")]
    assert NXL.Asthma in record.facts.present


def test_an_unmapped_medication_leaves_the_list_open(read: Reader) -> None:
    """Nobody can say what it is, so that the list is not complete although the record says so."""
    record = read(medications=[{"code": "RxNorm:1"}], medicationsComplete=True)
    assert not record.facts.medications_complete
    assert record.issues
    assert read(medications=[], medicationsComplete=True).facts.medications_complete


def test_only_an_unmapped_finding_is_no_record(stated: Knowledge) -> None:
    for others in ([], [{"code": "Asthma", "status": "absent"}]):
        request = parse_request(json.dumps({"patient": {"findings": [*others, {"code": "SNOMED:1"}]}}))
        with pytest.raises(InvalidRecord, match="only finding") as caught:
            read_record(stated, Vocabulary(stated), request, DAY)
        assert caught.value.place == f"patient.findings.{len(others)}.code"


@pytest.mark.parametrize(
    "code",
    [
        "SNOMED:1<2",
        "Pain {x}",
        "nxl:A|B",
        "https://w3id.org/nextline/A B",
        "line\nfeed",
        "SNOMED:a\x7f",
        "`",
        "A" * 60 + '"',
    ],
)
@pytest.mark.parametrize("field", ["findings", "absent findings", "measurements", "medications", "substances", "class"])
def test_a_code_that_no_iri_can_hold_is_unknown_and_stays_out_of_the_log(
    read: Reader, code: str, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    records: dict[str, dict[str, Any]] = {
        "findings": {"findings": [PAIN, {"code": code}]},
        "absent findings": {"findings": [PAIN, {"code": code, "status": "absent"}]},
        "measurements": {"measurements": [{"code": code, "value": 1, "unit": "u"}]},
        "medications": {"medications": [{"code": code}]},
        "substances": {"courses": [{"substances": [code]}]},
        "class": {"judgedUnsuitable": [{"class": code, "reason": "r"}]},
    }
    document = {"patient": {"findings": [PAIN], **records[field]}}
    with pytest.raises(InvalidRecord, match="is not known") as caught:
        read_record(read.knowledge, read.vocabulary, parse_request(json.dumps(document)), DAY)
    assert caught.value.place.startswith("patient.")
    assert caught.value.problem.isprintable()
    assert len(caught.value.problem) < 100
    assert caplog.text == ""


# --- findings -----------------------------------------------------------------------------------------------------


def test_what_is_resolved_or_still_to_come_is_not_present_and_is_reported(read: Reader) -> None:
    record = read({"code": "Asthma", "resolved": "2026-11-22"}, {"code": "Epilepsy", "onset": "2026-11-23"})
    assert [local_name(f) for f in record.facts.present] == ["PainfulDiabeticPolyneuropathy"]
    assert [issue.kind for issue in record.issues] == ["resolved", "future"]
    assert NXL.Asthma in read({"code": "Asthma", "resolved": "2026-11-23"}).facts.present


@pytest.mark.parametrize(
    ("present", "absent"),
    [("Asthma", "Asthma"), ("SevereAsthma", "Asthma"), ("AcuteSevereAsthma", "RespiratoryFinding")],
)
def test_present_and_absent_exclude_each_other_at_any_level(read: Reader, present: str, absent: str) -> None:
    with pytest.raises(ContradictoryRecord) as caught:
        read({"code": present}, {"code": absent, "status": "absent"})
    assert caught.value.place == "patient.findings.2"


def test_a_broader_finding_may_be_present_while_a_narrower_one_is_absent(read: Reader) -> None:
    facts = read({"code": "Asthma"}, {"code": "SevereAsthma", "status": "absent"}).facts
    assert NXL.Asthma in facts.present
    assert NXL.SevereAsthma in facts.absent


def test_the_field_pregnant_is_a_finding(read: Reader) -> None:
    assert NXL.Pregnancy in read(pregnant=True).facts.present
    assert NXL.Pregnancy in read(pregnant=False).facts.absent
    with pytest.raises(ContradictoryRecord):
        read({"code": "Pregnancy"}, pregnant=False)


@pytest.mark.parametrize(
    ("sex", "finding"),
    [
        ("male", "Pregnancy"),
        ("male", "Breastfeeding"),
        ("male", "ChildbearingPotential"),
        ("female", "BenignProstaticHyperplasia"),
    ],
)
def test_a_finding_that_the_recorded_sex_excludes_is_refused(read: Reader, sex: str, finding: str) -> None:
    """Which of the two is wrong nobody knows; without the sex, or with another one, the finding stands."""
    with pytest.raises(ContradictoryRecord) as caught:
        read({"code": finding}, sex=sex)
    assert caught.value.place == "patient.findings.1"
    for other in {"male", "female", "other", "unknown"} - {sex}:
        assert NXL[finding] in read({"code": finding}, sex=other).facts.present


# --- measurements -------------------------------------------------------------------------------------------------


def test_the_latest_value_counts_and_the_older_one_is_reported(read: Reader) -> None:
    record = read(measurements=[EGFR | {"date": "2026-10-01"}, EGFR | {"value": 45.5, "date": "2026-11-01"}])
    assert [m.value for m in record.facts.measurements] == [Decimal("45.5")]
    assert [issue.kind for issue in record.issues] == ["superseded"]


def test_two_values_of_one_day_contradict_each_other(read: Reader) -> None:
    with pytest.raises(ContradictoryRecord):
        read(measurements=[EGFR | {"date": "2026-11-01"}, EGFR | {"date": "2026-11-01", "value": 60}])


def test_a_value_grows_stale_by_the_bound_of_the_ontology(read: Reader, stated: Knowledge) -> None:
    bound = int(str(stated.graph.value(NXL.estimatedGfr, NXL.staleAfterDays)))
    stale = [
        read(measurements=[EGFR | {"date": str(date.fromordinal(DAY.toordinal() - days))}])
        .facts.measurements[0]
        .is_stale
        for days in (bound, bound + 1)
    ]
    assert stale == [False, True]


def test_another_unit_is_refused_with_the_right_one(read: Reader) -> None:
    with pytest.raises(InvalidRecord, match=r"mL/min/\{1.73_m2\}") as caught:
        read(measurements=[EGFR | {"unit": "mL/s"}])
    assert caught.value.place == "patient.measurements.0.unit"


# --- courses ------------------------------------------------------------------------------------------------------


def test_a_duration_comes_from_weeks_or_from_dates(read: Reader) -> None:
    assert read.course(weeks=2).duration_days == 14
    assert read.course(start="2026-03-01", end="2026-03-14").duration_days == 13
    assert read.course(start="2026-11-01", ongoing=True).duration_days == 21
    assert read.course(end="2026-03-14").duration_days is None


def test_weeks_that_do_not_fit_between_the_dates_are_refused(read: Reader) -> None:
    with pytest.raises(InvalidRecord, match="do not fit"):
        read.course(start="2026-03-01", end="2026-03-14", weeks=8)


def test_where_weeks_and_dates_differ_the_shorter_counts_and_that_is_said(read: Reader) -> None:
    dates = {"start": "2026-01-01", "end": "2026-01-08"}
    for course, days_counted, kinds in (
        ({**dates, "weeks": 2}, 7, ["weeks-and-dates"]),
        ({"start": "2026-01-01", "end": "2026-03-01", "weeks": 1}, 7, ["weeks-and-dates"]),
        ({"start": "2026-01-01", "end": "2026-01-14", "weeks": 2}, 14, []),
        ({"start": "2026-01-01", "end": "2026-01-18", "weeks": 2}, 14, []),
    ):
        record = read(PAIN, courses=[{"substances": ["Duloxetine"], **course}])
        assert record.facts.courses[0].duration_days == days_counted
        assert [issue.kind for issue in record.issues] == kinds


def test_the_time_at_dose_is_no_longer_than_the_course(read: Reader) -> None:
    """Else a week would count as two."""
    course = {"substances": ["Duloxetine"], "start": "2026-01-01", "end": "2026-01-08", "weeksAtDose": 2}
    record = read(PAIN, courses=[course])
    assert record.facts.courses[0].days_at_therapeutic_dose == 7
    assert [(issue.kind, issue.place) for issue in record.issues] == [("time-at-dose", "patient.courses.0.weeksAtDose")]


def test_a_stated_dose_was_held_throughout_unless_the_record_says_otherwise(read: Reader) -> None:
    assert read.course(weeks=8, dailyDoseMg={"Duloxetine": 60}).days_at_therapeutic_dose == 56
    assert read.course(weeks=8, weeksAtDose=3, dailyDoseMg={"Duloxetine": 60}).days_at_therapeutic_dose == 21


def test_an_unknown_dose_leaves_the_time_at_dose_unknown_but_bounded(read: Reader) -> None:
    course = read.course(weeks=8)
    assert course.days_at_therapeutic_dose is None
    assert course.at_most_days_at_dose == 56


@pytest.mark.parametrize("substance", ["LidocainePlaster", "CapsaicinCream", "SpinalCordStimulation"])
def test_what_has_no_daily_dose_counts_by_its_duration(read: Reader, substance: str) -> None:
    assert read.course(substances=[substance], weeks=4).days_at_therapeutic_dose == 28


@pytest.mark.parametrize("substance", ["BotulinumToxinA", "TransdermalFentanyl", "Morphine"])
def test_what_is_dosed_but_not_in_mg_a_day_needs_a_word_on_the_dose(read: Reader, substance: str) -> None:
    course = read.course(substances=[substance], weeks=8)
    assert course.days_at_therapeutic_dose is None
    assert course.parts[0].reached_therapeutic_dose is None
    assert course.parts[0].reached_therapeutic_dose is None


def test_an_intolerance_concerns_whom_it_names(read: Reader) -> None:
    def tolerance(**course: Any) -> dict[str, bool | None]:
        facts = read(courses=[{"substances": ["Gabapentin", "Amitriptyline"], **course}]).facts
        return {local_name(p.substance): p.not_tolerated for p in facts.courses[0].parts}

    assert tolerance(outcome="not-tolerated", notTolerated=["Amitriptyline"]) == {
        "Amitriptyline": True,
        "Gabapentin": False,
    }
    assert tolerance(outcome="not-tolerated") == {"Amitriptyline": None, "Gabapentin": None}
    assert tolerance(outcome="inadequate-relief") == {"Amitriptyline": False, "Gabapentin": False}
    assert tolerance(outcome="unknown") == {"Amitriptyline": None, "Gabapentin": None}
    assert read.course(outcome="not-tolerated").parts[0].not_tolerated is True


def test_a_course_of_a_group_is_no_course_of_one_therapy(read: Reader) -> None:
    course = read(courses=[{"substances": ["TricyclicAntidepressant"], "weeks": 8}]).facts.courses[0]
    assert course.therapy is None
    assert read.course().therapy == NXL.DuloxetineTherapy


def test_a_therapy_may_stand_in_place_of_substances(read: Reader) -> None:
    by_therapy, by_substances = (
        read(courses=[course | {"weeks": 8}]).facts.courses[0]
        for course in ({"therapy": "MorphineWithGabapentinTherapy"}, {"substances": ["Gabapentin", "Morphine"]})
    )
    assert by_therapy == by_substances
    assert by_therapy.is_combination


@pytest.mark.parametrize(
    ("course", "place"),
    [
        ({"start": "2026-12-01"}, "patient.courses.0.start"),
        ({"end": "2026-12-01"}, "patient.courses.0.end"),
        ({"dailyDoseMg": {"Gabapentin": 300}}, "patient.courses.0.dailyDoseMg"),
        ({"notTolerated": ["Gabapentin"]}, "patient.courses.0.notTolerated"),
        ({"substances": ["Duloxetine", "Duloxetine"]}, "patient.courses.0.substances.1"),
        ({"substances": ["Nothing"]}, "patient.courses.0.substances.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_course_that_cannot_be_meant_is_refused(read: Reader, course: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        read.course(**course)
    assert caught.value.place == place


# --- medications --------------------------------------------------------------------------------------------------


def days(record: ReadRecord) -> dict[str, int | None]:
    return {local_name(m.substance): m.days_since_last for m in record.facts.medications}


def test_days_since_the_last_intake(read: Reader) -> None:
    medications = [
        {"code": "Phenelzine", "stopped": "2026-11-09"},
        {"code": "Sertraline"},
        {"code": "Tramadol", "stopped": "2026-12-01"},
    ]
    assert days(read(medications=medications)) == {"Phenelzine": 13, "Sertraline": 0, "Tramadol": 0}


def test_every_course_is_a_medication_too(read: Reader) -> None:
    courses = [
        {"substances": ["Tramadol"], "end": "2026-11-12"},
        {"substances": ["Gabapentin"], "start": "2026-11-01", "ongoing": True},
        {"substances": ["Phenelzine"], "weeks": 3},
    ]
    assert days(read(courses=courses)) == {"Tramadol": 10, "Gabapentin": 0, "Phenelzine": None}


def test_an_absent_group_excludes_a_member_taken_within_the_wash_out(read: Reader) -> None:
    absent = {"code": "MonoamineOxidaseInhibitor", "status": "absent"}
    with pytest.raises(ContradictoryRecord):
        read(medications=[{"code": "Phenelzine", "stopped": "2026-11-09"}, absent])
    assert read(medications=[{"code": "Phenelzine", "stopped": "2025-11-09"}, absent]).facts.absent_medications


def test_an_absent_group_excludes_a_course_without_end_that_began_within_the_wash_out(read: Reader) -> None:
    """Whenever it ended, it was within the days that the absence speaks of."""
    absent = {"code": "MonoamineOxidaseInhibitor", "status": "absent"}
    with pytest.raises(ContradictoryRecord) as caught:
        read(medications=[absent], courses=[{"substances": ["Phenelzine"], "start": "2026-11-17"}])
    assert caught.value.place == "patient.medications.0"
    for open_course in ({"start": "2025-11-17"}, {"weeks": 2}):
        record = read(medications=[absent], courses=[{"substances": ["Phenelzine"], **open_course}])
        assert record.facts.absent_medications == (NXL.MonoamineOxidaseInhibitor,)
