"""Linked data: every IRI of the knowledge answers with a page for people or its triples for machines."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus

from rdflib import URIRef
from rdflib.term import Node
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from api.etags import etag_of, not_modified, tagged
from api.negotiation import choose
from api.page import HTML, address_of, render, root_of, wants_page
from api.problems import RequestProblem
from api.results import offered, rows_of
from api.services import Services, services_of
from kg.description import Description
from kg.errors import InvalidParameter
from kg.namespaces import ROOT_IRI, local_name
from kg.shipped_queries import shipped_query
from kg.store import Form, ResultFormat
from kg.term_page import TermPage

_GRAPHS = offered(Form.GRAPH)
# Turtle comes first: whoever accepts anything is no browser.
_OFFERED = [*_GRAPHS, HTML]
FORMATS = {
    "html": HTML,
    "turtle": ResultFormat.TURTLE.value,
    "json-ld": ResultFormat.JSON_LD.value,
    "n-triples": ResultFormat.N_TRIPLES.value,
    "rdf-xml": ResultFormat.RDF_XML.value,
}
_IRI = re.compile(r"[a-z][a-z0-9+.-]*:(?:[^\s<>\"{}|^`\\\x00-\x20%]|%[0-9a-f]{2}){1,1000}", re.IGNORECASE)


async def by_name(request: Request) -> Response:
    """Answer for the term whose IRI is the base and the rest of the path."""
    services = services_of(request)
    name: str = request.path_params["name"]
    return await _answer(request, services, f"{services.settings.iri_base}{name}" if name else str(ROOT_IRI))


async def by_iri(request: Request) -> Response:
    """Answer for the term of the parameter `iri`: at its own address if it has one, else here."""
    services = services_of(request)
    iri = request.query_params.get("iri", "")
    if not iri:
        raise InvalidParameter("iri", "the parameter is missing.", "Give the IRI of a term, as in /id?iri=…")
    address = address_of(iri, root_of(request), services.settings.iri_base)
    is_plain = not {".", ".."} & set(iri.split("/"))  # browsers would take these out of an address
    if is_plain and _is_iri(iri) and address.startswith(f"{root_of(request)}id/"):
        return RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)
    return await _answer(request, services, iri)


async def _answer(request: Request, services: Services, iri: str) -> Response:
    media_type = _media_type(request)
    etag = etag_of(services, iri, media_type, str(root_of(request)))
    rows = await _description_rows(services, URIRef(iri)) if _is_iri(iri) else []
    if not rows:
        return _unknown(request, iri)
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    description = Description.of(URIRef(iri), rows)
    if media_type == HTML:
        page = await _page(services, description)
        response = await asyncio.to_thread(render, request, "term.html", page=page, formats=list(FORMATS)[1:])
    else:
        body = await asyncio.to_thread(description.serialise, _GRAPHS[media_type])
        charset = "; charset=utf-8" if media_type.startswith("text/") else ""
        response = Response(body, headers={"Content-Type": media_type + charset})
    response.headers.update(tagged(etag))
    response.headers["Link"] = _links(request, services, iri)
    return response


async def _description_rows(services: Services, term: URIRef) -> list[dict[str, Node]]:
    """The triples about a term; of one that is only referred to, such as a version, those that refer to it."""
    rows = await rows_of(services, shipped_query("term-description"), {"term": term})
    if rows:
        return rows
    references = await rows_of(services, shipped_query("term-references"), {"term": term})
    return [{"s": row["subject"], "p": row["property"], "o": row["term"]} for row in references]


async def _page(services: Services, description: Description) -> TermPage:
    bindings = {"term": description.iri}
    return await asyncio.to_thread(
        services.build.term_pages.page,
        description,
        references=await rows_of(services, shipped_query("term-references"), bindings),
        members=await rows_of(services, shipped_query("term-members"), bindings),
        sources=await rows_of(services, shipped_query("sources-of-term"), bindings),
        systems=await rows_of(services, shipped_query("code-systems")),
    )


def _media_type(request: Request) -> str:
    """What to answer with: the parameter `format`, else what Accept prefers. Raises RequestProblem (406)."""
    asked = request.query_params.get("format")
    if asked is not None:
        if asked not in FORMATS:
            raise InvalidParameter("format", f"'{asked[:100]}' is no format.", f"Give one of {', '.join(FORMATS)}.")
        return FORMATS[asked]
    accept = request.headers.get("accept")
    chosen = HTML if wants_page(request) and choose(accept, [HTML, *_GRAPHS]) == HTML else choose(accept, _OFFERED)
    if chosen is None:
        raise RequestProblem(
            HTTPStatus.NOT_ACCEPTABLE,
            "not-acceptable",
            "Accept",
            "a term cannot be had in an accepted format.",
            f"Accept one of {', '.join(_OFFERED)}.",
        )
    return chosen


def _unknown(request: Request, iri: str) -> Response:
    """404, as a page where one is wanted; both say where to look."""
    name = local_name(iri)[:100]
    if wants_page(request):
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
        return render(request, "unknown.html", status=HTTPStatus.NOT_FOUND, iri=iri[:1000], words=words)
    raise RequestProblem(
        HTTPStatus.NOT_FOUND,
        "unknown-term",
        iri[:1000],
        "the knowledge holds no such term.",
        f"Names are spelled as in the ontology, capitals included; search for one with /v1/search?q={name}",
    )


def _links(request: Request, services: Services, iri: str) -> str:
    """What the document is about, and the formats that it can be had in."""
    address = address_of(iri, root_of(request), services.settings.iri_base)
    separator = "&" if "?" in address else "?"
    alternates = [f'<{address}{separator}format={name}>; rel="alternate"; type="{t}"' for name, t in FORMATS.items()]
    return ", ".join([f'<{iri}>; rel="describes"', *alternates]) if address != iri else f'<{iri}>; rel="describes"'


def _is_iri(iri: str) -> bool:
    return _IRI.fullmatch(iri) is not None


routes = [
    Route("/id", by_iri, name="term-by-iri"),
    Route("/id/{name:path}", by_name, name="term"),
]
