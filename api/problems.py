"""Errors as problem documents (RFC 9457, application/problem+json)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from kg.errors import (
    InvalidParameter,
    InvalidQuery,
    InvalidRecord,
    NextlineError,
    QueryFailure,
    QueryTooLarge,
    ReasonerTimeout,
    StoreFailure,
    StoreRefused,
    UnknownQuery,
)

MEDIA_TYPE = "application/problem+json"
_TYPE_BASE = "https://w3id.org/nextline/problems/"
_RETRY_SECONDS = 10
_LOG = logging.getLogger("nextline.api")

_STATUS: tuple[tuple[type[NextlineError], int], ...] = (
    (InvalidRecord, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UnknownQuery, HTTPStatus.NOT_FOUND),
    (InvalidParameter, HTTPStatus.BAD_REQUEST),
    (InvalidQuery, HTTPStatus.BAD_REQUEST),
    (QueryTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (QueryFailure, HTTPStatus.SERVICE_UNAVAILABLE),
    (ReasonerTimeout, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreRefused, HTTPStatus.BAD_GATEWAY),
    (StoreFailure, HTTPStatus.SERVICE_UNAVAILABLE),
)


class RequestProblem(NextlineError):
    """A request that HTTP itself has an answer for; `headers` go into the response."""

    slug = "request"

    def __init__(
        self, status: int, slug: str, place: str, problem: str, mend: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(place, problem, mend)
        self.status = status
        self.slug = slug
        self.headers = dict(headers or {})


def busy(place: str) -> RequestProblem:
    """The server has as much to do as it takes on."""
    return RequestProblem(
        HTTPStatus.SERVICE_UNAVAILABLE, "busy", place, "too many requests are waiting.", "Try again in a few seconds."
    )


def problem_response(
    request: Request,
    status: int,
    slug: str,
    place: str,
    problem: str,
    mend: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem document. `detail` says problem and mend in one text; `place` and `mend` stand for themselves too."""
    document = {
        "type": _TYPE_BASE + slug,
        "title": slug.replace("-", " ").capitalize(),
        "status": int(status),
        "detail": f"{place}: {problem} {mend}",
        "instance": request.url.path,
        "place": place,
        "mend": mend,
    }
    extra = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", str(_RETRY_SECONDS))
    return JSONResponse(document, status_code=int(status), media_type=MEDIA_TYPE, headers=extra)


def install(app: Starlette) -> None:
    """Make every error of the application answer as a problem document."""
    app.add_exception_handler(NextlineError, _on_named)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unforeseen)


async def _on_named(request: Request, error: Exception) -> Response:
    assert isinstance(error, NextlineError)
    if isinstance(error, RequestProblem):
        return problem_response(
            request, error.status, error.slug, error.place, error.problem, error.mend, error.headers
        )
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return problem_response(request, status, error.slug, error.place, error.problem, error.mend)
    _LOG.error("%s %s: %s", request.method, request.url.path, error)
    return _our_fault(request)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    mend = {
        HTTPStatus.NOT_FOUND: "See /docs for what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: "See /docs for the methods of this path.",
    }.get(status, "See /docs.")
    slug = status.phrase.lower().replace(" ", "-")
    problem = f"{status.phrase.lower()}."
    return problem_response(request, status, slug, request.url.path, problem, mend, error.headers)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return problem_response(
        request, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", place, f"{first['msg']}.", "See /docs."
    )


async def _on_disconnect(request: Request, error: Exception) -> Response:
    """The client left before its request was whole: nobody reads the answer, and nothing failed here."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _on_unforeseen(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _our_fault(request)


def _our_fault(request: Request) -> Response:
    return problem_response(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal-error",
        request.url.path,
        "the server failed; the fault is not in the request.",
        "Tell whoever runs this server: the log holds the cause.",
    )
