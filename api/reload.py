"""Live reload: a newer finished build takes over between two requests; a broken one leaves the old one serving."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI

from api.services import Services
from kg.build_folder import MANIFEST, open_build
from kg.errors import NextlineError, StoreFailure

_LOG = logging.getLogger("nextline.api")


class Reloader:
    """Watches the manifest of a build folder, and the files of the canned queries.

    `problem` says why the newest build is not served, or is None.
    """

    def __init__(self, app: FastAPI, target: Path) -> None:
        self._app = app
        self._target = target
        self._seen = self._manifest()
        self.problem: str | None = None

    def _manifest(self) -> bytes | None:
        try:
            return (self._target / MANIFEST).read_bytes()
        except OSError:
            return None

    async def watch(self, seconds: float) -> None:
        """Look for a newer build, and for other queries, every so many seconds, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            found = self._manifest()
            if found != self._seen:
                self._seen = found
                await self.reload()
            await asyncio.to_thread(self._app.state.canned.refresh)

    async def reload(self) -> None:
        """Open the build in force and serve it, or say why not; requests under way keep what they began with."""
        current: Services = self._app.state.services
        try:
            renewed = await asyncio.to_thread(self._opened, current)
        except NextlineError as error:
            if isinstance(error, StoreFailure):
                self._seen = None  # the build is there, and the external server may hold it any moment
            if self.problem != str(error):
                _LOG.error("the newer build is not served: %s", error)
            self.problem = str(error)
            return
        self._app.state.services = renewed
        current.endpoint.pool.retire()
        self.problem = None
        _LOG.info("serving the build of %s", renewed.build.manifest.content_hash)

    def _opened(self, current: Services) -> Services:
        build = open_build(self._target, deadline_seconds=current.settings.reasoner_deadline_seconds)
        return current.with_build(build)


@asynccontextmanager
async def watching(app: FastAPI) -> AsyncIterator[None]:
    """The time for which the application serves, with its build folder watched if the settings say so."""
    services: Services = app.state.services
    seconds, target = services.settings.reload_seconds, services.settings.build_folder
    task = None
    if seconds:
        app.state.reloader = Reloader(app, target)
        task = asyncio.create_task(app.state.reloader.watch(seconds))
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await app.state.services.endpoint.pool.aclose()
