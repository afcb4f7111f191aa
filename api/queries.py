"""The canned queries: their list, their descriptions and their results."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.results import query_response
from api.services import services_of
from kg.errors import InvalidParameter, InvalidQuery
from kg.queries import CannedQuery, broken, list_queries, load_query, question_of

router = APIRouter(prefix="/v1/queries", tags=["Canned queries"])


def describe(query: CannedQuery) -> dict[str, Any]:
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
                "required": parameter.default is None,
                "default": parameter.default,
                "example": parameter.example,
                "description": parameter.description,
            }
            for parameter in query.parameters
        ],
        "text": query.text,
    }


@router.get("", summary="List the canned queries")
def list_all(request: Request) -> dict[str, Any]:
    """Every competency question with its parameters and its SPARQL text; `url` runs it."""
    return {"queries": [describe(query) for query in list_queries(services_of(request).settings.queries)]}


@router.get("/{name}/description", summary="Describe a canned query")
def description(request: Request, name: str) -> dict[str, Any]:
    """One entry of the list."""
    return describe(load_query(services_of(request).settings.queries, name))


@router.get("/{name}", include_in_schema=False)
async def results(request: Request, name: str) -> Response:
    """Run a query with its parameters from the query string; the format follows Accept as for /sparql."""
    services = services_of(request)
    query = load_query(services.settings.queries, name)
    values: dict[str, str] = {}
    for parameter, value in request.query_params.multi_items():
        if parameter in values:
            raise InvalidParameter(parameter, "the parameter stands more than once.", query.usage())
        values[parameter] = value
    try:
        return await query_response(request, services.endpoint, question_of(query, values))
    except InvalidQuery as error:
        raise broken(query, error) from None
