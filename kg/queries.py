"""Canned queries: SPARQL files with a `#+` header that says what they answer and which parameters they take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from rdflib import XSD, Literal, URIRef
from rdflib.term import Node

from kg.errors import BrokenQuery, InvalidParameter, InvalidQuery, UnknownQuery
from kg.namespaces import expand
from kg.store import Queryable, QueryLimits, Result

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LONGEST_NAME = 100
_TERM = re.compile(r"(?:nxl:)?[A-Za-z][\w-]*|https?://[^\s<>\"{}|^`\\]+")

_KNOWN_TERM = "ASK { ?term a ?type }"
_TERM_OF_KIND = """
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>
ASK { ?term rdf:type?/rdfs:subClassOf* ?kind }
"""


class ParameterType(Enum):
    """What a parameter takes: a term of the ontology (local name, CURIE or IRI), a text or a whole number."""

    TERM = "term"
    STRING = "string"
    INTEGER = "integer"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a canned query; it is the variable of the same name.

    `kind` names the class that a term has to be a kind or a member of. Without `default`, a value is required.
    """

    name: str
    type: ParameterType
    description: str
    example: str
    default: str | None
    kind: str | None


@dataclass(frozen=True, slots=True)
class CannedQuery:
    """A query with its name (the file name without `.rq`), its question, a summary and its parameters."""

    name: str
    question: str
    summary: str
    parameters: tuple[Parameter, ...]
    text: str
    position: int

    def usage(self) -> str:
        """The parameters in one line, as a message shows them."""
        if not self.parameters:
            return f"'{self.name}' takes no parameters."
        shown = "; ".join(
            f"{p.name} ({p.type.value}{f', a {p.kind}' if p.kind else ''}, "
            f"{'required' if p.default is None else f'default {p.default}'})"
            for p in self.parameters
        )
        example = " ".join(f"{p.name}={p.example}" for p in self.parameters)
        return f"'{self.name}' takes: {shown}. Example: {example}"


def list_queries(folder: Path) -> tuple[CannedQuery, ...]:
    """Every query in `folder`, those with a position first, the others by name.

    Raises BrokenQuery when there is no such folder, and for a file that cannot be read or has no proper header.
    """
    _check_folder(folder)
    found = [read_query(path) for path in sorted(folder.glob("*.rq"))]
    return tuple(sorted(found, key=lambda query: (query.position, query.name)))


def load_query(folder: Path, name: str) -> CannedQuery:
    """One query by name. Raises UnknownQuery, listing those that exist, and BrokenQuery as `list_queries` does."""
    _check_folder(folder)
    path = folder / f"{name}.rq"
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.rq"))) or "none"
        raise UnknownQuery(name[:100], "there is no query of that name.", f"Queries: {known}.")
    return read_query(path)


def read_query(path: Path) -> CannedQuery:
    """Read one `.rq` file. Raises BrokenQuery naming the file when its header is missing or incomplete."""
    text = _read_text(path)
    header = "\n".join(line[2:].removeprefix(" ") for line in text.splitlines() if line.startswith("#+"))
    try:
        fields = yaml.safe_load(header)
        if not isinstance(fields, dict):
            raise TypeError("it has no #+ lines")
        return CannedQuery(
            name=path.stem,
            question=_line(fields["question"]),
            summary=_line(fields["summary"]),
            parameters=tuple(_parameter(entry) for entry in fields.get("parameters") or ()),
            text=text,
            position=int(fields.get("position", 1000)),
        )
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BrokenQuery(
            str(path),
            f"the header is not complete ({type(error).__name__}: {_line(error)}).",
            "Mend it as the other files have it.",
        ) from None


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


def run(store: Queryable, query: CannedQuery, values: Mapping[str, str], limits: QueryLimits | None = None) -> Result:
    """Bind the parameters, check that the terms exist and are of their kind, and start the query.

    Raises InvalidParameter as `bind` does, and for a term that the knowledge does not hold; BrokenQuery when the text
    of the query is not valid.
    """
    bindings = bind(query, values)
    for parameter in query.parameters:
        if parameter.type is ParameterType.TERM:
            _check_term(store, query, parameter, bindings[parameter.name])
    try:
        return store.query(query.text, bindings=bindings, limits=limits)
    except InvalidQuery as error:
        raise BrokenQuery(f"{query.name}.rq", f"{error.place}: {error.problem}", error.mend) from None


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise BrokenQuery(str(folder), "there is no such folder.", "Give the folder that holds the .rq files.")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BrokenQuery(str(path), "the file is not UTF-8.", "Save it as UTF-8.") from None
    except OSError as error:
        raise BrokenQuery(str(path), f"the file cannot be read ({error.strerror}).", "Remove or mend it.") from None


def _check_term(store: Queryable, query: CannedQuery, parameter: Parameter, term: Node) -> None:
    if not store.query(_KNOWN_TERM, bindings={"term": term}).truth():
        raise InvalidParameter(
            parameter.name, f"the knowledge holds no term <{term}>.", f"Look it up by its label. {query.usage()}"
        )
    if parameter.kind is None:
        return
    kind = expand(parameter.kind)
    if not store.query(_TERM_OF_KIND, bindings={"term": term, "kind": kind}).truth():
        raise InvalidParameter(parameter.name, f"<{term}> is no {parameter.kind}.", query.usage())


def _term(query: CannedQuery, parameter: Parameter, value: str) -> Node:
    if parameter.type is ParameterType.STRING:
        return Literal(value)
    if parameter.type is ParameterType.INTEGER:
        if not re.fullmatch(r"[+-]?\d{1,18}", value):
            raise InvalidParameter(parameter.name, f"'{value[:100]}' is no whole number.", query.usage())
        return Literal(str(int(value)), datatype=XSD.integer)
    if not _TERM.fullmatch(value):
        raise InvalidParameter(
            parameter.name, f"'{value[:100]}' is no local name, CURIE (nxl:…) or IRI.", query.usage()
        )
    return URIRef(expand(value))


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    default, kind = entry.get("default"), entry.get("kind")
    return Parameter(
        name=str(entry["name"]),
        type=ParameterType(entry["type"]),
        description=_line(entry["description"]),
        example=str(entry["example"]),
        default=None if default is None else str(default),
        kind=None if kind is None else str(kind),
    )


def _line(value: object) -> str:
    return " ".join(str(value).split())
