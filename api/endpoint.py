"""What a SPARQL endpoint is made of: the pool that answers, the limits, and what its results are made from."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import lru_cache

from starlette.requests import Request

from api.budget import Budget
from api.keeper import Source
from api.pool import PoolLimits, QueryPool
from api.remote_pool import RemotePool
from api.settings import Settings
from kg.query_text import CheckedText, TextLimits, check
from kg.store import Queryable

_LONG_TEXT = 4000  # characters: checking that many takes a millisecond or two
_cached_check = lru_cache(maxsize=1000)(check)


@dataclass(slots=True)
class Unsent:
    """The bytes of results that are being sent."""

    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pool with its settings. `version` names the content of its store: the same version, the same results.

    `sizes` has the triples of the named graphs, where they are known.
    """

    pool: QueryPool | RemotePool
    settings: Settings
    version: str
    sizes: dict[str, int]
    budget: Budget
    is_union: bool = True
    unsent: Unsent = field(default_factory=Unsent)

    @classmethod
    def open(cls, source: Source | Queryable, settings: Settings, version: str, sizes: dict[str, int]) -> Endpoint:
        """Load the store, or take an external server in its place. Raises BuildNotFound or InvalidFile."""
        budget = Budget(settings.query_client_seconds)
        is_union = source.union if isinstance(source, Source) else True
        return cls(_pool(source, settings, sizes), settings, version, sizes, budget, is_union)

    def over(self, source: Source | Queryable, version: str, sizes: dict[str, int]) -> Endpoint:
        """The same endpoint over another store, loaded here. Raises BuildNotFound."""
        return replace(self, pool=_pool(source, self.settings, sizes), version=version, sizes=sizes)

    @property
    def text_limits(self) -> TextLimits:
        """How long and how nested a query may be."""
        chosen = self.settings
        return TextLimits(chosen.query_text_bytes, chosen.query_nesting, chosen.query_operators, chosen.query_tokens)

    async def checked(self, text: str) -> CheckedText:
        """The text, checked; a long one beside the event loop. Raises InvalidQuery."""
        if len(text) <= _LONG_TEXT:
            return _cached_check(text, self.text_limits)
        return await asyncio.to_thread(check, text, self.text_limits)


def _pool(source: Source | Queryable, settings: Settings, sizes: dict[str, int]) -> QueryPool | RemotePool:
    limits = PoolLimits(
        settings.query_workers, settings.query_waiting, settings.query_seconds, settings.query_memory_bytes
    )
    if isinstance(source, Source):
        return QueryPool(source, limits)
    return RemotePool.over(source, limits, sum(sizes.values()))


def endpoint_of(request: Request) -> Endpoint:
    """The endpoint of the application that a request came to."""
    state = request.app.state
    endpoint: Endpoint = state.services.endpoint if hasattr(state, "services") else state.endpoint
    return endpoint
