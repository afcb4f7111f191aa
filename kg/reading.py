"""From a request to the facts of a record: codes resolved, dates reckoned, contradictions found, nothing dropped silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from rdflib import URIRef

from kg.case import SEX_CLASS
from kg.errors import ContradictoryRecord, InvalidRecord
from kg.facts import Course, CoursePart, Judgement, Measurement, Medication, PatientFacts
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.request import CourseEntry, EligibilityRequest, MeasurementEntry
from kg.therapies import used_by
from kg.vocabulary import Broader, Unmapped, Vocabulary

_V = TypeVar("_V")
_WEEK = 7  # days: weeks are counted roughly


@dataclass(frozen=True, slots=True)
class InputIssue:
    """Something of the record that could not be used as given; `place` is its path in the request."""

    kind: str
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """The facts of a record, what could not be used of it, and where in the request each fact stands.

    `places` has a path by kind of fact and by what identifies the fact among those of its kind.
    """

    facts: PatientFacts
    issues: tuple[InputIssue, ...]
    places: Mapping[tuple[str, object], str]


def read_record(knowledge: Knowledge, vocabulary: Vocabulary, request: EligibilityRequest, today: date) -> ReadRecord:
    """Resolve a request against the ontology.

    Raises InvalidRecord for a code, unit or date that cannot be meant, ContradictoryRecord where something is said to
    be both present and absent. What is merely not mapped becomes an issue.
    """
    reader = _Reader(knowledge, vocabulary, request, request.as_of or today)
    return reader.read()


class _Reader:
    def __init__(self, knowledge: Knowledge, vocabulary: Vocabulary, request: EligibilityRequest, as_of: date) -> None:
        self.knowledge = knowledge
        self.vocabulary = vocabulary
        self.patient = request.patient
        self.as_of = as_of
        self.issues: list[InputIssue] = []
        self.unmapped_substance = False
        self.unmapped_findings: dict[str, list[str]] = {"present": [], "absent": []}
        self.possible: dict[URIRef, str] = {}
        self.unmapped_courses: list[tuple[int, CourseEntry]] = []
        self.places: dict[tuple[str, object], str] = {}

    def read(self) -> ReadRecord:
        present, absent = self._findings()
        courses = self._courses()
        medications, absent_medications = self._medications(courses)
        facts = PatientFacts(
            as_of=self.as_of,
            age_years=self.patient.age_years,
            sex=self.patient.sex,
            present=tuple(sorted(present)),
            absent=tuple(sorted(absent)),
            measurements=self._measurements(),
            medications=medications,
            absent_medications=absent_medications,
            medications_complete=self.patient.medications_complete and not self.unmapped_substance,
            courses=tuple(course for course, _ in courses),
            judgements=self._judgements(),
            possible=tuple(sorted(t for t in self.possible if not self.knowledge.taxonomy.above(t) & absent.keys())),
        )
        return ReadRecord(facts, tuple(self.issues), self.places)

    def issue(self, kind: str, place: str, message: str) -> None:
        self.issues.append(InputIssue(kind, place, message))

    # -- findings

    def _findings(self) -> tuple[dict[URIRef, str], dict[URIRef, str]]:
        present: dict[URIRef, str] = {}
        absent: dict[URIRef, str] = {}
        for index, entry in enumerate(self.patient.findings):
            place = f"patient.findings.{index}"
            if entry.onset and entry.onset > self.as_of:
                self.issue("future", place, f"'{entry.code}' begins after {self.as_of}; it is not counted.")
                continue
            if entry.resolved and entry.resolved <= self.as_of:
                self.issue(
                    "resolved", place, f"'{entry.code}' resolved on {entry.resolved}; it is not counted as present."
                )
                continue
            terms: tuple[URIRef, ...] | Broader | Unmapped
            if entry.status == "present":
                term = self.vocabulary.resolve_finding(entry.code, f"{place}.code")
                terms = (term,) if isinstance(term, URIRef) else term
            else:
                terms = self.vocabulary.resolve_absent(entry.code, NXL.Finding, f"{place}.code")
            if isinstance(terms, Broader):
                meant = " or ".join(f"'{self.knowledge.label(t)}'" for t in terms.terms)
                self.issue(
                    "broader-code",
                    f"{place}.code",
                    f"the code '{entry.code}' is wider than {meant}; whether that is meant stays open.",
                )
                self.possible |= dict.fromkeys(terms.terms, place)
                continue
            if isinstance(terms, Unmapped):
                self.issue("unmapped-code", f"{place}.code", f"the code '{entry.code}' is not mapped; it is not used.")
                self.unmapped_findings[entry.status].append(f"{place}.code")
                continue
            for found in terms:
                (present if entry.status == "present" else absent).setdefault(found, place)
        unmapped = self.unmapped_findings["present"] or ([] if absent else self.unmapped_findings["absent"])
        if unmapped and not present and not self.possible:
            raise InvalidRecord(
                unmapped[0],
                "the only finding that is present, or each of them, is not mapped.",
                "Give the pain by an ontology name.",
            )
        self._fields(present, absent)
        for absent_term, absent_place in absent.items():
            for term, place in present.items():
                if self.knowledge.taxonomy.is_a(term, absent_term):
                    self._contradiction(term, place, absent_term, absent_place)
        self._check_sex(present)
        self.places |= {("finding", str(term)): place for term, place in present.items()}
        self.places |= {("absence", str(term)): place for term, place in absent.items()}
        return present, absent

    def _check_sex(self, present: dict[URIRef, str]) -> None:
        """A finding that the recorded sex excludes is a contradiction, and which of the two is wrong nobody knows."""
        sex = SEX_CLASS.get(self.patient.sex)
        excluded = self.knowledge.excluded_findings.get(URIRef(sex), frozenset()) if sex else frozenset()
        for term, place in present.items():
            if term in excluded:
                raise ContradictoryRecord(
                    place,
                    f"'{self.knowledge.label(term)}' is present, but the sex at patient.sex is "
                    f"{self.patient.sex.value}.",
                    "Correct one of the two.",
                )

    def _fields(self, present: dict[URIRef, str], absent: dict[URIRef, str]) -> None:
        """Fields of the record that report a finding, such as `pregnant`."""
        for name, finding in self.knowledge.finding_by_field.items():
            value = getattr(self.patient, name, None)
            if value is not None:
                (present if value else absent).setdefault(finding, f"patient.{name}")

    def _contradiction(self, term: URIRef, place: str, absent_term: URIRef, absent_place: str) -> None:
        label = self.knowledge.label
        raise ContradictoryRecord(
            absent_place,
            f"'{label(absent_term)}' is absent here, but '{label(term)}' is present at {place}.",
            "Remove one of the two, or state the broader one as present.",
        )

    # -- measurements

    def _measurements(self) -> tuple[Measurement, ...]:
        latest: dict[URIRef, tuple[date, MeasurementEntry, str]] = {}
        for index, entry in enumerate(self.patient.measurements):
            place = f"patient.measurements.{index}"
            quantity = self.vocabulary.quantity(entry.code, f"{place}.code")
            if isinstance(quantity, Unmapped):
                self.issue("unmapped-code", f"{place}.code", f"the code '{entry.code}' is not mapped; it is not used.")
                continue
            unit = str(self.knowledge.graph.value(quantity, NXL.ucumUnit))
            if entry.unit != unit:
                raise InvalidRecord(
                    f"{place}.unit",
                    f"the unit '{entry.unit}' is not the one of {entry.code}.",
                    f"Give the value in {unit} (UCUM).",
                )
            # An undated value may be old: it never displaces a dated one, and is taken as stale.
            measured = entry.date or date.min
            if measured > self.as_of:
                self.issue("future", place, f"'{entry.code}' was measured after {self.as_of}; it is not counted.")
                continue
            if entry.date is not None and self._is_stale(quantity, measured):
                self.issue("stale", place, f"'{entry.code}' of {entry.date} is too old to decide anything.")
            if entry.date is None:
                self.issue("undated", place, f"'{entry.code}' has no date; it may be old and decides nothing.")
            known = latest.get(quantity)
            if known is not None and known[0] == measured and known[1].value != entry.value:
                raise ContradictoryRecord(
                    place, f"'{entry.code}' has another value of the same day at {known[2]}.", "Keep one value a day."
                )
            if known is not None:
                self.issue(
                    "superseded",
                    place if known[0] >= measured else known[2],
                    f"the value of '{entry.code}' that is not newer is not used.",
                )
            if known is None or measured > known[0]:
                latest[quantity] = (measured, entry, place)
        self.places |= {("measurement", str(quantity)): place for quantity, (_, _, place) in latest.items()}
        return tuple(
            Measurement(
                quantity, entry.value, None if measured == date.min else measured, self._is_stale(quantity, measured)
            )
            for quantity, (measured, entry, _) in sorted(latest.items())
        )

    def _is_stale(self, quantity: URIRef, measured: date) -> bool:
        limit = self.knowledge.graph.value(quantity, NXL.staleAfterDays)
        return measured == date.min or (limit is not None and (self.as_of - measured).days > int(str(limit)))

    # -- courses

    def _courses(self) -> list[tuple[Course, CourseEntry]]:
        courses = []
        for index, entry in enumerate(self.patient.courses):
            course = self._course(index, entry)
            if course is not None:
                courses.append((course, entry))
        return sorted(courses, key=lambda pair: (repr(_order(pair[0])), pair[0].source_index))

    def _course(self, index: int, entry: CourseEntry) -> Course | None:
        place = f"patient.courses.{index}"
        for name, day in (("start", entry.start), ("end", entry.end)):
            if day and day > self.as_of:
                raise InvalidRecord(
                    f"{place}.{name}", f"{day} is after the as-of date {self.as_of}.", "Correct one of the two."
                )
        if entry.therapy is not None:
            resolved = self._therapy_substances(entry.therapy, f"{place}.therapy")
        else:
            resolved = self._substances(entry.substances, f"{place}.substances")
        if resolved is None:
            self.unmapped_substance = True
            self.unmapped_courses.append((index, entry))
            return None
        substances = tuple(resolved[code] for code in resolved)
        doses = self._by_substance(entry.daily_dose_mg, resolved, f"{place}.dailyDoseMg")
        named = dict.fromkeys(entry.not_tolerated or (), True)
        intolerances = self._by_substance(named, resolved, f"{place}.notTolerated")
        duration = self._duration(place, entry)
        parts = tuple(
            self._part(s, entry, doses.get(s), self._tolerance(s, substances, intolerances, entry))
            for s in sorted(set(substances))
        )
        at_dose = None if entry.weeks_at_dose is None else int(entry.weeks_at_dose * 7)
        if at_dose is not None and duration is not None and at_dose > duration:
            self.issue(
                "time-at-dose",
                f"{place}.weeksAtDose",
                f"{entry.weeks_at_dose:g} weeks at dose are longer than the course of {duration} days; {duration} days count.",
            )
            at_dose = duration
        if at_dose is None and all(self._dose_is_stated(p) for p in parts):
            at_dose = duration  # a stated dose was held for the whole course unless the record says otherwise
        return Course(
            therapy=self._therapy_of(frozenset(substances)),
            is_combination=len(resolved) > 1,
            parts=parts,
            duration_days=duration,
            days_at_therapeutic_dose=at_dose,
            at_most_days_at_dose=duration if at_dose is None else at_dose,
            outcome=None if entry.outcome == "unknown" else entry.outcome,
            is_ongoing=entry.ongoing if entry.ongoing is not None else (False if entry.end else None),
            source_index=index,
        )

    def _therapy_substances(self, code: str, place: str) -> dict[str, URIRef] | None:
        therapy = self.vocabulary.resolve(code, NXL.Therapy, place)
        if isinstance(therapy, Unmapped):
            self.issue(
                "unmapped-code",
                place,
                f"the code '{code}' is not mapped; the course is no trial, and what it used may be any substance.",
            )
            return None
        uses = used_by(self.knowledge.graph, therapy)
        if not uses:
            raise InvalidRecord(
                place, f"'{code}' does not say what it uses.", "Name the substances, or a therapy that uses something."
            )
        return {local_name(substance): substance for substance in uses}

    def _substances(self, codes: tuple[str, ...], place: str) -> dict[str, URIRef] | None:
        """The substances of a course by their codes; None if none of these is mapped, so that nobody knows what it was.

        One that is not mapped beside others may be any substance.
        """
        resolved: dict[str, URIRef] = {}
        unmapped: list[str] = []
        for index, code in enumerate(codes):
            substance = self.vocabulary.resolve(code, NXL.Intervention, f"{place}.{index}")
            if isinstance(substance, Unmapped):
                self.issue(
                    "unmapped-code", f"{place}.{index}", f"the code '{code}' is not mapped; it may be any substance."
                )
                unmapped.append(code)
            elif substance in resolved.values():
                raise InvalidRecord(
                    f"{place}.{index}", f"'{code}' stands twice in one course.", "Name each substance once."
                )
            else:
                resolved[code] = substance
        if not resolved:
            return None
        self.unmapped_substance = self.unmapped_substance or bool(unmapped)
        return resolved | dict.fromkeys(unmapped, NXL.Substance)

    def _by_substance(self, values: Mapping[str, _V], resolved: dict[str, URIRef], place: str) -> dict[URIRef, _V]:
        found: dict[URIRef, _V] = {}
        for code, value in values.items():
            substance: URIRef | Unmapped | None = resolved.get(code)
            if substance is None:
                substance = self.vocabulary.resolve(code, NXL.Intervention, place)
            if substance not in resolved.values():
                raise InvalidRecord(
                    place, f"'{code}' is not a substance of this course.", f"Use {', '.join(resolved)}."
                )
            found[URIRef(str(substance))] = value
        return found

    def _part(
        self, substance: URIRef, entry: CourseEntry, dose: Decimal | None, not_tolerated: bool | None
    ) -> CoursePart:
        reached = entry.reached_therapeutic_dose
        dosed = any(self.knowledge.interventions.is_a(substance, group) for group in self.knowledge.dosed_groups)
        if reached is None and dose is not None and dosed:
            reached = False  # the dose itself decides
        return CoursePart(substance, dose, reached, bool(entry.maximum_tolerated_dose), not_tolerated)

    def _dose_is_stated(self, part: CoursePart) -> bool:
        groups = self.knowledge.undosed_groups
        has_none = any(self.knowledge.interventions.is_a(part.substance, group) for group in groups)
        return part.daily_dose_mg is not None or part.at_maximum_tolerated_dose or has_none

    @staticmethod
    def _tolerance(
        substance: URIRef, substances: tuple[URIRef, ...], named: dict[URIRef, bool], entry: CourseEntry
    ) -> bool | None:
        if named or (entry.not_tolerated is not None and entry.outcome != "not-tolerated"):
            return named.get(substance, False)
        if entry.outcome == "not-tolerated":
            return True if len(substances) == 1 else None
        return None if entry.outcome == "unknown" else False

    def _duration(self, place: str, entry: CourseEntry) -> int | None:
        last = entry.end or (self.as_of if entry.ongoing else None)
        by_dates = (last - entry.start).days if entry.start and last else None
        by_weeks = None if entry.weeks is None else int(entry.weeks * 7)
        if by_dates is not None and by_weeks is not None and by_weeks > by_dates + _WEEK:
            raise InvalidRecord(
                f"{place}.weeks", f"{entry.weeks} weeks do not fit between the dates.", "Correct one of the two."
            )
        duration = by_weeks if by_weeks is not None else by_dates
        if by_dates is not None and by_weeks is not None and not -1 <= by_dates - by_weeks <= _WEEK:
            duration = min(by_dates, by_weeks)
            self.issue(
                "weeks-and-dates",
                f"{place}.weeks",
                f"the dates are {by_dates} days apart, {entry.weeks:g} weeks are {by_weeks} days; {duration} days count.",
            )
        if duration is not None and entry.weeks_at_dose is not None and int(entry.weeks_at_dose * 7) > duration + _WEEK:
            raise InvalidRecord(
                f"{place}.weeksAtDose", "the time at dose is longer than the course.", "Correct one of the two."
            )
        return duration

    def _therapy_of(self, substances: frozenset[URIRef]) -> URIRef | None:
        return next((t.iri for t in self.knowledge.therapies if frozenset(t.uses) == substances), None)

    # -- medications

    def _medications(
        self, courses: list[tuple[Course, CourseEntry]]
    ) -> tuple[tuple[Medication, ...], tuple[URIRef, ...]]:
        medications: dict[Medication, str] = {}
        absent: dict[URIRef, str] = {}
        for index, entry in enumerate(self.patient.medications):
            place = f"patient.medications.{index}"
            if entry.started and entry.started > self.as_of:
                self.issue("future", place, f"'{entry.code}' starts after {self.as_of}; it is not counted.")
                continue
            if entry.status == "absent":
                denied = self.vocabulary.resolve_absent(entry.code, NXL.Intervention, f"{place}.code")
                if isinstance(denied, Unmapped):
                    self.issue(
                        "unmapped-code", f"{place}.code", f"the code '{entry.code}' is not mapped; it is not used."
                    )
                    continue
                for group in denied:
                    absent.setdefault(group, place)
                continue
            substance = self.vocabulary.resolve(entry.code, NXL.Intervention, f"{place}.code")
            if isinstance(substance, Unmapped):
                self.issue(
                    "unmapped-code",
                    f"{place}.code",
                    f"the code '{entry.code}' is not mapped; it may be any substance.",
                )
                self.unmapped_substance = True
                substance = NXL.Substance
            stopped = entry.stopped if entry.stopped and entry.stopped <= self.as_of else None
            days = (self.as_of - stopped).days if stopped else 0
            medications.setdefault(Medication(substance, days), place)
        for course, course_entry in courses:
            for part in course.parts:
                medication = self._course_medication(part.substance, course_entry)
                medications.setdefault(medication, f"patient.courses.{course.source_index}")
        for index, course_entry in self.unmapped_courses:
            medications.setdefault(self._course_medication(NXL.Substance, course_entry), f"patient.courses.{index}")
        self._check_absences(medications, absent)
        for medication, place in medications.items():
            key = (str(medication.substance), medication.days_since_last, medication.at_most_days)
            self.places["medication", key] = place
        return tuple(
            sorted(medications, key=lambda m: (m.substance, str(m.days_since_last), str(m.at_most_days)))
        ), tuple(sorted(absent))

    def _course_medication(self, substance: URIRef, entry: CourseEntry) -> Medication:
        if entry.ongoing:
            return Medication(substance, 0)
        if entry.end:
            return Medication(substance, (self.as_of - entry.end).days)
        return Medication(substance, None, (self.as_of - entry.start).days if entry.start else None)

    def _check_absences(self, medications: dict[Medication, str], absent: dict[URIRef, str]) -> None:
        for group, absent_place in absent.items():
            for medication, place in medications.items():
                days = medication.at_most_days if medication.days_since_last is None else medication.days_since_last
                recent = days is not None and days <= self.knowledge.wash_out_days(group)
                if recent and self.knowledge.interventions.is_a(medication.substance, group):
                    self._contradiction(medication.substance, place, group, absent_place)

    def _judgements(self) -> tuple[Judgement, ...]:
        judgements = []
        for index, entry in enumerate(self.patient.judged_unsuitable):
            place = f"patient.judgedUnsuitable.{index}.class"
            term = self.vocabulary.resolve(entry.class_, NXL.Intervention, place)
            if isinstance(term, Unmapped):
                self.issue(
                    "unmapped-code", place, f"the code '{entry.class_}' is not mapped; the judgement is not used."
                )
            else:
                judgements.append(Judgement(term, entry.reason))
                self.places["judgement", (str(term), entry.reason)] = f"patient.judgedUnsuitable.{index}"
        return tuple(sorted(judgements, key=lambda j: (j.intervention, j.reason)))


def _order(course: Course) -> tuple[object, ...]:
    """What a course is, without its place in the request: so that the order of input never matters."""
    return (course.parts, course.duration_days, course.days_at_therapeutic_dose, course.outcome, course.is_ongoing)
