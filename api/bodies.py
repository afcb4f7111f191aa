"""Reading request bodies without taking in more than their limit."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request

from api.problems import RequestProblem


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request. Raises RequestProblem (413) as soon as more than `limit` bytes are announced or arrive."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise _too_large(limit)
    return bytes(received)


def media_type(request: Request) -> str:
    """The media type of the body without its parameters, in small letters; empty if none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(limit: int) -> RequestProblem:
    return RequestProblem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body-too-large",
        "body",
        f"the body has more than {limit} bytes.",
        "Send less.",
        {"Connection": "close"},
    )
