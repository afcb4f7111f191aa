"""What the routes share: the opened build, the query store, the settings and the lanes."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace

from starlette.requests import Request

from api.lanes import Lane
from api.settings import Settings
from api.stores import open_store
from kg.answer import Answerer
from kg.build_folder import Build
from kg.store import Queryable, QueryLimits


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request needs, opened once when the server starts."""

    build: Build
    answerer: Answerer
    store: Queryable
    settings: Settings
    reasoner: Lane
    queries: Lane

    @classmethod
    def open(cls, build: Build, settings: Settings) -> Services:
        """Load the graphs and the program of `build` into memory; the graphs may be on an external server instead.

        Raises BuildNotFound if one cannot be read, and the errors of `open_store`.
        """
        store = open_store(build, settings)
        return cls(
            build=build,
            answerer=_settled(build),
            store=store,
            settings=settings,
            reasoner=Lane("eligibility", workers=settings.reasoner_workers, waiting=settings.reasoner_waiting),
            queries=Lane("sparql", workers=settings.query_workers, waiting=settings.query_waiting),
        )

    def with_build(self, build: Build) -> Services:
        """The same settings and lanes over another build, loaded here. Raises as `open` does."""
        store = open_store(build, self.settings)
        return replace(self, build=build, answerer=_settled(build), store=store)

    @property
    def query_limits(self) -> QueryLimits:
        """The limits for one query."""
        return QueryLimits(result_bytes=self.settings.query_result_bytes, seconds=self.settings.query_seconds)


def _settled(build: Build) -> Answerer:
    """The answerer of a build, out of reach of the garbage collector: it lives as long as it serves, and is large.

    What an earlier build left behind is within reach again for this once, so that reloading does not add up.
    """
    answerer = build.answerer
    answerer.catalogue(lay=False, lang="en")  # what most requests need, before the first one comes
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return answerer


def services_of(request: Request) -> Services:
    """The services of the application that a request came to."""
    services: Services = request.app.state.services
    return services
