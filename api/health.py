"""Whether the server is up, and what exactly it serves."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request

from api.canned import canned_of
from api.services import services_of

router = APIRouter(tags=["Server"])


@router.get("/healthz", summary="Is the server up?")
async def healthz() -> dict[str, str]:
    """Answers as long as the server takes requests, also while queries run."""
    return {"status": "ok"}


@router.get("/version", summary="What is served?")
async def versions(request: Request) -> dict[str, Any]:
    """The software, the ontology (version IRI and hash of its content), the program and the engines.

    `reloadProblem` says why a newer build is not served, `queriesProblem` why the canned queries are not served as their
    files are now.
    """
    services = services_of(request)
    manifest = services.build.manifest
    reloader = getattr(request.app.state, "reloader", None)
    return {
        "software": manifest.software_version,
        "versionIri": manifest.version_iri,
        "contentHash": manifest.content_hash,
        "programHash": services.answerer.version["programHash"],
        "engine": services.answerer.engine.name,
        "referenceEngine": f"HermiT (Owlready2 {version('owlready2')})",
        "graphs": manifest.graphs,
        "reloadProblem": None if reloader is None else reloader.problem,
        "queriesProblem": canned_of(request).problem,
    }
