"""Canned queries and their parameters: what a value of each type becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from rdflib import XSD, Literal, URIRef
from rdflib.term import Node

from kg.errors import InvalidParameter
from kg.namespaces import expand

_CODE = re.compile(r"[A-Za-z][\w.-]*:[\w.-]+")
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|^`\\\x00-\x20]+")
_TERM = re.compile(r"(?:nxl:)?[A-Za-z][\w-]*|https?://[^\s<>\"{}|^`\\]+")


class ParameterType(Enum):
    """What a parameter takes.

    A term of the ontology (local name, CURIE or IRI), a text, a whole number, a code of another terminology
    (SYSTEM:code), any IRI, or one of a few texts.
    """

    TERM = "term"
    STRING = "string"
    INTEGER = "integer"
    CODE = "code"
    IRI = "iri"
    ENUM = "enum"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a canned query; it is the variable of the same name.

    `kind` names the class that a term has to be a kind or a member of. Without `default`, a value is required.
    `values` are those of an enum; `minimum` and `maximum` bound an integer, the bounds included.
    """

    name: str
    type: ParameterType
    description: str
    example: str
    default: str | None = None
    kind: str | None = None
    values: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    @property
    def takes(self) -> str:
        """What it takes, as a message says it."""
        if self.type is ParameterType.ENUM:
            return f"one of {', '.join(self.values)}"
        bounds = [
            f"{word} {bound}" for word, bound in (("from", self.minimum), ("to", self.maximum)) if bound is not None
        ]
        return " ".join([self.type.value, *bounds]) + (f", a {self.kind}" if self.kind else "")


@dataclass(frozen=True, slots=True)
class CannedQuery:
    """A query with its name (the file name without `.rq`), its question, a summary and its parameters.

    `form` is SELECT, ASK, CONSTRUCT or DESCRIBE; queries with a lower `position` are listed first.
    """

    name: str
    question: str
    summary: str
    parameters: tuple[Parameter, ...]
    text: str
    position: int
    keywords: tuple[str, ...]
    form: str

    def usage(self) -> str:
        """The parameters in one line, as a message shows them."""
        if not self.parameters:
            return f"'{self.name}' takes no parameters."
        shown = "; ".join(
            f"{p.name} ({p.takes}, {'required' if p.default is None else f'default {p.default}'})"
            for p in self.parameters
        )
        example = " ".join(f"{p.name}={p.example}" for p in self.parameters)
        return f"'{self.name}' takes: {shown}. Example: {example}"


def bind(query: CannedQuery, values: Mapping[str, str]) -> dict[str, Node]:
    """The parameters as RDF terms by variable name.

    Raises InvalidParameter for a name that is unknown, a value that is missing or of the wrong type.
    """
    names = {parameter.name for parameter in query.parameters}
    for name in values:
        if name not in names:
            raise InvalidParameter(name[:100], f"'{query.name}' has no such parameter.", query.usage())
    bindings = {}
    for parameter in query.parameters:
        value = values.get(parameter.name, parameter.default)
        if value is None or not value.strip():
            raise InvalidParameter(parameter.name, "the parameter is missing.", query.usage())
        bindings[parameter.name] = _term(query, parameter, value.strip())
    return bindings


def _term(query: CannedQuery, parameter: Parameter, value: str) -> Node:
    """The RDF term of a value. Raises InvalidParameter when it is not of the type."""
    shown, type_ = value[:100], parameter.type
    if type_ is ParameterType.INTEGER:
        if not re.fullmatch(r"[+-]?\d{1,18}", value):
            raise InvalidParameter(parameter.name, f"'{shown}' is no whole number.", query.usage())
        number = int(value)
        low, high = parameter.minimum, parameter.maximum
        if (low is not None and number < low) or (high is not None and number > high):
            raise InvalidParameter(parameter.name, f"{number} is out of bounds.", query.usage())
        return Literal(str(number), datatype=XSD.integer)
    if type_ is ParameterType.ENUM and value not in parameter.values:
        raise InvalidParameter(parameter.name, f"'{shown}' is none of its values.", query.usage())
    if type_ is ParameterType.CODE and not _CODE.fullmatch(value):
        raise InvalidParameter(parameter.name, f"'{shown}' is no code, written SYSTEM:code.", query.usage())
    if type_ is ParameterType.IRI:
        if not _IRI.fullmatch(value):
            raise InvalidParameter(parameter.name, f"'{shown}' is no absolute IRI.", query.usage())
        return URIRef(value)
    if type_ is not ParameterType.TERM:
        return Literal(value)
    if not _TERM.fullmatch(value):
        raise InvalidParameter(parameter.name, f"'{shown}' is no local name, CURIE (nxl:…) or IRI.", query.usage())
    return URIRef(expand(value))
