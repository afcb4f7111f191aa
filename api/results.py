"""Query results as HTTP responses, in the format that the client prefers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from rdflib.term import Node
from starlette.requests import Request
from starlette.responses import Response

from api.negotiation import choose
from api.problems import RequestProblem
from api.services import Services
from kg.errors import QueryFailure
from kg.store import Form, Result, ResultFormat, formats_of

_ALIASES = {
    ResultFormat.JSON: ("application/json",),
    ResultFormat.XML: ("application/xml", "text/xml"),
    ResultFormat.N_TRIPLES: ("text/plain",),
    ResultFormat.RDF_XML: ("application/xml",),
    ResultFormat.JSON_LD: ("application/json",),
}


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


async def result_response(request: Request, services: Services, start: Callable[[], Result]) -> Response:
    """Run a query in its lane and answer with its result.

    Raises RequestProblem (406) when no format suits, QueryFailure when the time is over, and what `start` raises.
    """
    accept = request.headers.get("accept")

    def work() -> tuple[str, bytes]:
        result = start()
        types = offered(result.form)
        media_type = choose(accept, list(types))
        if media_type is None:
            raise _not_acceptable(types)
        return media_type, result.serialise(types[media_type])

    seconds = services.settings.query_seconds
    try:
        media_type, body = await services.queries.run(work, seconds=seconds)
    except TimeoutError:
        raise QueryFailure(
            "query",
            f"the query did not finish within {seconds:g} seconds.",
            "Make it more selective, or try again later.",
        ) from None
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return Response(body, headers={"Content-Type": media_type + charset, "Vary": "Accept"})


async def rows_of(services: Services, text: str, bindings: Mapping[str, Node] | None = None) -> list[dict[str, Node]]:
    """The solutions of a query of our own, such as one behind a page; an unbound variable is missing from its row.

    Raises as `result_response` does.
    """
    seconds = services.settings.query_seconds
    return await services.queries.run(lambda: services.store.query(text, bindings=bindings).rows(), seconds=seconds)


def _not_acceptable(types: dict[str, ResultFormat]) -> RequestProblem:
    return RequestProblem(
        HTTPStatus.NOT_ACCEPTABLE,
        "not-acceptable",
        "Accept",
        "the result of this query cannot be had in an accepted format.",
        f"Accept one of {', '.join(types)}.",
    )
