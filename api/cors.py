"""Cross-origin requests: what is public anyway may be read by the pages of others."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = "GET, HEAD, POST, OPTIONS"
_EXPOSED = "ETag, Retry-After, Content-Encoding"
_DAY = "86400"


class PublicPaths:
    """Lets pages of any origin read what stands below `paths`, errors included, and answers OPTIONS there."""

    def __init__(self, app: ASGIApp, paths: Sequence[str]) -> None:
        self._app = app
        self._paths = tuple(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; see the class."""
        if scope["type"] != "http" or not any(self._is_below(scope["path"], path) for path in self._paths):
            await self._app(scope, receive, send)
            return

        async def opened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Access-Control-Allow-Origin"] = "*"
                headers["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        if scope["method"] == "OPTIONS":
            allowed = {
                "Allow": _METHODS,
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": "Accept, Content-Type, If-None-Match",
                "Access-Control-Max-Age": _DAY,
            }
            await Response(status_code=HTTPStatus.NO_CONTENT, headers=allowed)(scope, receive, opened)
            return
        await self._app(scope, receive, opened)

    @staticmethod
    def _is_below(path: str, prefix: str) -> bool:
        return path == prefix or path.startswith(f"{prefix}/")
