"""The SPARQL 1.1 protocol, query operation only, as plain Starlette routes."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.bodies import media_type, read_body
from api.endpoint import endpoint_of
from api.problems import RequestProblem
from api.results import query_response
from api.service_description import describe
from kg.errors import InvalidQuery
from kg.query_messages import Question
from kg.store import ResultFormat

FORM = "application/x-www-form-urlencoded"
QUERY = "application/sparql-query"
_UPDATE = "application/sparql-update"
_READ_ONLY = "This endpoint is read-only: send a query."
_MAX_FIELDS = 100

Fields = Sequence[tuple[str, str]]


async def sparql(request: Request) -> Response:
    """Answer GET with `query`, POST of a form with `query`, and POST of the query itself.

    A GET that asks nothing gets the service description, a browser the page to write queries in.
    """
    fields = _fields(request.url.query)
    if request.method == "POST":
        kind = media_type(request)
        body = await read_body(request, endpoint_of(request).settings.max_body_bytes)
        if kind == FORM:
            fields = [*fields, *_fields(_text(body))]
            text = _single_query(fields)
        elif kind == QUERY:
            text = _text(body)
            if any(name == "query" for name, _ in fields):
                raise InvalidQuery("query", "there is a query in the body and one in the URL.", "Send one of the two.")
        else:
            raise _unsupported(kind)
    elif not {name for name, _ in fields} & {"query", "update"}:
        return describe(request, endpoint_of(request))
    else:
        text = _single_query(fields)
    endpoint = endpoint_of(request)  # once the body is there: a newer build may have come meanwhile
    question = Question(
        await endpoint.checked(text),
        ResultFormat.JSON,
        base=str(request.url.replace(query="", fragment="")),
        default_graphs=[value for name, value in fields if name == "default-graph-uri"],
        named_graphs=[value for name, value in fields if name == "named-graph-uri"],
    )
    formats = [value for name, value in fields if name == "format"]
    return await query_response(request, endpoint, question, format_name=formats[0] if formats else None)


def _single_query(fields: Fields) -> str:
    if any(name == "update" for name, _ in fields):
        raise InvalidQuery("update", "the parameter 'update' is not taken.", _READ_ONLY)
    queries = [value for name, value in fields if name == "query"]
    if len(queries) != 1:
        raise InvalidQuery(
            "query",
            "the parameter 'query' is missing." if not queries else "the parameter 'query' stands more than once.",
            "Send one query, such as ?query=ASK%20%7B%3Fs%20%3Fp%20%3Fo%7D",
        )
    return queries[0]


def _fields(encoded: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except UnicodeDecodeError:
        raise InvalidQuery("query", "the parameters are not UTF-8.", "Encode them as UTF-8.") from None
    except ValueError:
        raise InvalidQuery("query", f"there are more than {_MAX_FIELDS} parameters.", "Send fewer.") from None


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidQuery(f"byte {error.start}", "the body is not UTF-8.", "Encode it as UTF-8.") from None


def _unsupported(kind: str) -> RequestProblem:
    update = kind == _UPDATE
    return RequestProblem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "Content-Type",
        "updates are not taken." if update else f"'{kind or 'no media type'}' is not taken.",
        _READ_ONLY if update else f"Send {FORM} or {QUERY}.",
        {"Accept-Post": f"{FORM}, {QUERY}"},
    )


routes = [Route("/sparql", sparql, methods=["GET", "POST"], name="sparql")]
