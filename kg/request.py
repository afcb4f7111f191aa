"""The patient record and the request around it, as an app sends them."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from kg.errors import InvalidRecord
from kg.facts import Policy, Sex

_M = TypeVar("_M", bound=BaseModel)
Code = Annotated[str, Field(min_length=1, max_length=200)]
Outcome = Literal["inadequate-relief", "not-tolerated", "lost-effect", "effective", "stopped-other-reason", "unknown"]
Status = Literal["present", "absent"]
Language = Literal["en", "es", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
EVERY_JURISDICTION = "strictest"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST_COURSE_WEEKS = 5200
_OLDEST_YEARS = 130
_SURROGATE = re.compile("[\ud800-\udfff]")
# What pydantic says in words of Python, in words of JSON.
_EXPECTED = {
    "tuple_type": "a list is expected here",
    "model_type": "an object is expected here",
    "dict_type": "an object is expected here",
    "decimal_type": "a number is expected here, without quotes",
}


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


# The schema is told by hand: pydantic would describe a decimal as a number or a text.
Number = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
Years = Annotated[
    Number, Field(le=_OLDEST_YEARS), WithJsonSchema({"type": "number", "minimum": 0, "maximum": _OLDEST_YEARS})
]
Weeks = Annotated[
    Number,
    Field(le=_LONGEST_COURSE_WEEKS),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": _LONGEST_COURSE_WEEKS}),
]
Day = Annotated[date, BeforeValidator(_day)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class Model(BaseModel):
    """A part of a request: names in camel case, unknown fields refused, unchangeable."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


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
    weeks: Weeks | None = None
    weeks_at_dose: Weeks | None = None
    daily_dose_mg: dict[Code, Number] = Field(default_factory=dict)
    reached_therapeutic_dose: Flag | None = None
    maximum_tolerated_dose: Flag | None = None
    outcome: Outcome = "unknown"
    not_tolerated: Annotated[tuple[Code, ...], Field(max_length=10)] | None = None

    @model_validator(mode="after")
    def _coherent(self) -> CourseEntry:
        if bool(self.substances) == (self.therapy is not None):
            raise ValueError("name either substances or a therapy")
        if self.start and self.end and self.end < self.start:
            raise ValueError("end is before start")
        if self.ongoing and self.end:
            raise ValueError("an ongoing course has no end")
        if self.ongoing and self.outcome == "stopped-other-reason":
            raise ValueError("an ongoing course was not stopped")
        if self.outcome == "effective" and self.not_tolerated:
            raise ValueError(
                "an effective course was tolerated; name what was not in notTolerated, or the outcome anew"
            )
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
    age_years: Years | None = None
    sex: Sex = Sex.UNKNOWN
    pregnant: Flag | None = None
    findings: Annotated[tuple[FindingEntry, ...], Field(min_length=1, max_length=1000)]
    measurements: Annotated[tuple[MeasurementEntry, ...], Field(max_length=1000)] = ()
    medications: Annotated[tuple[MedicationEntry, ...], Field(max_length=500)] = ()
    medications_complete: Flag = False
    courses: Annotated[tuple[CourseEntry, ...], Field(max_length=100)] = ()
    judged_unsuitable: Annotated[tuple[JudgementEntry, ...], Field(max_length=100)] = ()


class EligibilityRequest(Model):
    """A question: which options are open to this patient, by which guidelines, as of which day.

    `policy` tells how the verdicts of several guidelines make one; `jurisdiction` whose labels count, by default all;
    `minimum_review_status` from which review on indications and advice are heard.
    """

    as_of: Day | None = None
    unreported_findings: Policy = Policy.UNKNOWN
    audience: Literal["clinician", "patient"] = "clinician"
    lang: Language = "en"
    guidelines: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    policy: str = "each"
    jurisdiction: str = EVERY_JURISDICTION
    minimum_review_status: str | None = None
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
            data,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=lambda name: _Refused(f"{name} is not a JSON number"),
            object_pairs_hook=_unique,
        )
    except UnicodeDecodeError:
        raise InvalidRecord("body", "the request is not UTF-8.", "Send UTF-8 encoded JSON.") from None
    except json.JSONDecodeError as error:
        raise InvalidRecord(
            f"line {error.lineno}, column {error.colno}",
            f"the request is not JSON: {error.msg}.",
            "Send one JSON object.",
        ) from None
    except RecursionError:
        raise InvalidRecord("body", "the JSON is nested too deeply.", "Send a flat record.") from None
    _refuse_what_json_cannot_say(document)
    return document


def validated(model: type[_M], document: object) -> _M:
    """A document as a model. Raises InvalidRecord at the path of the first field that breaks the contract."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> InvalidRecord:
    first, *others = error.errors(include_url=False, include_context=False)
    place = ".".join(_shown(str(part)) for part in first["loc"]) or "body"
    message = _EXPECTED.get(first["type"]) or first["msg"].removeprefix("Value error, ").rstrip(".")
    message = message.replace("Tuple should", "list should")
    if first["type"] == "extra_forbidden":
        message = "this field is not known"
    more = f" {len(others)} more problem(s) follow." if others else ""
    return InvalidRecord(
        place, f"{message[:1].lower()}{message[1:]}.", f"Correct the field; see the record in the documentation.{more}"
    )


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands in a document for a value that is refused, until the place of the value is known."""

    problem: str
    name: str | None = None


def _decimal(text: str) -> Decimal | _Refused:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _Refused(f"{text[:40]} is out of the range of numbers")


def _integer(text: str) -> int | _Refused:
    try:
        return int(text)
    except ValueError:
        return _Refused(f"a number of {len(text)} digits is out of the range of numbers")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object] | _Refused:
    document = dict(pairs)
    if len(document) == len(pairs):
        return document
    counts = Counter(name for name, _ in pairs)
    twice = next(name for name, count in counts.items() if count > 1)
    return _Refused(f"the name {twice[:40]!a} stands twice in one object", twice)


def _refuse_what_json_cannot_say(document: object) -> None:
    """Raises InvalidRecord with the path of the first value that was refused, or text that holds a lone surrogate."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _Refused):
            place = path if value.name is None else (*path, _shown(value.name))
            raise InvalidRecord(".".join(place) or "body", f"{value.problem}.", "Mend the value.")
        if isinstance(value, str) and _SURROGATE.search(value):
            raise InvalidRecord(
                ".".join(path) or "body",
                "an escaped lone surrogate is no text.",
                "Send the character itself, or both halves of the pair.",
            )
        if isinstance(value, dict):
            for name in reversed(value):
                waiting += [((*path, _shown(name)), value[name]), ((*path, _shown(name)), name)]
        elif isinstance(value, list):
            waiting += [((*path, str(index)), value[index]) for index in reversed(range(len(value)))]


def _shown(name: str) -> str:
    """A name as a place shows it: shortened, and with lone surrogates escaped."""
    return name[:40].encode("utf-8", "backslashreplace").decode("utf-8")
