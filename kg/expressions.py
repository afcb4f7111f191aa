"""The expressions of a compiled program: what a class says about a patient, a course, or a part of a course.

An expression is a tuple, its operator first, so that it can be written as JSON and compared by value. Terms are IRIs as
plain strings. `docs/compiled-engine.md` says which OWL axiom becomes which.

| operator | of | arguments |
|---|---|---|
| `all`, `any` | each | expressions |
| `not` | each | an expression |
| `everything`, `nothing` | each | |
| `named` | patients, courses, parts | IRI of a class that the program defines |
| `sex` | patients | IRI of the class of the sex |
| `finding` | patients | IRI |
| `takes` | patients | IRI of a group, bounds of the days since the last intake |
| `quantity` | patients | IRI of the property, bounds |
| `had-course` | patients | an expression of courses |
| `whole` | patients | IRI of a whole-class therapy, IRIs of the kinds of option that must apply to it |
| `kind` | courses | IRI of Monotherapy or CombinationTherapy |
| `uses` | courses | IRI of a group |
| `number` | courses, parts | IRI of the property, bounds |
| `value` | courses, parts | IRI of the property, a text or truth value |
| `has-part` | courses | how many at least, an expression of parts |
| `substance` | parts | IRI of a group |
| `of-course`, `of-patient` | parts, courses | an expression of courses, of patients |
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

Expression = tuple[Any, ...]
Truth = bool | None

EVERYTHING: Expression = ("everything",)
NOTHING: Expression = ("nothing",)


def conjunction(parts: list[Expression]) -> Expression:
    """All of `parts`, without nesting and without what is always true.

    >>> conjunction([("everything",), ("finding", "a")])
    ('finding', 'a')
    """
    flat = [p for part in parts for p in (part[1:] if part[0] == "all" else (part,)) if p != EVERYTHING]
    unique = tuple(dict.fromkeys(flat))
    if NOTHING in unique:
        return NOTHING
    return EVERYTHING if not unique else unique[0] if len(unique) == 1 else ("all", *unique)


def disjunction(parts: list[Expression]) -> Expression:
    """Any of `parts`, without nesting and without what is always false."""
    flat = [p for part in parts for p in (part[1:] if part[0] == "any" else (part,)) if p != NOTHING]
    unique = tuple(dict.fromkeys(flat))
    if EVERYTHING in unique:
        return EVERYTHING
    return NOTHING if not unique else unique[0] if len(unique) == 1 else ("any", *unique)


def operands(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside an expression."""
    return tuple(part for part in expression[1:] if isinstance(part, tuple) and part and part[0] in _OPERATORS)


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything inside it."""
    yield expression
    for operand in operands(expression):
        yield from walk(operand)


def bounds(low: Decimal | None, low_open: bool, high: Decimal | None, high_open: bool) -> tuple[Any, ...]:
    """An interval as it stands in an expression: each bound as text or None, and whether it is outside itself."""
    return (None if low is None else str(low), low_open, None if high is None else str(high), high_open)


def from_json(value: Any) -> Any:
    """Lists read from JSON as the tuples that they were."""
    return tuple(from_json(item) for item in value) if isinstance(value, list) else value


_BOOLEAN = {"all", "any", "not", "everything", "nothing", "named"}
_OF_PATIENTS = {"sex", "finding", "takes", "quantity", "had-course", "whole"}
_OF_COURSES = {"kind", "uses", "number", "value", "has-part", "substance", "of-course", "of-patient"}
_OPERATORS = frozenset(_BOOLEAN | _OF_PATIENTS | _OF_COURSES)
