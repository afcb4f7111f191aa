"""An external server in the place of the pool: the same questions and replies, asked in threads that wait for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from api.lanes import Lane
from api.pool import PoolLimits
from kg.errors import QueryFailure
from kg.query_messages import Question, Reply
from kg.query_worker import answer
from kg.store import Queryable


@dataclass(frozen=True, slots=True)
class RemotePool:
    """Asks an external server, as many questions at once as the embedded store would be asked."""

    store: Queryable
    limits: PoolLimits
    lane: Lane
    quads: int

    @classmethod
    def over(cls, store: Queryable, limits: PoolLimits, quads: int) -> RemotePool:
        """A pool over a server that holds so many quads of the build."""
        return cls(store, limits, Lane("sparql", workers=limits.workers, waiting=limits.waiting), quads)

    @property
    def graphs(self) -> tuple[str, ...]:
        """The IRIs of the named graphs of the build."""
        return self.store.graphs

    async def ask(self, question: Question, client: str = "") -> Reply:
        """As `QueryPool.ask`; raises StoreUnreachable and StoreRefused besides."""
        timed = replace(question, seconds=self.limits.seconds)
        try:
            reply = await self.lane.run(lambda: answer(self.store, timed), seconds=self.limits.seconds)
        except TimeoutError:
            raise QueryFailure(
                "query",
                f"the query did not finish within {self.limits.seconds:g} seconds.",
                "Make it more selective, or try again later.",
            ) from None
        if reply.failed_condition is not None:
            raise question.conditions[reply.failed_condition].failure
        if reply.error is not None:
            raise reply.error
        return reply

    def retire(self) -> None:
        """Nothing is to be let go of."""

    async def aclose(self) -> None:
        """Nothing is to be let go of."""
