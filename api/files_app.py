"""A SPARQL endpoint over any RDF files, without an ontology or a build."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api import problems, sparql
from api.cors import PublicPaths
from api.endpoint import Endpoint
from api.head import HeadAsGet
from api.keeper import Source
from api.settings import Settings
from api.shutdown import ShutdownAnswer
from kg.errors import InvalidFile


def create_files_app(files: Sequence[tuple[Path, str | None]], settings: Settings, *, union: bool = False) -> Starlette:
    """The application that answers queries over `files`, each with the graph that its triples come into, if one.

    The files are loaded here. Raises InvalidFile.
    """
    source = Source(files=files, union=union)
    endpoint = Endpoint.open(source, settings, _version(files), {})

    @asynccontextmanager
    async def closing(app: Starlette) -> AsyncIterator[None]:
        yield
        await endpoint.pool.aclose()

    app = Starlette(
        routes=[*sparql.routes, Route("/healthz", _healthz)],
        lifespan=closing,
        middleware=[Middleware(PublicPaths, paths=("/sparql",)), Middleware(HeadAsGet), Middleware(ShutdownAnswer)],
    )
    app.state.endpoint = endpoint
    problems.install(app)
    return app


async def _healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _version(files: Sequence[tuple[Path, str | None]]) -> str:
    """A name for the content of the files."""
    digest = hashlib.sha256()
    for path, graph in files:
        try:
            digest.update(f"{path.resolve()} {graph} ".encode() + hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise InvalidFile(str(path), f"the file cannot be read ({error.strerror}).", "Check its path.") from None
    return digest.hexdigest()
