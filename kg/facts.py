"""What is documented of one patient, in terms of the ontology; None always means unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from rdflib import URIRef


class Policy(StrEnum):
    """What silence about a contraindicating fact means."""

    UNKNOWN = "unknown"
    ABSENT = "absent"


class Sex(StrEnum):
    """The recorded sex, as in FHIR's administrative gender."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value in the unit of its property; `is_stale` when it is older than the ontology allows at the as-of date."""

    quantity: URIRef
    value: Decimal
    measured: date | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Medication:
    """A use of a substance. `days_since_last` is 0 while it is taken; if unknown, `at_most_days` may bound it."""

    substance: URIRef
    days_since_last: int | None
    at_most_days: int | None = None


@dataclass(frozen=True, slots=True)
class CoursePart:
    """One intervention of a course; `not_tolerated` is None when nothing says whether it was tolerated."""

    substance: URIRef
    daily_dose_mg: Decimal | None
    reached_therapeutic_dose: bool | None
    at_maximum_tolerated_dose: bool
    not_tolerated: bool | None


@dataclass(frozen=True, slots=True)
class Course:
    """A documented trial. `therapy` is the leaf therapy that it was, or None if a group stands for a member."""

    therapy: URIRef | None
    is_combination: bool
    parts: tuple[CoursePart, ...]
    duration_days: int | None
    days_at_therapeutic_dose: int | None
    at_most_days_at_dose: int | None
    outcome: str | None
    is_ongoing: bool | None
    source_index: int

    @property
    def some_part_was_not_tolerated(self) -> bool:
        """Whether it was not tolerated and nothing says which part."""
        return self.outcome == "not-tolerated" and all(part.not_tolerated is None for part in self.parts)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A clinician's record that everything of a class is unsuitable for the patient, with the reason."""

    intervention: URIRef
    reason: str


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """Everything that the engines may use. Tuples are sorted, so that the order of input never matters.

    `possible` are findings of which something broader is reported that has no term of its own: they may be there.
    """

    as_of: date
    age_years: Decimal | None
    sex: Sex
    present: tuple[URIRef, ...]
    absent: tuple[URIRef, ...]
    measurements: tuple[Measurement, ...]
    medications: tuple[Medication, ...]
    absent_medications: tuple[URIRef, ...]
    medications_complete: bool
    courses: tuple[Course, ...]
    judgements: tuple[Judgement, ...]
    possible: tuple[URIRef, ...] = ()

    @classmethod
    def of_nobody(cls, sex: Sex) -> PatientFacts:
        """A patient of whom no more than the sex is reported."""
        return cls(date.min, None, sex, (), (), (), (), (), False, (), ())
