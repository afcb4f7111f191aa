"""Changes to a request: what somebody supposes to be otherwise, applied one after the other."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, model_validator
from rdflib import URIRef

from kg.errors import InvalidRecord
from kg.namespaces import NXL
from kg.request import (
    Code,
    CourseEntry,
    EligibilityRequest,
    FindingEntry,
    MeasurementEntry,
    MedicationEntry,
    Model,
    Number,
    PatientEntry,
    validated,
)
from kg.vocabulary import Vocabulary

_Entry = TypeVar("_Entry")
_Coded = TypeVar("_Coded", FindingEntry, MedicationEntry)
_Given = list[tuple[_Entry, str]]  # entries, each with where it was given
_TOLD = 10
# A path inside a request, also where a message names one.
_PATH = re.compile(r"(?<![\w.])patient\.[A-Za-z]+(?:\.\d+)?")


def _whole(value: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("a whole number is expected here, without quotes")
    return value


class Change(Model):
    """One change to a record; exactly one field is given."""

    add_finding: FindingEntry | None = None
    remove_finding: Code | None = None
    add_course: CourseEntry | None = None
    remove_course: Annotated[int, BeforeValidator(_whole), Field(ge=0)] | None = None
    add_medication: MedicationEntry | None = None
    remove_medication: Code | None = None
    set_measurement: MeasurementEntry | None = None
    set_age: Annotated[Number, Field(le=130)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Change:
        if sum(value is not None for _, value in self) != 1:
            kinds = ", ".join(field.alias or name for name, field in type(self).model_fields.items())
            raise ValueError(f"give exactly one of {kinds}")
        return self


@dataclass(frozen=True, slots=True)
class ChangedRequest:
    """A request after its changes; `origins` says for each path in it where the entry was given.

    An origin is `request.patient.findings.0` for what stood there before, `changes.1.addFinding` for what was added.
    """

    request: EligibilityRequest
    origins: Mapping[str, str]

    def origin(self, text: str) -> str:
        """A text with every path in the changed request replaced by where the entry was given."""
        return _PATH.sub(lambda found: self.origins.get(found[0], f"request.{found[0]}"), text)

    def error(self, error: InvalidRecord) -> InvalidRecord:
        """An error about the changed request, told in terms of what was given."""
        place = self.origin(error.place)
        place = f"request.{place}" if place == error.place else place
        return type(error)(place, self.origin(error.problem), self.origin(error.mend))


def unchanged(request: EligibilityRequest) -> ChangedRequest:
    """A request without changes."""
    return ChangedRequest(request, {})


def apply_changes(request: EligibilityRequest, changes: tuple[Change, ...], vocabulary: Vocabulary) -> ChangedRequest:
    """The request with the changes applied in their order.

    Raises InvalidRecord, naming the change, for one that removes what is not there, and when no finding is left.
    """
    editor = _Editor(request, vocabulary)
    for position, change in enumerate(changes):
        editor.apply(change, f"changes.{position}")
    return editor.changed()


class _Editor:
    def __init__(self, request: EligibilityRequest, vocabulary: Vocabulary) -> None:
        patient = request.patient
        self.request = request
        self.vocabulary = vocabulary
        self.findings = _given("findings", patient.findings)
        self.courses = _given("courses", patient.courses)
        self.medications = _given("medications", patient.medications)
        self.measurements = _given("measurements", patient.measurements)
        self.age = (patient.age_years, "request.patient.ageYears")
        self.emptied = "changes"

    def apply(self, change: Change, place: str) -> None:
        if change.add_finding is not None:
            self.findings.append((change.add_finding, f"{place}.addFinding"))
        if change.remove_finding is not None:
            self.emptied = f"{place}.removeFinding"
            self.findings = self.without(
                self.findings, change.remove_finding, NXL.Finding, "finding", self.emptied, None
            )
        if change.add_course is not None:
            self.courses.append((change.add_course, f"{place}.addCourse"))
        if change.remove_course is not None:
            self.remove_course(change.remove_course, f"{place}.removeCourse")
        if change.add_medication is not None:
            self.medications.append((change.add_medication, f"{place}.addMedication"))
        if change.remove_medication is not None:
            self.medications = self.without(
                self.medications,
                change.remove_medication,
                NXL.Intervention,
                "medication",
                f"{place}.removeMedication",
                self.course_of(change.remove_medication),
            )
        if change.set_measurement is not None:
            self.set_measurement(change.set_measurement, f"{place}.setMeasurement")
        if change.set_age is not None:
            self.age = (change.set_age, f"{place}.setAge")

    def without(
        self,
        given: _Given[_Coded],
        code: str,
        root: URIRef,
        noun: str,
        place: str,
        hint: str | None,
    ) -> _Given[_Coded]:
        """The entries without those of a code, or, if none is written so, without those that mean the same term."""
        removed = [entry for entry, _ in given if entry.code == code]
        if not removed:
            term = self.term(code, root)
            removed = [entry for entry, _ in given if term is not None and self.term(entry.code, root) == term]
        if not removed:
            codes = sorted({entry.code for entry, _ in given})
            mend = hint or _nearest(code, codes, noun)
            raise InvalidRecord(place, f"there is no {noun} '{code}' to remove.", mend)
        return [(entry, origin) for entry, origin in given if entry not in removed]

    def term(self, code: str, root: URIRef) -> URIRef | None:
        """The term that a code means, or None where it means none of its own."""
        try:
            found = self.vocabulary.resolve(code, root, "")
        except InvalidRecord:
            return None
        return found if isinstance(found, URIRef) else None

    def course_of(self, code: str) -> str | None:
        """How to mend that a medication to be removed is only named in a course."""
        for index, (course, _) in enumerate(self.courses):
            if code in course.substances:
                return f"It is known from a course: change that with removeCourse {index}."
        return None

    def remove_course(self, index: int, place: str) -> None:
        if index >= len(self.courses):
            known = f"Give 0 to {len(self.courses) - 1}." if self.courses else "Leave this change out."
            raise InvalidRecord(
                place, f"there are {len(self.courses)} courses here, and none is number {index}.", known
            )
        del self.courses[index]

    def set_measurement(self, entry: MeasurementEntry, place: str) -> None:
        quantity = self.vocabulary.quantity(entry.code, f"{place}.code")

        def is_other(known: MeasurementEntry) -> bool:
            same = isinstance(quantity, URIRef) and self.vocabulary.quantity(known.code, place) == quantity
            return known.code != entry.code and not same

        self.measurements = [(known, origin) for known, origin in self.measurements if is_other(known)]
        self.measurements.append((entry, place))

    def changed(self) -> ChangedRequest:
        if not self.findings:
            raise InvalidRecord(
                self.emptied, "no finding would be left, and a record has at least one.", "Add another finding too."
            )
        lists: dict[str, _Given[Any]] = {
            "findings": self.findings,
            "courses": self.courses,
            "medications": self.medications,
            "measurements": self.measurements,
        }
        origins = {
            f"patient.{name}.{i}": origin for name, given in lists.items() for i, (_, origin) in enumerate(given)
        }
        age, origins["patient.ageYears"] = self.age
        document = self.request.patient.model_dump(by_alias=True, exclude=set(lists))
        document |= {name: [entry for entry, _ in given] for name, given in lists.items()}
        try:
            patient = validated(PatientEntry, document | {"ageYears": age})
        except InvalidRecord as error:
            raise InvalidRecord(
                "changes", f"patient.{error.place} of the changed record: {error.problem}", "Make fewer changes."
            ) from None
        return ChangedRequest(self.request.model_copy(update={"patient": patient}), origins)


def _given(name: str, entries: Iterable[_Entry]) -> _Given[_Entry]:
    return [(entry, f"request.patient.{name}.{index}") for index, entry in enumerate(entries)]


def _nearest(code: str, codes: list[str], noun: str) -> str:
    """What to remove instead."""
    names = {known.casefold(): known for known in codes}
    near = [names[n] for n in difflib.get_close_matches(code.casefold(), names, n=3, cutoff=0.6)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return (
        f"There is {', '.join(codes[:_TOLD])}{' and more' * (len(codes) > _TOLD)}." if codes else f"There is no {noun}."
    )
