"""Serving below a prefix that a proxy leaves on the paths of requests."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class BelowPrefix:
    """Tells the application that its paths begin after `prefix`; requests without it are answered as well."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; see the class."""
        if scope["type"] == "http" and f"{scope['path']}/".startswith(f"{self._prefix}/"):
            scope = {**scope, "root_path": self._prefix}
        await self._app(scope, receive, send)
