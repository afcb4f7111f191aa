"""The canned queries: their list, their descriptions and their results, by pages if asked."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.canned import canned_of
from api.results import query_response, rows_of
from api.services import services_of
from kg.canned import CannedQuery, Parameter, ParameterType, bind
from kg.errors import InvalidParameter, InvalidQuery
from kg.knowledge import Knowledge
from kg.queries import broken, members_of_kind, paged, question_of

router = APIRouter(prefix="/v1/queries", tags=["Canned queries"])

MOST_ROWS = 10_000
_LONGEST_LIST = 60


def describe(query: CannedQuery, knowledge: Knowledge) -> dict[str, Any]:
    """What a client has to know to run a query; `text` is its SPARQL."""
    return {
        "name": query.name,
        "question": query.question,
        "summary": query.summary,
        "url": f"{router.prefix}/{query.name}",
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type.value,
                "kind": parameter.kind,
                "values": values_of(parameter, knowledge),
                "minimum": parameter.minimum,
                "maximum": parameter.maximum,
                "required": parameter.default is None,
                "default": parameter.default,
                "example": parameter.example,
                "description": parameter.description,
            }
            for parameter in query.parameters
        ],
        "text": query.text,
    }


def values_of(parameter: Parameter, knowledge: Knowledge) -> list[str] | None:
    """All values that a parameter takes, if they can be listed: of an enum, or of a kind with at most 60 terms."""
    if parameter.type is ParameterType.ENUM:
        return list(parameter.values)
    if parameter.type is not ParameterType.TERM or parameter.kind is None:
        return None
    members = members_of_kind(knowledge, parameter.kind)
    return list(members) if len(members) <= _LONGEST_LIST else None


@router.get("", summary="List the canned queries")
def list_all(request: Request) -> dict[str, Any]:
    """Every competency question with its parameters and its SPARQL text; `url` runs it."""
    knowledge = services_of(request).build.knowledge
    return {"queries": [describe(query, knowledge) for query in canned_of(request).queries]}


@router.get("/{name}/description", summary="Describe a canned query")
def description(request: Request, name: str) -> dict[str, Any]:
    """One entry of the list."""
    return describe(canned_of(request).find(name), services_of(request).build.knowledge)


@router.get("/{name}", include_in_schema=False)
async def results(request: Request, name: str) -> Response:
    """Run a query with its parameters from the query string; the format follows Accept as for /sparql.

    With `limit`, one page of the ordered rows, and Link headers to the next and the previous one.
    """
    services = services_of(request)
    query = canned_of(request).find(name)
    values: dict[str, str] = {}
    for parameter, value in request.query_params.multi_items():
        if parameter in values:
            raise InvalidParameter(parameter, "the parameter stands more than once.", query.usage())
        values[parameter] = value
    limit = _number(query, values.pop("limit", None), "limit", 1, MOST_ROWS)
    offset = _number(query, values.pop("offset", None), "offset", 0, 10**9) or 0
    page = paged(query, limit, offset)
    try:
        response = await query_response(request, services.endpoint, question_of(page, values))
    except InvalidQuery as error:
        raise broken(query, error) from None
    if limit is not None and response.status_code == HTTPStatus.OK:
        links = []
        if await rows_of(services, paged(query, 1, offset + limit).text, bind(query, values)):
            links.append(_link(request, "next", limit, offset + limit))
        if offset:
            links.append(_link(request, "prev", limit, max(0, offset - limit)))
        if links:
            response.headers["Link"] = ", ".join(links)
    return response


def _number(query: CannedQuery, value: str | None, name: str, low: int, high: int) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 11 and low <= int(value) <= high):
        raise InvalidParameter(name, f"'{value[:100]}' is no whole number from {low} to {high}.", query.usage())
    return int(value)


def _link(request: Request, relation: str, limit: int, offset: int) -> str:
    url = request.url.include_query_params(limit=limit, offset=offset)
    return f'<{url.path}?{url.query}>; rel="{relation}"'
