"""The patient record and the request around it, as an app sends them."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from kg.errors import InvalidRecord
from kg.facts import Policy, Sex

_M = TypeVar("_M", bound=BaseModel)
Code = Annotated[str, Field(min_length=1, max_length=200)]
Outcome = Literal["inadequate-relief", "not-tolerated", "lost-effect", "effective", "stopped-other-reason", "unknown"]
Status = Literal["present", "absent"]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST_COURSE_WEEKS = Decimal(5200)


def _number(value: object) -> object:
    """Numbers stay numbers: true is not 1, and a quoted number is refused."""
    if isinstance(value, bool | str):
        raise ValueError("a number is expected here, without quotes")
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and (len(value.as_tuple().digits) > 18 or abs(value.adjusted()) > 12)
    ):
        raise ValueError("a number of at most 18 digits between 1e-12 and 1e12 is expected here")
    return value


def _day(value: object) -> object:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise ValueError("a date such as 2026-11-22 is expected here")


def _flag(value: object) -> object:
    if value is not None and not isinstance(value, bool):
        raise ValueError("true or false is expected here, without quotes")
    return value


Number = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]
Day = Annotated[date, BeforeValidator(_day)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class Model(BaseModel):
    """A part of a request: names in camel case, unknown fields refused, unchangeable."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class FindingEntry(Model):
    """A condition or state of the patient, present or explicitly absent."""

    code: Code
    status: Status = "present"
    onset: Day | None = None
    resolved: Day | None = None

    @model_validator(mode="after")
    def _dates(self) -> FindingEntry:
        if self.onset and self.resolved and self.resolved < self.onset:
            raise ValueError("resolved is before onset")
        return self


class MeasurementEntry(Model):
    """A measured quantity with its UCUM unit."""

    code: Code
    value: Number
    unit: Annotated[str, Field(min_length=1, max_length=50)]
    date: Day | None = None


class MedicationEntry(Model):
    """A substance that is taken (no `stopped`), was taken until `stopped`, or is explicitly not taken."""

    code: Code
    status: Status = "present"
    started: Day | None = None
    stopped: Day | None = None

    @model_validator(mode="after")
    def _dates(self) -> MedicationEntry:
        if self.started and self.stopped and self.stopped < self.started:
            raise ValueError("stopped is before started")
        if self.status == "absent" and (self.started or self.stopped):
            raise ValueError("an absent medication has no dates")
        return self


class CourseEntry(Model):
    """A documented trial: of substances, or of a therapy (procedures, patches)."""

    substances: Annotated[tuple[Code, ...], Field(max_length=10)] = ()
    therapy: Code | None = None
    start: Day | None = None
    end: Day | None = None
    ongoing: Flag | None = None
    weeks: Annotated[Number, Field(le=_LONGEST_COURSE_WEEKS)] | None = None
    weeks_at_dose: Annotated[Number, Field(le=_LONGEST_COURSE_WEEKS)] | None = None
    daily_dose_mg: dict[Code, Number] = Field(default_factory=dict)
    reached_therapeutic_dose: Flag | None = None
    maximum_tolerated_dose: Flag | None = None
    outcome: Outcome = "unknown"
    not_tolerated: Annotated[tuple[Code, ...], Field(max_length=10)] = ()

    @model_validator(mode="after")
    def _coherent(self) -> CourseEntry:
        if bool(self.substances) == (self.therapy is not None):
            raise ValueError("name either substances or a therapy")
        if self.start and self.end and self.end < self.start:
            raise ValueError("end is before start")
        if self.ongoing and self.end:
            raise ValueError("an ongoing course has no end")
        if self.weeks is not None and self.weeks_at_dose is not None and self.weeks_at_dose > self.weeks:
            raise ValueError("weeksAtDose is longer than weeks")
        return self


class JudgementEntry(Model):
    """A clinician's judgement that everything of a class is unsuitable for this patient."""

    class_: Annotated[Code, Field(alias="class")]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class PatientEntry(Model):
    """The patient. Only `findings` is required; what is left out is unknown."""

    id: Annotated[str, Field(max_length=200)] | None = None
    age_years: Annotated[Number, Field(le=130)] | None = None
    sex: Sex = Sex.UNKNOWN
    pregnant: Flag | None = None
    findings: Annotated[tuple[FindingEntry, ...], Field(min_length=1, max_length=1000)]
    measurements: Annotated[tuple[MeasurementEntry, ...], Field(max_length=1000)] = ()
    medications: Annotated[tuple[MedicationEntry, ...], Field(max_length=500)] = ()
    medications_complete: Flag = False
    courses: Annotated[tuple[CourseEntry, ...], Field(max_length=100)] = ()
    judged_unsuitable: Annotated[tuple[JudgementEntry, ...], Field(max_length=100)] = ()


class EligibilityRequest(Model):
    """A question: which options are open to this patient, by which guidelines, as of which day."""

    as_of: Day | None = None
    unreported_findings: Policy = Policy.UNKNOWN
    audience: Literal["clinician", "patient"] = "clinician"
    guidelines: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    patient: PatientEntry


def parse_request(data: bytes | str) -> EligibilityRequest:
    """Read a request from JSON.

    Raises InvalidRecord, whose place is the path of the first offending field, for anything that is no JSON or breaks
    the contract; further problems are counted in the message.
    """
    document = read_json(data)
    if not isinstance(document, dict):
        raise InvalidRecord("body", "the request is not a JSON object.", 'Send an object with a "patient".')
    if "request" in document and "patient" not in document:
        raise InvalidRecord("request", "the request stands inside another object.", "Send what is inside 'request'.")
    return validated(EligibilityRequest, document)


def read_json(data: bytes | str) -> object:
    """A JSON document, its numbers exact. Raises InvalidRecord for what is none, or has a name twice in one object."""
    try:
        document: object = json.loads(
            data, parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique
        )
        json.dumps(document, ensure_ascii=False, default=str).encode("utf-8")  # a lone surrogate is no text
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise InvalidRecord("body", "the request is not UTF-8.", "Send UTF-8 encoded JSON.") from None
    except json.JSONDecodeError as error:
        raise InvalidRecord(
            f"line {error.lineno}, column {error.colno}",
            f"the request is not JSON: {error.msg}.",
            "Send one JSON object.",
        ) from None
    except RecursionError:
        raise InvalidRecord("body", "the JSON is nested too deeply.", "Send a flat record.") from None
    except ValueError as error:
        raise InvalidRecord("body", f"the JSON cannot be read: {error}.", "Mend the value.") from None
    return document


def validated(model: type[_M], document: object) -> _M:
    """A document as a model. Raises InvalidRecord at the path of the first field that breaks the contract."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> InvalidRecord:
    first, *others = error.errors(include_url=False, include_context=False)
    place = ".".join(str(part) for part in first["loc"]) or "body"
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "extra_forbidden":
        message = "this field is not known"
    more = f" {len(others)} more problem(s) follow." if others else ""
    return InvalidRecord(
        place, f"{message[:1].lower()}{message[1:]}.", f"Correct the field; see the record in the documentation.{more}"
    )


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]} is out of the range of numbers") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!a} stands twice in one object")
    return document
