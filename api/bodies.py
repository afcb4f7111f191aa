"""Reading request bodies without taking in more than their limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from http import HTTPStatus

from starlette.requests import Request

from api.problems import RequestProblem

_DRAINED_BYTES = 32 * 2**20
_DRAINING_SECONDS = 5.0
_SILENCE_SECONDS = 0.5


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request.

    Raises RequestProblem (413) when more than `limit` bytes are announced or arrive; of the rest, a part is read and
    dropped first, for clients that look for an answer only when they have sent all.
    """
    chunks = request.stream()
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        if "expect" not in request.headers:  # who asks before sending gets the answer in place of a go-ahead
            await _drain(chunks)
        raise _too_large(limit)
    received = bytearray()
    async for chunk in chunks:
        received += chunk
        if len(received) > limit:
            await _drain(chunks)
            raise _too_large(limit)
    return bytes(received)


async def _drain(chunks: AsyncGenerator[bytes, None]) -> None:
    """Read on until the end, a number of bytes, some seconds, or a silence of the sender."""
    drained = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAINING_SECONDS):
            while drained < _DRAINED_BYTES:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                drained += len(chunk)


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
