"""The front page, the lists of terms by kind, the search, and the styles and scripts of all pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from api.etags import etag_of, not_modified, tagged
from api.examples import read_examples
from api.page import render, web_folder
from api.problems import RequestProblem
from api.services import Services, services_of
from kg.namespaces import NXL
from kg.term_index import EXAMPLE, GUIDELINE, KINDS, Kind, TermIndex

_LONGEST_TEXT = 200
_MOST_FOUND = 50


async def front(request: Request) -> Response:
    """What this is, a search for terms, and the ways on."""
    services = services_of(request)
    index = services.build.term_pages.index
    counts = await asyncio.to_thread(_counts, services, index)
    guidelines = _entries(index, GUIDELINE)
    return render(request, "front.html", counts=counts, guidelines=guidelines)


async def browse(request: Request) -> Response:
    """All terms of a kind."""
    services = services_of(request)
    kind = next((k for k in KINDS if k.name == request.path_params["kind"]), None)
    if kind is None:
        raise RequestProblem(
            HTTPStatus.NOT_FOUND,
            "not-found",
            request.url.path,
            "there is no list of that name.",
            f"Take one of {', '.join(k.name for k in KINDS)}.",
        )
    etag = etag_of(services, request.url.path)
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    index = services.build.term_pages.index
    entries = _examples(services) if kind is EXAMPLE else await asyncio.to_thread(_entries, index, kind)
    response = await asyncio.to_thread(render, request, "browse.html", kind=kind, kinds=KINDS, entries=entries)
    response.headers.update(tagged(etag))
    return response


async def search(request: Request) -> Response:
    """The terms that a text finds, as a page."""
    services = services_of(request)
    text = request.query_params.get("q", "").strip()[:_LONGEST_TEXT]
    names = services.build.search
    hits = names.find(text, limit=_MOST_FOUND) if text else ()
    index = services.build.term_pages.index
    found = [{"hit": hit, "label": names.label(hit.term, "en"), "kind": index.kind(hit.term).singular} for hit in hits]
    return render(request, "search.html", text=text, results=found, most=_MOST_FOUND)


def _counts(services: Services, index: TermIndex) -> list[tuple[Kind, int]]:
    counted = dict.fromkeys(KINDS, 0)
    for kind in index.terms.values():
        counted[kind] += 1
    counted[EXAMPLE] = len(_examples(services))
    return [(kind, number) for kind, number in counted.items() if number]


def _entries(index: TermIndex, kind: Kind) -> Sequence[dict[str, str]]:
    """The terms of a kind with what is directly above each, by label."""
    found = [
        {
            "iri": str(t),
            "label": index.label(t),
            "above": ", ".join(index.label(k.iri) for k in index.broader(t) if k.stated),
        }
        for t, k in index.terms.items()
        if k is kind
    ]
    return sorted(found, key=lambda entry: entry["label"].casefold())


def _examples(services: Services) -> Sequence[dict[str, str]]:
    """The example patients, whose individuals are no terms of the modules."""
    examples = read_examples(services.settings.ontology)
    return [{"iri": f"{NXL}examples/{e.id}/patient", "label": e.title, "above": ""} for e in examples]


routes = [
    Route("/", front, name="front"),
    Route("/browse/{kind}", browse, name="browse"),
    Route("/search", search, name="search"),
    Mount("/web/static", StaticFiles(directory=web_folder() / "static", check_dir=False), name="static"),
    Mount("/web/vendor", StaticFiles(directory=web_folder() / "vendor", check_dir=False), name="vendor"),
]
