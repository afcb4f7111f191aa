"""Whether a graph that a server gave back is the one that it was given, whatever the order and the blank nodes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum

from kg.batches import blank_nodes
from kg.store import canonical_quads

_XSD = "http://www.w3.org/2001/XMLSchema#"
_LITERAL = re.compile(r'("(?:[^"\\]|\\.)*")(?:@([A-Za-z0-9-]+)|\^\^<([^>]*)>)? \.$')
_DERIVED = ("int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger", "unsignedInt", "unsignedLong")
_INTEGERS = frozenset(f"{_XSD}{name}" for name in ("integer", *_DERIVED))
_SHOWN = 3


class Sameness(Enum):
    """How far two graphs are the same: to the letter, in the values of their literals, or not."""

    EXACT = "exact"
    VALUES = "values"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found; `examples` are triples that one side has alone, as it writes them, a few at most."""

    sameness: Sameness
    examples: tuple[str, ...] = ()


def compare(canonical: bytes, found: bytes) -> Comparison:
    """Compare a graph in canonical N-Triples with another in any. Raises SyntaxError when that is none.

    What is compared is the SHA-256 of the canonical form (RDFC-1.0).
    """
    theirs = canonical_quads(found)
    if _digest(canonical) == _digest("".join(theirs).encode("utf-8")):
        return Comparison(Sameness.EXACT)
    ours, theirs = (_respelled(lines) for lines in (canonical.decode("utf-8").splitlines(), theirs))
    if _digest("".join(ours).encode("utf-8")) == _digest("".join(theirs).encode("utf-8")):
        return Comparison(Sameness.VALUES)
    missing, unexpected = _ground(ours) - _ground(theirs), _ground(theirs) - _ground(ours)
    examples = (
        *(f"missing: {line}" for line in sorted(missing)[:_SHOWN]),
        *(f"unexpected: {line}" for line in sorted(unexpected)[:_SHOWN]),
    )
    return Comparison(Sameness.DIFFERENT, examples)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _ground(lines: list[str]) -> set[str]:
    """The triples without blank nodes."""
    return {line.strip() for line in lines if not blank_nodes(line)}


def _respelled(lines: list[str]) -> list[str]:
    """The canonical form of the graph with each literal in one spelling."""
    respelled = "\n".join(_LITERAL.sub(_one_spelling, line.strip()) for line in lines)
    return canonical_quads(respelled.encode("utf-8"))


def _one_spelling(match: re.Match[str]) -> str:
    """A literal in one spelling of its value.

    Numbers without needless zeros, the types derived from xsd:integer as xsd:integer, language tags in small letters.
    """
    quoted, language, datatype = match.groups()
    value = quoted[1:-1]
    if language:
        return f"{quoted}@{language.lower()} ."
    if datatype == f"{_XSD}boolean":
        value = {"1": "true", "0": "false"}.get(value, value)
    elif datatype in _INTEGERS or datatype == f"{_XSD}decimal":
        try:
            number = Decimal(value)
        except InvalidOperation:
            return str(match[0])
        value = format(number.normalize() if number else Decimal(0), "f")
        datatype = datatype if datatype.endswith("#decimal") else f"{_XSD}integer"
    return f'"{value}"^^<{datatype}> .' if datatype else f"{quoted} ."
