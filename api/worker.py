"""One query worker, as the event loop sees it: a question goes in, a whole reply or its end comes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from api.keeper import Born
from kg.query_messages import PREFIX, Reply, read_reply

_READ_BYTES = 2**18


class WorkerGone(Exception):
    """The worker ended before it answered."""


class Worker:
    """A worker that answers one question at a time; `on_end` is called when it has gone."""

    def __init__(self, born: Born, on_end: Callable[[Worker], None]) -> None:
        self.pid = born.pid
        self.is_gone = False
        self._born = born
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._reply: asyncio.Future[Reply] | None = None
        self._head = bytearray()
        self._message: bytearray | None = None
        self._filled = 0
        self._loop.add_reader(born.connection, self._read)

    async def ask(self, question: bytes) -> Reply:
        """The reply to a packed question. Raises WorkerGone when the worker ends before."""
        self._reply = self._loop.create_future()
        try:
            sent = self._born.connection.send(question)
            if sent < len(question):
                await self._loop.sock_sendall(self._born.connection, question[sent:])
        except OSError:
            self._end()
        return await self._reply

    def kill(self) -> None:
        """End the process at once."""
        if not self.is_gone:
            self._born.kill()

    def close(self) -> None:
        """Let go of the worker; one that waits for a query ends."""
        if not self.is_gone:
            self.is_gone = True
            self._loop.remove_reader(self._born.connection)
            self._born.close()
            if self._reply is not None and not self._reply.done():
                self._reply.set_exception(WorkerGone())

    def _end(self) -> None:
        self.close()
        self._on_end(self)

    def _read(self) -> None:
        try:
            if self._message is None:
                self._begin(self._born.connection.recv(_READ_BYTES))
            else:
                count = self._born.connection.recv_into(memoryview(self._message)[self._filled :])
                if not count:
                    raise ConnectionResetError
                self._filled += count
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._end()
            return
        if self._message is not None and self._filled == len(self._message):
            self._finish(self._message)

    def _begin(self, data: bytes) -> None:
        """The first bytes of a message tell how long it is: from then on it is read into its place."""
        if not data:
            raise ConnectionResetError
        self._head += data
        if len(self._head) < PREFIX.size:
            return
        header_size, body_size = PREFIX.unpack_from(self._head)
        size = PREFIX.size + header_size + body_size
        self._filled = len(self._head)
        if self._filled >= size:
            self._message = self._head
        else:
            self._message = bytearray(size)
            self._message[: self._filled] = self._head
        self._head = bytearray()

    def _finish(self, message: bytearray) -> None:
        self._message, self._filled = None, 0
        body_start = PREFIX.size + PREFIX.unpack_from(message)[0]
        reply = read_reply(json.loads(message[PREFIX.size : body_start]), memoryview(message)[body_start:])
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)
