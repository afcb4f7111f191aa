"""The application: routes over an opened build."""

from __future__ import annotations

from fastapi import FastAPI

from api import docs, editor, eligibility, front, health, openapi, problems, queries, search, sparql, terms
from api.canned import CannedQueries
from api.cors import PublicPaths
from api.examples import read_examples
from api.head import HeadAsGet
from api.prefix import BelowPrefix
from api.reload import watching
from api.services import Services
from api.settings import Settings
from api.shutdown import ShutdownAnswer
from kg.build_folder import Build

_DESCRIPTION = """Decision support for the treatment of neuropathic pain: which options are open to a patient by which
guideline, what forbids the others, and from which source that is known. Errors are problem documents (RFC 9457) that
name the place and the mend. It supports decisions of professionals and replaces none."""


def create_app(build: Build, settings: Settings) -> FastAPI:
    """The application that serves `build`.

    The graphs are loaded into memory here. Raises BuildNotFound or BrokenQuery when what is to be served cannot
    be read.
    """
    app = FastAPI(
        title="Nextline",
        version=build.manifest.software_version,
        summary="Neuropathic pain: what is open now, and why?",
        description=_DESCRIPTION,
        docs_url=None,
        lifespan=watching,
        redoc_url=None,
        openapi_tags=[{"name": name} for name in ("Eligibility", "Canned queries", "Search", "SPARQL", "Server")],
    )
    app.state.services = Services.open(build, settings)
    app.state.canned = CannedQueries(settings.queries)
    problems.install(app)
    app.add_middleware(ShutdownAnswer)
    app.add_middleware(HeadAsGet)
    app.add_middleware(PublicPaths, paths=("/sparql", "/v1/queries", "/v1/search", "/id"))
    if settings.root_path != "/":
        app.add_middleware(BelowPrefix, prefix=settings.root_path)
    for router in (eligibility.router, queries.router, search.router, health.router):
        app.include_router(router)
    app.router.routes.extend([*eligibility.routes, *sparql.routes, *terms.routes, *editor.routes, *front.routes])
    docs.install(app)
    openapi.install(app, read_examples(settings.ontology))
    return app
