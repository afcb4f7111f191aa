"""What a client gets whose request is still under way when the server stops."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response


class ShutdownAnswer:
    """Answers 503 (`shutting-down`) when the server cancels a request that has no answer yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; see the class."""
        is_answered = False

        async def noting(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if scope["type"] != "http" or is_answered:
                raise
            request = Request(scope)
            response = problem_response(
                request,
                HTTPStatus.SERVICE_UNAVAILABLE,
                "shutting-down",
                request.url.path,
                "the server stops before the request is answered.",
                "Send it again when the server is back.",
                {"Connection": "close"},
            )
            await response(scope, receive, send)
