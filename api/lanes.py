"""Lanes: blocking work in threads, a few at once, a few waiting, the rest refused."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from api.problems import busy

T = TypeVar("T")

# Parsing and planning of a query recurse; the memory of a stack is taken only as far as it is used.
_STACK_BYTES = 64 * 2**20


class Lane:
    """Runs blocking functions in daemon threads so that the server stays free.

    At most `workers` run at once and `waiting` more wait for their turn. A function that outlives its time limit
    cannot be stopped: its caller is told, and its place stays taken until it ends.
    """

    def __init__(self, name: str, *, workers: int, waiting: int) -> None:
        self.name = name
        self._workers = workers
        self._waiting_limit = waiting
        self._running = 0
        self._queue: list[asyncio.Future[None]] = []

    async def run(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """The value of `work()`, or what it raises.

        Raises RequestProblem (503) when the lane is full or its turn does not come within `seconds`, TimeoutError when
        they pass, waiting included, after it began.
        """
        try:
            async with asyncio.timeout(seconds) as limit:
                await self._enter()
        except TimeoutError:
            raise busy(self.name) from None
        async with asyncio.timeout_at(limit.when()):
            return await self._start(work)

    async def _enter(self) -> None:
        if self._running < self._workers:
            self._running += 1
            return
        if len(self._queue) >= self._waiting_limit:
            raise busy(self.name)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            elif turn in self._queue:
                self._queue.remove(turn)
            raise

    def _leave(self) -> None:
        while self._queue:
            turn = self._queue.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1

    def _start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def finish(set_outcome: Callable[[Any], None], value: Any) -> None:
            self._leave()
            if not outcome.done():
                set_outcome(value)

        def body() -> None:
            try:
                value = work()
            except BaseException as error:
                _let_go(error)
                arguments: tuple[Any, ...] = (finish, outcome.set_exception, error)
            else:
                arguments = (finish, outcome.set_result, value)
            with suppress(RuntimeError):  # the server may have stopped meanwhile
                loop.call_soon_threadsafe(*arguments)

        thread = threading.Thread(target=body, name=f"nextline {self.name}", daemon=True)
        usual = threading.stack_size(_STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(usual)
        return outcome


def _let_go(error: BaseException) -> None:
    """Drop the variables that an error holds on to: a query result must not leave the thread that it was made in."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
