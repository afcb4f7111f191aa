"""What the routes share: the opened build, the SPARQL endpoint over it, the settings and the lane of the reasoner."""

from __future__ import annotations

import gc
import hashlib
from dataclasses import dataclass, replace

from starlette.requests import Request

from api.endpoint import Endpoint
from api.keeper import Source
from api.lanes import Lane
from api.settings import Settings
from api.stores import open_store
from kg.answer import Answerer
from kg.build_folder import Build
from kg.store import Queryable


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request needs, opened once when the server starts."""

    build: Build
    answerer: Answerer
    endpoint: Endpoint
    settings: Settings
    reasoner: Lane

    @classmethod
    def open(cls, build: Build, settings: Settings) -> Services:
        """Load the graphs and the program of `build`; the graphs may be on an external server instead.

        Raises BuildNotFound if one cannot be read, and the errors of `open_store`.
        """
        source, version, sizes = _of(build, settings)
        return cls(
            build=build,
            answerer=_settled(build),
            endpoint=Endpoint.open(source, settings, version, sizes),
            settings=settings,
            reasoner=Lane("eligibility", workers=settings.reasoner_workers, waiting=settings.reasoner_waiting),
        )

    def with_build(self, build: Build) -> Services:
        """The same settings and lane over another build, loaded here. Raises as `open` does."""
        endpoint = self.endpoint.over(*_of(build, self.settings))
        return replace(self, build=build, answerer=_settled(build), endpoint=endpoint)


def _of(build: Build, settings: Settings) -> tuple[Source | Queryable, str, dict[str, int]]:
    """What an endpoint over a build loads or asks, a name for its content, and the sizes of its graphs."""
    manifest = build.manifest
    files = "".join(manifest.files[path.name] for path in build.graph_files.values())
    source = Source(graphs=build.graph_files) if settings.store is None else open_store(build, settings)
    return source, hashlib.sha256(files.encode("ascii")).hexdigest(), manifest.graphs


def _settled(build: Build) -> Answerer:
    """The answerer of a build, out of reach of the garbage collector: it lives as long as it serves, and is large.

    What an earlier build left behind is within reach again for this once, so that reloading does not add up.
    """
    answerer = build.answerer
    answerer.catalogue(lay=False, lang="en")  # what most requests need, before the first one comes
    _ = build.search  # made here and now, for the same reason
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return answerer


def services_of(request: Request) -> Services:
    """The services of the application that a request came to."""
    services: Services = request.app.state.services
    return services
