"""The page on which queries are written, with its examples, prefixes and completions."""

from __future__ import annotations

import asyncio
from typing import Any

from rdflib import Literal
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.etags import etag_of, not_modified, tagged
from api.page import render
from api.results import rows_of
from api.services import Services, services_of
from kg.description import PREFIXES
from kg.example_text import text_with_values
from kg.queries import CannedQuery, bind, list_queries
from kg.shipped_queries import shipped_query

_LONGEST_TEXT = 200
# The editor's table of results adds this one style for the handles of its columns; a new version may need a new hash.
_STYLE_OF_HANDLES = "'sha256-zCK2EVMoPc04mRF/g5CotUvxbJPWS+8V0b+s9ptqQIk='"


async def editor(request: Request) -> Response:
    """The page itself; what it needs it asks this server for."""
    base = services_of(request).settings.iri_base
    return render(request, "editor.html", style_hash=_STYLE_OF_HANDLES, iri_base=base)


async def prefixes(request: Request) -> Response:
    """The prefixes that a query may want, by prefix: those of the vocabularies and of the terminologies."""
    services = services_of(request)
    etag = etag_of(services, "prefixes")
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    rows = await rows_of(services, shipped_query("code-systems"))
    known = {str(row["prefix"]): str(row["namespace"]) for row in rows} | PREFIXES
    return JSONResponse(dict(sorted(known.items(), key=lambda item: item[0].lower())), headers=tagged(etag))


async def examples(request: Request) -> Response:
    """The canned queries, each as a text that runs by itself, with the values of its parameters written in."""
    found = await asyncio.to_thread(_examples, services_of(request))
    return JSONResponse({"examples": found}, headers={"Cache-Control": "no-cache"})


async def completions(request: Request) -> Response:
    """The terms that a text may be the beginning or a part of, best first: `iri`, `label`, `sort`."""
    services = services_of(request)
    text = request.query_params.get("q", "").strip()[:_LONGEST_TEXT]
    sort = request.query_params.get("sort", "")
    etag = etag_of(services, "completions", text, sort)
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    bindings = {"text": Literal(text), **({"sort": Literal(sort)} if sort else {})}
    rows = await rows_of(services, shipped_query("completions"), bindings) if text else []
    found = [{"iri": str(r["term"]), "label": str(r.get("label", "")), "sort": str(r["sort"])} for r in rows]
    return JSONResponse({"completions": found}, headers=tagged(etag))


def _examples(services: Services) -> list[dict[str, Any]]:
    return [_example(query) for query in list_queries(services.settings.queries)]


def _example(query: CannedQuery) -> dict[str, Any]:
    values = {p.name: p.example if p.default is None else p.default for p in query.parameters}
    # The editor is for reading and changing the text: the comments that describe it as a file are left out.
    lines = query.text.splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#+")).strip() + "\n"
    return {
        "name": query.name,
        "question": query.question,
        "summary": query.summary,
        "query": f"# {query.question}\n{text_with_values(text, bind(query, values))}",
    }


routes = [
    Route("/sparql/editor", editor, name="editor"),
    Route("/sparql/editor/prefixes", prefixes, name="editor-prefixes"),
    Route("/sparql/editor/examples", examples, name="editor-examples"),
    Route("/sparql/editor/completions", completions, name="editor-completions"),
]
