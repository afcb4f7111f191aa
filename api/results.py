"""Query results as HTTP responses, in the format that the client prefers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from rdflib.term import Node
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.endpoint import Endpoint
from api.etags import is_known
from api.negotiation import choose
from api.problems import RequestProblem, busy
from api.services import Services
from kg.errors import NextlineError
from kg.query_messages import Question, Reply, read_rows
from kg.query_text import check
from kg.store import Form, ResultFormat, formats_of

_ALIASES = {
    ResultFormat.JSON: ("application/json",),
    ResultFormat.XML: ("application/xml", "text/xml"),
    ResultFormat.N_TRIPLES: ("text/plain",),
    ResultFormat.RDF_XML: ("application/xml",),
    ResultFormat.JSON_LD: ("application/json",),
}
_NAMES = {
    "json": (ResultFormat.JSON, ResultFormat.JSON_LD),
    "xml": (ResultFormat.XML, ResultFormat.RDF_XML),
    "csv": (ResultFormat.CSV,),
    "tsv": (ResultFormat.TSV,),
    "turtle": (ResultFormat.TURTLE,),
    "ttl": (ResultFormat.TURTLE,),
    "ntriples": (ResultFormat.N_TRIPLES,),
    "nt": (ResultFormat.N_TRIPLES,),
    "nquads": (ResultFormat.N_QUADS,),
    "nq": (ResultFormat.N_QUADS,),
    "trig": (ResultFormat.TRIG,),
    "rdfxml": (ResultFormat.RDF_XML,),
    "rdf": (ResultFormat.RDF_XML,),
    "jsonld": (ResultFormat.JSON_LD,),
}
_FORMS = {"SELECT": Form.ROWS, "ASK": Form.BOOLEAN}
_WATCHED_AFTER_SECONDS = 0.03
_CHUNK_BYTES = 2**16
_LOG = logging.getLogger("nextline.sparql")


def offered(form: Form) -> dict[str, ResultFormat]:
    """The media types that a result of this form can be had in, the usual one first.

    >>> list(offered(Form.ROWS))[:2]
    ['application/sparql-results+json', 'application/json']
    """
    return {
        media_type: format_
        for format_ in formats_of(form)
        for media_type in (format_.value, *_ALIASES.get(format_, ()))
    }


def chosen(accept: str | None, name: str | None, form: Form) -> tuple[str, ResultFormat]:
    """Media type and format for a result: by `name` (the parameter `format`), else by the Accept header.

    Raises RequestProblem: 406 when none suits, 400 for a name that is unknown.

    >>> chosen("text/csv", "ttl", Form.GRAPH)[0]
    'text/turtle'
    """
    types = offered(form)
    if name is None:
        media_type = choose(accept, list(types))
        if media_type is None:
            raise _not_acceptable("Accept", types)
        return media_type, types[media_type]
    if name in types:
        return name, types[name]
    named = _NAMES.get(name.lower())
    if named is None and not any(name in offered(other) for other in Form):
        raise RequestProblem(
            HTTPStatus.BAD_REQUEST,
            "invalid-parameter",
            "format",
            f"there is no format '{name[:50]}'.",
            f"Give one of {', '.join(_NAMES)}.",
        )
    for format_ in named or ():
        if format_ in formats_of(form):
            return format_.value, format_
    raise _not_acceptable("format", types)


async def query_response(
    request: Request,
    endpoint: Endpoint,
    question: Question,
    *,
    format_name: str | None = None,
) -> Response:
    """Have a question answered, and answer the request with the result; format, compression and tag are set here.

    Raises RequestProblem (406, 429, 503), what the pool raises, and ClientDisconnect when the client leaves meanwhile.
    """
    checked = question.checked
    form = _FORMS.get(checked.form, Form.GRAPH)
    media_type, format_ = chosen(request.headers.get("accept"), format_name, form)
    compress = _accepts_gzip(request.headers.get("accept-encoding", ""))
    settings = endpoint.settings
    question = replace(
        question,
        format=format_,
        compress=compress,
        result_bytes=settings.query_result_bytes,
        result_rows=settings.query_result_rows,
    )
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    headers = {
        "Content-Type": media_type + charset,
        "Vary": "Accept, Accept-Encoding",
        "Cache-Control": "no-cache" if checked.is_repeatable else "no-store",
    }
    if checked.is_repeatable and request.method in ("GET", "HEAD"):
        headers["ETag"] = _tag(endpoint, question, media_type)
        if is_known(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    client = request.client.host if request.client else ""
    reply = await _watched(request, _answered(endpoint, question, client))
    if reply.is_compressed:
        headers["Content-Encoding"] = "gzip"
    return WholeResult(reply.body, headers, endpoint)


async def rows_of(services: Services, text: str, bindings: Mapping[str, Node] | None = None) -> list[dict[str, Node]]:
    """The solutions of a query of our own, such as one behind a page; an unbound variable is missing from its row.

    Raises as `query_response` does.
    """
    question = Question(check(text), ResultFormat.JSON, bindings=bindings or {})
    return read_rows((await services.endpoint.pool.ask(question)).body)


class WholeResult(Response):
    """A result of a query, sent in pieces as the client takes them.

    A client that takes nothing for `query_send_seconds` is given up.
    """

    def __init__(self, body: bytes | memoryview, headers: Mapping[str, str], endpoint: Endpoint) -> None:
        super().__init__(headers={**headers, "Content-Length": str(len(body))})
        self._whole = memoryview(body)
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; see the class."""
        unsent, size = self._endpoint.unsent, len(self._whole)
        unsent.bytes += size
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, max(size, 1), _CHUNK_BYTES):
                piece = bytes(self._whole[start : start + _CHUNK_BYTES])
                more = start + _CHUNK_BYTES < size
                async with asyncio.timeout(self._endpoint.settings.query_send_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            _LOG.warning("outcome=slow-reader bytes=%d", size)
        finally:
            unsent.bytes -= size


async def _answered(endpoint: Endpoint, question: Question, client: str) -> Reply:
    """The reply to a question of a client, within its budget, with a line in the query log."""
    begin = time.monotonic()
    rows, size, outcome = 0, 0, "abandoned"
    endpoint.budget.check(client, begin)
    try:
        if endpoint.unsent.bytes > endpoint.settings.query_unsent_bytes:
            raise busy("sparql")
        reply = await endpoint.pool.ask(question, client)
        rows, size, outcome = reply.rows, len(reply.body), "ok"
        return reply
    except NextlineError as error:
        outcome = error.slug
        raise
    finally:
        end = time.monotonic()
        endpoint.budget.spend(client, end - begin, end)
        if endpoint.settings.query_log:
            _LOG.info(
                "outcome=%s form=%s ms=%.1f rows=%d bytes=%d query=%s",
                outcome,
                question.checked.form,
                (end - begin) * 1e3,
                rows,
                size,
                hashlib.sha256(question.checked.text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
            )


async def _watched(request: Request, answering: Coroutine[Any, Any, Reply]) -> Reply:
    """What `answering` gives, unless the client leaves before: then it is cancelled."""
    task = asyncio.ensure_future(answering)
    leaving: asyncio.Task[None] | None = None
    try:
        await asyncio.wait([task], timeout=_WATCHED_AFTER_SECONDS)
        if not task.done():
            leaving = asyncio.ensure_future(_left(request))
            await asyncio.wait([task, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
        return task.result()
    finally:
        for pending in (task, leaving):
            if pending is not None and not pending.done():
                pending.cancel()
                with suppress(asyncio.CancelledError, NextlineError):
                    await pending


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _accepts_gzip(header: str) -> bool:
    for entry in header.lower().split(","):
        coding, _, weight = entry.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _tag(endpoint: Endpoint, question: Question, media_type: str) -> str:
    """A weak tag: what it stands for has the same rows; names of blank nodes may differ."""
    made_from = (
        endpoint.version,
        question.checked.text,
        sorted((name, node.n3()) for name, node in question.bindings.items()),
        list(question.default_graphs),
        list(question.named_graphs),
        question.base,
        media_type,
    )
    return f'W/"{hashlib.sha256(repr(made_from).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def _not_acceptable(place: str, types: Mapping[str, ResultFormat]) -> RequestProblem:
    return RequestProblem(
        HTTPStatus.NOT_ACCEPTABLE,
        "not-acceptable",
        place,
        "the result of this query cannot be had in an accepted format.",
        f"Accept one of {', '.join(types)}.",
    )
