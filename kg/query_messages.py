"""What a server and its query workers say to each other: a header in JSON and a body of bytes, each with its length.

Nothing that comes from a worker is ever executed or unpickled: a worker runs the queries of strangers.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rdflib import BNode, Literal, URIRef
from rdflib.term import Node

from kg.errors import InvalidQuery, NextlineError, QueryFailure, QueryTooLarge
from kg.query_text import CheckedText
from kg.store import ResultFormat

PREFIX = struct.Struct("!IQ")
_READ_BYTES = 2**18
_ERRORS: Mapping[str, type[NextlineError]] = {
    error.__name__: error for error in (InvalidQuery, QueryFailure, QueryTooLarge)
}

_UNTOLD = QueryFailure("query", "a condition does not hold.", "The server knows which.")

Header = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """An ASK query of our own that has to be true for a question to be answered; `failure` is raised when it is not."""

    text: str
    bindings: Mapping[str, Node]
    failure: NextlineError


@dataclass(frozen=True, slots=True)
class Question:
    """One query for a worker: its checked text, its bindings and dataset, and how the result is to be written.

    `seconds` is when the kernel ends the worker, whatever the server does; `compress` allows gzip. Relative IRIs
    are read against `base`.
    """

    checked: CheckedText
    format: ResultFormat
    bindings: Mapping[str, Node] = field(default_factory=dict)
    default_graphs: Sequence[str] = ()
    named_graphs: Sequence[str] = ()
    conditions: Sequence[Condition] = ()
    compress: bool = False
    base: str | None = None
    result_bytes: int = 64 * 2**20
    result_rows: int = 1_000_000
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker answers: the result, how many rows or triples it has, and whether it is compressed.

    `failed_condition` is the position of the condition that did not hold; then there is no result. `is_last` says that
    the worker ends after this.
    """

    body: bytes | memoryview
    rows: int = 0
    is_compressed: bool = False
    failed_condition: int | None = None
    error: NextlineError | None = None
    is_last: bool = False


def packed(header: Header, body: bytes = b"") -> bytes:
    """A message as it is sent."""
    text = json.dumps(header, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return PREFIX.pack(len(text), len(body)) + text + body


def receive(connection: socket.socket) -> tuple[Header, bytes] | None:
    """The next message of a blocking socket; nothing when the other side has gone."""
    prefix = _exactly(connection, PREFIX.size)
    if prefix is None:
        return None
    header_size, body_size = PREFIX.unpack(prefix)
    rest = _exactly(connection, header_size + body_size)
    return None if rest is None else (json.loads(rest[:header_size]), bytes(rest[header_size:]))


def pack_question(question: Question) -> bytes:
    """A question as it is sent."""
    checked = question.checked
    header: Header = {
        "text": checked.text,
        "checked": [checked.has_dataset, checked.form, checked.is_repeatable],
        "format": question.format.name,
        "bytes": question.result_bytes,
        "rows": question.result_rows,
        "seconds": question.seconds,
    }
    if question.bindings:
        header["bindings"] = _terms(question.bindings)
    if question.default_graphs:
        header["defaultGraphs"] = list(question.default_graphs)
    if question.named_graphs:
        header["namedGraphs"] = list(question.named_graphs)
    if question.conditions:
        header["conditions"] = [[c.text, _terms(c.bindings)] for c in question.conditions]
    if question.base is not None:
        header["base"] = question.base
    if question.compress:
        header["compress"] = True
    return packed(header)


def read_question(header: Header) -> Question:
    """What `pack_question` wrote."""
    has_dataset, form, is_repeatable = header["checked"]
    return Question(
        checked=CheckedText(header["text"], has_dataset, form, is_repeatable),
        format=ResultFormat[header["format"]],
        bindings=_read_terms(header.get("bindings", {})),
        default_graphs=header.get("defaultGraphs", ()),
        named_graphs=header.get("namedGraphs", ()),
        conditions=[Condition(text, _read_terms(terms), _UNTOLD) for text, terms in header.get("conditions", ())],
        compress=header.get("compress", False),
        base=header.get("base"),
        result_bytes=header["bytes"],
        result_rows=header["rows"],
        seconds=header["seconds"],
    )


def reply_header(reply: Reply) -> Header:
    """The header of a reply; the body goes beside it."""
    header: Header = {"rows": reply.rows}
    if reply.is_compressed:
        header["compressed"] = True
    if reply.failed_condition is not None:
        header["failed"] = reply.failed_condition
    if reply.error is not None:
        error = reply.error
        header["error"] = [type(error).__name__, error.place, error.problem, error.mend]
    if reply.is_last:
        header["last"] = True
    return header


def read_reply(header: Header, body: bytes | memoryview) -> Reply:
    """What a worker answered."""
    error = None
    if "error" in header:
        name, place, problem, mend = header["error"]
        error = _ERRORS.get(name, QueryFailure)(place, problem, mend)
    return Reply(
        body=body,
        rows=header.get("rows", 0),
        is_compressed=header.get("compressed", False),
        failed_condition=header.get("failed"),
        error=error,
        is_last=header.get("last", False),
    )


def read_rows(body: bytes | memoryview) -> list[dict[str, Node]]:
    """The rows of a result in `ResultFormat.JSON`; an unbound variable is missing from its row."""
    document = json.loads(bytes(body))
    return [
        {name: _read_term(term) for name, term in row.items()}
        for row in document.get("results", {}).get("bindings", ())
    ]


def _terms(bindings: Mapping[str, Node]) -> Header:
    return {name: _term(node) for name, node in bindings.items()}


def _read_terms(terms: Header) -> dict[str, Node]:
    return {name: _read_term(term) for name, term in terms.items()}


def _term(node: Node) -> Header:
    if not isinstance(node, Literal):
        return {"type": "uri", "value": str(node)}
    term = {"type": "literal", "value": str(node)}
    if node.language:
        term["xml:lang"] = node.language
    elif node.datatype:
        term["datatype"] = str(node.datatype)
    return term


def _read_term(term: Header) -> Node:
    if term["type"] == "uri":
        return URIRef(term["value"])
    if term["type"] == "bnode":
        return BNode(term["value"])
    if "xml:lang" in term:
        return Literal(term["value"], lang=term["xml:lang"])
    datatype = term.get("datatype")
    return Literal(term["value"], datatype=None if datatype is None else URIRef(datatype))


def _exactly(connection: socket.socket, size: int) -> bytearray | None:
    """So many bytes; nothing when the other side has gone before."""
    received = bytearray(size)
    view, filled = memoryview(received), 0
    while filled < size:
        count = connection.recv_into(view[filled : filled + _READ_BYTES])
        if not count:
            return None
        filled += count
    return received
