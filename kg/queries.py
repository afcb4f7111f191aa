"""Canned queries: the `.rq` files of a folder, and running one with parameters that are checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rdflib import RDF, URIRef
from rdflib.term import Node

from kg.canned import CannedQuery, Parameter, ParameterType, bind
from kg.errors import BrokenQuery, InvalidParameter, InvalidQuery, UnknownQuery
from kg.knowledge import Knowledge
from kg.namespaces import expand, local_name
from kg.query_header import read_query
from kg.query_messages import Condition, Question
from kg.query_text import check
from kg.store import Queryable, QueryLimits, Result, ResultFormat

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LONGEST_NAME = 100

__all__ = ["CannedQuery", "Parameter", "ParameterType", "bind", "list_queries", "load_query", "read_query", "run"]

_KNOWN_TERM = "ASK { ?term a ?type }"
_TERM_OF_KIND = """
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>
ASK { ?term rdf:type?/rdfs:subClassOf* ?kind }
"""


def list_queries(folder: Path) -> tuple[CannedQuery, ...]:
    """Every query in `folder`, those with a position first, the others by name.

    Raises BrokenQuery when there is no such folder, and for a file that cannot be read or is not right, with the line.
    """
    _check_folder(folder)
    for path in folder.glob("*.rq"):
        if not _NAME.fullmatch(path.stem) or len(path.stem) > _LONGEST_NAME:
            raise BrokenQuery(str(path), "the name of the file is no name of a query.", "Use a-z, 0-9 and hyphens.")
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


def paged(query: CannedQuery, limit: int | None, offset: int) -> CannedQuery:
    """The query for one page of its rows, in their order: `limit` of them at most, after the first `offset`."""
    page = (f"LIMIT {limit}\n" if limit is not None else "") + (f"OFFSET {offset}\n" if offset else "")
    return replace(query, text=f"{query.text.rstrip()}\n{page}") if page else query


def members_of_kind(knowledge: Knowledge, kind: str) -> tuple[str, ...]:
    """The local names of all terms that a parameter of a kind takes: classes at or below it, and individuals of these."""
    classes = knowledge.taxonomy.below(expand(kind))
    individuals = {i for c in classes for i in knowledge.graph.subjects(RDF.type, c) if isinstance(i, URIRef)}
    return tuple(sorted({local_name(term) for term in individuals or classes}))


def question_of(query: CannedQuery, values: Mapping[str, str]) -> Question:
    """The query with its parameters bound, on condition that its terms exist and are of their kind.

    Raises InvalidParameter as `bind` does, BrokenQuery when the text of the query is refused.
    """
    bindings = bind(query, values)
    conditions = [
        condition
        for parameter in query.parameters
        if parameter.type is ParameterType.TERM
        for condition in _conditions(query, parameter, bindings[parameter.name])
    ]
    try:
        checked = check(query.text)
    except InvalidQuery as error:
        raise broken(query, error) from None
    return Question(checked, ResultFormat.JSON, bindings=bindings, conditions=conditions)


def run(store: Queryable, query: CannedQuery, values: Mapping[str, str], limits: QueryLimits | None = None) -> Result:
    """Bind the parameters, check that the terms exist and are of their kind, and start the query.

    Raises InvalidParameter as `bind` does, and for a term that the knowledge does not hold; BrokenQuery when the text
    of the query is not valid.
    """
    question = question_of(query, values)
    for condition in question.conditions:
        if not store.query(condition.text, bindings=condition.bindings).truth():
            raise condition.failure
    try:
        return store.query(query.text, bindings=question.bindings, limits=limits)
    except InvalidQuery as error:
        raise broken(query, error) from None


def broken(query: CannedQuery, error: InvalidQuery) -> BrokenQuery:
    """What a store says against the text of a canned query, as the fault of its file."""
    return BrokenQuery(f"{query.name}.rq", f"{error.place}: {error.problem}", error.mend)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise BrokenQuery(str(folder), "there is no such folder.", "Give the folder that holds the .rq files.")


def _conditions(query: CannedQuery, parameter: Parameter, term: Node) -> Iterator[Condition]:
    unknown = InvalidParameter(
        parameter.name, f"the knowledge holds no term <{term}>.", f"Look it up by its label. {query.usage()}"
    )
    yield Condition(_KNOWN_TERM, {"term": term}, unknown)
    if parameter.kind is not None:
        other = InvalidParameter(parameter.name, f"<{term}> is no {parameter.kind}.", query.usage())
        yield Condition(_TERM_OF_KIND, {"term": term, "kind": URIRef(expand(parameter.kind))}, other)
