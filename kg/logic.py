"""Three-valued evaluation of expressions: each becomes a function once, when the program is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeAlias

from rdflib import URIRef

from kg.case import Case, number, within
from kg.expressions import Expression, Truth
from kg.facts import Course, CoursePart, Medication
from kg.hierarchy import Hierarchy
from kg.namespaces import NXL

PatientTest: TypeAlias = Callable[[Case], Truth]
CourseTest: TypeAlias = Callable[[Case, Course], Truth]
PartTest: TypeAlias = Callable[[Case, Course, CoursePart], Truth]
Test: TypeAlias = Callable[..., Truth]

_COURSE_NUMBERS: dict[str, Callable[[Course], tuple[int | None, int | None]]] = {
    str(NXL.durationDays): lambda course: (course.duration_days, None),
    str(NXL.daysAtTherapeuticDose): lambda course: (course.days_at_therapeutic_dose, course.at_most_days_at_dose),
}
_COURSE_VALUES: dict[str, Callable[[Course], object]] = {
    str(NXL.courseOutcome): lambda course: course.outcome,
    str(NXL.isOngoing): lambda course: course.is_ongoing,
}
_PART_VALUES: dict[str, Callable[[CoursePart], object]] = {
    str(NXL.reachedTherapeuticDose): lambda part: part.reached_therapeutic_dose,
    str(NXL.atMaximumToleratedDose): lambda part: part.at_maximum_tolerated_dose,
    str(NXL.notTolerated): lambda part: part.not_tolerated,
}
_PATIENT, _COURSE, _PART = 1, 2, 3  # how many arguments a test has
DOSE = str(NXL.dailyDoseMg)


class Logic:
    """Evaluates the expressions of one program.

    `whole` answers, for a case, whether kinds of option apply to a whole-class therapy; it comes from the engine, which
    knows the members.
    """

    def __init__(
        self,
        classes: Mapping[str, Expression],
        hierarchy: Hierarchy,
        whole: Callable[[Case, str, tuple[str, ...]], Truth],
    ) -> None:
        self.classes = classes
        self.hierarchy = hierarchy
        self.whole = whole
        self._tests: dict[tuple[int, Expression], Test] = {}

    def patient(self, expression: Expression) -> PatientTest:
        """The test of a patient."""
        return self._test(_PATIENT, expression)

    def course(self, expression: Expression) -> CourseTest:
        """The test of a course of a patient."""
        return self._test(_COURSE, expression)

    def part(self, expression: Expression) -> PartTest:
        """The test of a part of a course."""
        return self._test(_PART, expression)

    def takes(self, case: Case, medication: Medication, expression: Expression) -> Truth:
        """Whether one medication is what a condition on medications asks for."""
        _, group, interval = expression
        return case.medication(medication, group, numbers(interval))

    def _test(self, arity: int, expression: Expression) -> Test:
        key = (arity, expression)
        if key not in self._tests:
            self._tests[key] = self._make(arity, expression)
        return self._tests[key]

    def _make(self, arity: int, expression: Expression) -> Test:
        match expression:
            case ("everything",):
                return lambda *_: True
            case ("nothing",):
                return lambda *_: False
            case ("all", *parts):
                return _all([self._test(arity, part) for part in parts])
            case ("any", *parts) if arity == _PART:
                return self._any_of_substance([(self._substance_of(part), self._test(arity, part)) for part in parts])
            case ("any", *parts):
                return _any([self._test(arity, part) for part in parts])
            case ("not", part):
                return _not(self._test(arity, part))
            case ("named", name):
                return self._named(arity, name)
        return (self._make_patient, self._make_course, self._make_part)[arity - 1](expression)

    def _substance_of(self, expression: Expression) -> str | None:
        """The group that a part has to be of to meet a condition, if the condition says so at its top."""
        match expression:
            case ("named", name):
                return self._substance_of(self.classes[name])
            case ("substance", group):
                return str(group)
            case ("all", *parts):
                return next((str(p[1]) for p in parts if p[0] == "substance"), None)
        return None

    def _any_of_substance(self, alternatives: list[tuple[str | None, Test]]) -> PartTest:
        """Any of the alternatives that the substance of a part leaves open: most are about other substances."""
        relation = self.hierarchy.relation
        chosen: dict[URIRef, Test] = {}

        def test(case: Case, course: Course, part: CoursePart) -> Truth:
            fitting = chosen.get(part.substance)
            if fitting is None:
                tests = [
                    t for group, t in alternatives if group is None or relation(part.substance, group) is not False
                ]
                fitting = chosen[part.substance] = _any(tests)
            return fitting(case, course, part)

        return test

    def _named(self, arity: int, name: str) -> Test:
        """The test of a named class; what it finds of a patient, course or part is kept for the time of the case."""
        tests: list[Test] = []

        def found(case: Case, key: object, *of: Any) -> Truth:
            if not tests:  # not before it is asked for: classes may be compiled in any order
                tests.append(self._test(arity, self.classes[name]))
            truth = case.memo[key] = tests[0](case, *of)
            return truth

        def of_patient(case: Case) -> Truth:
            memo = case.memo
            return memo[name] if name in memo else found(case, name)

        def of_course(case: Case, course: Course) -> Truth:
            key, memo = (name, id(course)), case.memo
            return memo[key] if key in memo else found(case, key, course)

        def of_part(case: Case, course: Course, part: CoursePart) -> Truth:
            key, memo = (name, id(part)), case.memo
            return memo[key] if key in memo else found(case, key, course, part)

        by_arity: tuple[Test, ...] = (of_patient, of_course, of_part)
        return by_arity[arity - 1]

    def _make_patient(self, expression: Expression) -> PatientTest:
        match expression:
            case ("finding", term):
                return lambda case: case.has_finding(term)
            case ("sex", term):
                return lambda case: case.is_of_sex(term)
            case ("takes", group, interval):
                window = numbers(interval)
                return lambda case: case.takes(group, window)
            case ("quantity", quantity, interval):
                band = numbers(interval)
                return lambda case: case.has_quantity(quantity, band)
            case ("had-course", condition):
                course = self.course(condition)
                return lambda case: kleene_or([course(case, c) for c in case.facts.courses])
            case ("whole", helper, *kinds):
                asked = tuple(kinds)
                return lambda case: self.whole(case, helper, asked)
        raise ValueError(f"the program asks of patients: {expression!r}")

    def _make_course(self, expression: Expression) -> CourseTest:
        relation = self.hierarchy.relation
        match expression:
            case ("kind", kind):
                combined = kind == str(NXL.CombinationTherapy)
                return lambda case, course: course.is_combination is combined
            case ("uses", group):
                return lambda case, course: kleene_or([relation(p.substance, group) for p in course.parts])
            case ("number", property_, interval):
                read, span = _COURSE_NUMBERS[property_], numbers(interval)
                return lambda case, course: number(span, *read(course))
            case ("value", property_, value):
                return _value(_COURSE_VALUES[property_], value)
            case ("has-part", least, condition):
                return _has_part(least, self.part(condition))
            case ("of-patient", condition):
                patient = self.patient(condition)
                return lambda case, course: patient(case)
        raise ValueError(f"the program asks of courses: {expression!r}")

    def _make_part(self, expression: Expression) -> PartTest:
        relation = self.hierarchy.relation
        match expression:
            case ("substance", group):
                return lambda case, course, part: relation(part.substance, group)
            case ("number", property_, interval) if property_ == DOSE:
                doses = numbers(interval)
                return lambda case, course, part: (
                    None if part.daily_dose_mg is None else within(doses, part.daily_dose_mg)
                )
            case ("value", property_, value):
                read = _PART_VALUES[property_]
                return lambda case, course, part: None if (found := read(part)) is None else found == value
            case ("of-course", condition):
                test = self.course(condition)
                return lambda case, course, part: test(case, course)
        raise ValueError(f"the program asks of parts of courses: {expression!r}")


def numbers(interval: tuple[Any, ...]) -> tuple[Any, ...]:
    """The bounds of an expression as numbers."""
    low, low_open, high, high_open = interval
    return (None if low is None else Decimal(low), low_open, None if high is None else Decimal(high), high_open)


def kleene_or(truths: list[Truth]) -> Truth:
    """Or of three truth values: true as soon as one is true, false only if all are false."""
    if True in truths:
        return True
    return None if None in truths else False


def kleene_and(truths: list[Truth]) -> Truth:
    """And of three truth values: false as soon as one is false, true only if all are true."""
    if False in truths:
        return False
    return None if None in truths else True


def _all(tests: list[Test]) -> Test:
    def test(*of: Any) -> Truth:
        result: Truth = True
        for part in tests:
            found = part(*of)
            if found is False:
                return False
            if found is None:
                result = None
        return result

    return test


def _any(tests: list[Test]) -> Test:
    def test(*of: Any) -> Truth:
        result: Truth = False
        for part in tests:
            found = part(*of)
            if found is True:
                return True
            if found is None:
                result = None
        return result

    return test


def _not(test: Test) -> Test:
    def negated(*of: Any) -> Truth:
        found = test(*of)
        return None if found is None else not found

    return negated


def _value(read: Callable[[Course], object], value: object) -> CourseTest:
    def test(case: Case, course: Course) -> Truth:
        found = read(course)
        return None if found is None else found == value

    return test


def _has_part(least: int, test: PartTest) -> CourseTest:
    def counted(case: Case, course: Course) -> Truth:
        found = [test(case, course, part) for part in course.parts]
        if found.count(True) >= least:
            return True
        if found.count(True) + found.count(None) < least:
            return False
        if least == 1 and course.some_part_was_not_tolerated:
            return whichever(case, course, test)
        return None

    return counted


def whichever(case: Case, course: Course, test: PartTest) -> Truth:
    """True if a part meets the test whichever part it was that was not tolerated; else it stays unknown."""
    for culprit in course.parts:
        blamed = replace(culprit, not_tolerated=True)
        case.pinned.append(blamed)  # the memo knows parts by identity
        if test(case, course, blamed) is not True:
            return None
    return True
