"""One patient's facts as the compiled engine looks them up, under one reading of silence."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from rdflib import URIRef

from kg.abox import Reading
from kg.expressions import Truth
from kg.facts import Course, CoursePart, Medication, PatientFacts, Sex
from kg.hierarchy import Hierarchy
from kg.namespaces import NXL

SEX_CLASS = {Sex.FEMALE: str(NXL.FemalePatient), Sex.MALE: str(NXL.MalePatient)}
AGE = str(NXL.ageInYears)
_EMPTY: frozenset[str] = frozenset()


class Case:
    """The facts of a patient, in the sets and numbers that conditions ask for.

    Methods give three truth values. `courses_of` has the courses by therapy, `parts_of` the parts of courses by
    substance, `vague` the courses with a substance that is not specified. `left_out` is a set of classes of options that
    are taken as not stated. `memo` keeps what was found for named classes,
    `contraindications` what the engine found to be forbidden, `pinned` what has to live as long as the case.
    """

    __slots__ = (
        "contraindications",
        "courses_of",
        "denied",
        "facts",
        "held",
        "hierarchy",
        "is_closed",
        "kept",
        "left_out",
        "memo",
        "open",
        "parts_of",
        "pinned",
        "reading",
        "vague",
    )

    def __init__(self, hierarchy: Hierarchy, facts: PatientFacts, reading: Reading, left_out: int = 0) -> None:
        self.hierarchy = hierarchy
        self.left_out = left_out
        self.facts = facts
        self.reading = reading
        self.is_closed = reading is not Reading.OPEN or facts.medications_complete
        present = [hierarchy.finding(f) for f in facts.present]
        self.held = _EMPTY.union(*(f.above for f in present))
        self.denied = _EMPTY.union(*(hierarchy.finding(f).below for f in facts.absent))
        reported = (*present, *(hierarchy.finding(f) for f in facts.possible))
        self.open = _EMPTY.union(*(hierarchy.left_open(f, self.denied) for f in reported)) - self.held
        sex = SEX_CLASS.get(facts.sex)
        if sex is not None:
            self.denied |= hierarchy.denied_by(sex)
        self.kept = hierarchy.never_assumed_absent if reading is Reading.ASSUMED else _EMPTY
        self.memo: dict[Any, Truth] = {}
        self.pinned: list[object] = []
        self.contraindications: Any = None
        self.courses_of: dict[URIRef | None, list[Course]] = {}
        self.parts_of: dict[URIRef, list[tuple[Course, CoursePart]]] = {}
        self.vague: list[Course] = []
        for course in facts.courses:
            self.courses_of.setdefault(course.therapy, []).append(course)
            for part in course.parts:
                self.parts_of.setdefault(part.substance, []).append((course, part))
            if any(not hierarchy.is_leaf(part.substance) for part in course.parts):
                self.vague.append(course)

    def with_classes(self, classes: Iterable[str]) -> Case:
        """The same patient, taken to belong to some named classes."""
        case = self._copied()
        case.memo.update(dict.fromkeys(classes, True))
        case.contraindications = self.contraindications
        return case

    def of_reading(self, reading: Reading) -> Case:
        """The same patient with silence read in another way."""
        case = self._copied()
        case.reading = reading
        case.is_closed = reading is not Reading.OPEN or self.facts.medications_complete
        case.kept = self.hierarchy.never_assumed_absent if reading is Reading.ASSUMED else _EMPTY
        return case

    def _copied(self) -> Case:
        """The same facts with nothing found of them yet; written out, since this is done for every patient."""
        case = object.__new__(Case)
        case.hierarchy, case.facts, case.reading = self.hierarchy, self.facts, self.reading
        case.left_out = self.left_out
        case.is_closed, case.kept = self.is_closed, self.kept
        case.held, case.open, case.denied = self.held, self.open, self.denied
        case.courses_of, case.parts_of, case.vague = self.courses_of, self.parts_of, self.vague
        case.memo, case.pinned, case.contraindications = {}, [], None
        return case

    def has_finding(self, term: str) -> Truth:
        """Whether the patient has a finding of the class `term`."""
        if term in self.held:
            return True
        if term in self.denied:
            return False
        return None if term in self.open or term in self.kept or self.reading is Reading.OPEN else False

    def is_of_sex(self, term: str) -> Truth:
        """Whether the patient belongs to the class of a sex; other and unknown leave it open."""
        own = SEX_CLASS.get(self.facts.sex)
        return None if own is None else own == term

    def has_quantity(self, quantity: str, interval: tuple[Any, ...]) -> Truth:
        """Whether the age or a measurement lies within bounds."""
        if quantity == AGE:
            age = self.facts.age_years
            return None if age is None else within(interval, age)
        for measurement in self.facts.measurements:
            if str(measurement.quantity) == quantity:
                return None if measurement.is_stale else within(interval, measurement.value)
        return None if self.reading is Reading.OPEN else False

    def takes(self, group: str, interval: tuple[Any, ...]) -> Truth:
        """Whether something of a group was taken within a window of days."""
        result: Truth = False
        for medication in self.facts.medications:
            taken = self.medication(medication, group, interval)
            if taken is True:
                return True
            if taken is None:
                result = None
        if result is False and self.is_closed:
            return False
        return False if any(self._rules_out(a, group, interval) for a in self.facts.absent_medications) else None

    def _rules_out(self, absent: URIRef, group: str, interval: tuple[Any, ...]) -> bool:
        """Whether the absence of one group says that nothing of another was taken within a window."""
        high = interval[2]
        covered = high is not None and high <= self.hierarchy.wash_out_days(absent)
        return covered and self.hierarchy.relation(URIRef(group), str(absent)) is True

    def medication(self, medication: Medication, group: str, interval: tuple[Any, ...]) -> Truth:
        """Whether one medication is of a group and was taken within a window."""
        related = self.hierarchy.relation(medication.substance, group)
        if related is False:
            return False
        inside = number(interval, medication.days_since_last, medication.at_most_days, exists=True)
        if inside is False:
            return False
        return True if related is True and inside is True else None


def within(interval: tuple[Any, ...], value: Decimal | int) -> bool:
    """Whether a number lies within bounds."""
    low, low_open, high, high_open = interval
    if low is not None and (value < low or (low_open and value == low)):
        return False
    return not (high is not None and (value > high or (high_open and value == high)))


def number(interval: tuple[Any, ...], value: int | None, most: int | None, *, exists: bool = False) -> Truth:
    """Whether a number that is known, or bounded by `most`, lies within bounds.

    With `exists` there is such a number, even if nobody knows it: it is then within an interval that holds all it may be.
    """
    if value is not None:
        return within(interval, value)
    low, low_open, high, _ = interval
    if most is not None and low is not None and (most < low or (low_open and most == low)):
        return False
    if exists and low is None and (high is None or (most is not None and within(interval, most))):
        return True
    return None
