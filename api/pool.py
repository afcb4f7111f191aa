"""The pool: queries run in workers outside of this process, one at a time each, and end at their deadline."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from api.keeper import Born, Ended, KeeperProcess, Source
from api.problems import busy
from api.worker import Worker, WorkerGone
from kg.errors import InvalidQuery, NextlineError, QueryFailure, QueryTooLarge
from kg.query_keeper import OUT_OF_MEMORY
from kg.query_messages import Question, Reply, pack_question
from kg.query_worker import out_of_memory

_LOG = logging.getLogger("nextline.api")
_CAUSE_SECONDS = 2.0
_RESTART_SECONDS = 1.0
_IDLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many queries run at once, how many more wait, how long one may take from its arrival, and what it may use."""

    workers: int
    waiting: int
    seconds: float
    memory_bytes: int


@dataclass(eq=False, slots=True)
class _Turn:
    client: str
    given: asyncio.Future[Worker]


class QueryPool:
    """The workers over one store. The store is loaded when the pool is made; the workers are had once a loop runs."""

    def __init__(self, source: Source, limits: PoolLimits) -> None:
        """Load the store. Raises BuildNotFound or InvalidFile."""
        self.limits = limits
        self._source = source
        self._keeper = self._start()
        self._idle: list[Worker] = []
        self._workers: dict[int, Worker] = {}
        self._waiting: list[_Turn] = []
        self._running: Counter[str] = Counter()
        self._causes: dict[int, asyncio.Future[int]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_use = 0.0
        self._is_closed = False

    @property
    def graphs(self) -> tuple[str, ...]:
        """The IRIs of the named graphs of the store."""
        return self._keeper.graphs

    @property
    def quads(self) -> int:
        """The number of quads of the store."""
        return self._keeper.quads

    @property
    def keeper_pid(self) -> int:
        """The process that holds the store."""
        return self._keeper.process.pid

    @property
    def busy(self) -> int:
        """How many queries run now."""
        return self._running.total()

    async def ask(self, question: Question, client: str = "") -> Reply:
        """The whole result of a question; `client` names who asks, so that turns are shared out fairly.

        Cancelling it ends the query. Raises RequestProblem (503) when there are too many, QueryFailure at the deadline,
        QueryTooLarge for what needs too much, InvalidQuery for what the parser or the store refuses, and the failure of a
        condition that does not hold.
        """
        loop = self._attached()
        deadline = loop.time() + self.limits.seconds
        worker = await self._turn(client, deadline)
        self._running[client] += 1
        is_late = False

        def stop() -> None:
            nonlocal is_late
            is_late = True
            worker.kill()
            self._forget(worker)  # the caller is free before the kernel has taken the worker down

        self._causes[worker.pid] = loop.create_future()
        alarm = loop.call_at(deadline, stop)
        try:
            packed = pack_question(replace(question, seconds=max(0.01, deadline - loop.time())))
            reply = await worker.ask(packed)
        except WorkerGone:
            raise self._late() if is_late else await self._cause(worker.pid) from None
        except BaseException:
            worker.kill()  # the caller has gone: nobody waits for this query
            self._forget(worker)
            raise
        finally:
            alarm.cancel()
            self._causes.pop(worker.pid, None)
            self._leave(client)
        if is_late:
            raise self._late()
        if reply.is_last:
            self._forget(worker)
        else:
            self._idle_again(worker)
        if reply.error is not None:
            raise reply.error
        if reply.failed_condition is not None:
            raise question.conditions[reply.failed_condition].failure
        return reply

    def retire(self) -> None:
        """Close the pool once nobody has used it for some seconds: who holds it may still have something to ask."""
        self._spawn(self._retired())

    async def aclose(self) -> None:
        """End every worker and the keeper."""
        if not self._is_closed:
            self._detach()
            await asyncio.to_thread(self._keeper.close)

    def _start(self) -> KeeperProcess:
        return KeeperProcess(self._source, workers=self.limits.workers, memory_bytes=self.limits.memory_bytes)

    def _attached(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise busy("sparql")
        if self._loop is not loop:
            self._loop = loop
            loop.add_reader(self._keeper.control, self._listen)
        return loop

    def _detach(self) -> None:
        self._is_closed = True
        for turn in self._waiting:
            if not turn.given.done():
                turn.given.set_exception(busy("sparql"))
        for worker in list(self._workers.values()):
            worker.close()
        self._workers.clear()
        self._idle.clear()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._keeper.control)

    async def _turn(self, client: str, deadline: float) -> Worker:
        self._last_use = asyncio.get_running_loop().time()
        if self._idle and not self._waiting:
            return self._idle.pop()
        if self.busy + len(self._waiting) >= self.limits.workers + self.limits.waiting:
            raise busy("sparql")
        turn = _Turn(client, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        self._share_out()
        try:
            async with asyncio.timeout_at(deadline):
                return await turn.given
        except TimeoutError:
            self._give_back(turn)
            raise busy("sparql") from None
        except asyncio.CancelledError:
            self._give_back(turn)
            raise

    def _give_back(self, turn: _Turn) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        if turn.given.done() and not turn.given.cancelled() and turn.given.exception() is None:
            self._idle_again(turn.given.result())

    def _share_out(self) -> None:
        """Give idle workers to who waits: of the clients that wait, the one that has the fewest."""
        promised = Counter[str]()
        while self._idle and self._waiting:
            turn = min(self._waiting, key=lambda waiting: self._running[waiting.client] + promised[waiting.client])
            self._waiting.remove(turn)
            if not turn.given.done():
                promised[turn.client] += 1
                turn.given.set_result(self._idle.pop())

    def _leave(self, client: str) -> None:
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
        self._last_use = asyncio.get_running_loop().time()

    def _idle_again(self, worker: Worker) -> None:
        if not worker.is_gone:
            self._idle.append(worker)
            self._share_out()

    def _forget(self, worker: Worker) -> None:
        worker.close()
        self._workers.pop(worker.pid, None)
        if worker in self._idle:
            self._idle.remove(worker)

    def _listen(self) -> None:
        news = self._keeper.news()
        if news is None:
            if self._loop is not None:
                self._loop.remove_reader(self._keeper.control)
            if not self._is_closed:
                self._spawn(self._restarted())
            return
        for event in news:
            if isinstance(event, Born):
                self._workers[event.pid] = Worker(event, self._forget)
                self._idle_again(self._workers[event.pid])
            elif isinstance(event, Ended):
                cause = self._causes.get(event.pid)
                if cause is not None and not cause.done():
                    cause.set_result(event.code)

    async def _restarted(self) -> None:
        """Start another keeper in place of one that has gone; try again until it works."""
        _LOG.error("the process that holds the query store has ended; it is started anew")
        while not self._is_closed:
            for worker in list(self._workers.values()):
                self._forget(worker)
            await asyncio.to_thread(self._keeper.close)
            try:
                self._keeper = await asyncio.to_thread(self._start)
            except NextlineError as error:
                _LOG.error("the query store cannot be loaded: %s", error)
                await asyncio.sleep(_RESTART_SECONDS)
                continue
            self._loop = None
            self._attached()
            return

    async def _retired(self) -> None:
        while self.busy or self._waiting or asyncio.get_running_loop().time() < self._last_use + _IDLE_SECONDS:
            await asyncio.sleep(_IDLE_SECONDS / 5)
        await self.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _late(self) -> QueryFailure:
        return QueryFailure(
            "query",
            f"the query did not finish within {self.limits.seconds:g} seconds.",
            "Make it more selective, or try again later.",
        )

    async def _cause(self, pid: int) -> NextlineError:
        """What ended a worker amid a query, as an error for who asked."""
        try:
            async with asyncio.timeout(_CAUSE_SECONDS):
                code = await self._causes[pid]
        except TimeoutError:
            code = 0
        _LOG.warning("a query worker ended with %s", code)
        make = _CAUSES.get(code)
        return self._late() if code == -signal.SIGALRM else make() if make else _lost()


def _too_deep() -> InvalidQuery:
    return InvalidQuery("query", "the query is too complex to be planned.", "Split it into simpler ones.")


def _lost() -> QueryFailure:
    return QueryFailure(
        "query", "the process that ran the query ended.", "Try again; if it recurs, simplify the query."
    )


_CAUSES: dict[int, Callable[[], InvalidQuery | QueryTooLarge]] = {
    -signal.SIGSEGV: _too_deep,
    -signal.SIGBUS: _too_deep,
    -signal.SIGABRT: out_of_memory,
    OUT_OF_MEMORY: out_of_memory,
}
