"""The keeper of the query store, as the server sees it: its process, and what it tells over its socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kg.errors import BuildNotFound, InvalidFile, NextlineError, QueryFailure
from kg.query_keeper import PROGRAM
from kg.query_messages import PREFIX, packed

_READ_BYTES = 2**16
_MOST_DESCRIPTORS = 64
_ERRORS: Mapping[str, type[NextlineError]] = {error.__name__: error for error in (BuildNotFound, InvalidFile)}


@dataclass(frozen=True, slots=True)
class Source:
    """What a keeper loads: the graph files of a build by their IRI, or RDF files, each with a graph for its triples."""

    graphs: Mapping[str, Path] | None = None
    files: Sequence[tuple[Path, str | None]] = ()
    union: bool = True

    def as_json(self) -> dict[str, Any]:
        """What the keeper is sent."""
        if self.graphs is not None:
            return {"graphs": {iri: str(path.resolve()) for iri, path in self.graphs.items()}}
        return {"files": [[str(path.resolve()), graph] for path, graph in self.files], "union": self.union}


@dataclass(frozen=True, slots=True)
class Born:
    """A worker that the keeper forked, with the connection to it and, where the system has one, a handle of its process."""

    pid: int
    connection: socket.socket
    handle: int | None

    def kill(self) -> None:
        """End it at once. By its handle, so that no other process that got its number is hit."""
        try:
            if self.handle is not None:
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """Let go of it; a worker that waits for a query then ends."""
        self.connection.close()
        if self.handle is not None:
            os.close(self.handle)


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker that ended, with its exit code, or the signal that ended it as a negative number."""

    pid: int
    code: int


class KeeperProcess:
    """A keeper that has loaded its store; `quads` and `graphs` say what it holds."""

    def __init__(self, source: Source, *, workers: int, memory_bytes: int) -> None:
        """Start it and wait until it has loaded. Raises BuildNotFound or InvalidFile when it cannot."""
        self._received = bytearray()
        self._descriptors: list[int] = []
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, "MALLOC_ARENA_MAX": "1"},  # else each thread reserves address space for itself
            )
        self.control = ours
        order = source.as_json() | {"workers": workers, "memoryBytes": memory_bytes}
        try:
            ours.sendall(packed(order))
            first = next(self._messages())
            if "error" in first:
                name, place, problem, mend = first["error"]
                raise _ERRORS.get(name, QueryFailure)(place, problem, mend)
        except (OSError, StopIteration):
            self.close()
            raise QueryFailure("query store", "its process ended while it loaded.", "See the log.") from None
        except NextlineError:
            self.close()
            raise
        self.quads: int = first["quads"]
        self.graphs: tuple[str, ...] = tuple(first["graphs"])
        ours.setblocking(False)

    def news(self) -> list[Born | Ended] | None:
        """What the keeper told since the last call; nothing when it has gone."""
        try:
            told = [_event(message, self._descriptors) for message in self._messages(once=True)]
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            return None
        return told or (None if self._is_gone else [])

    _is_gone = False

    def _messages(self, *, once: bool = False) -> Iterator[dict[str, Any]]:
        while True:
            data, descriptors, _, _ = socket.recv_fds(self.control, _READ_BYTES, _MOST_DESCRIPTORS)
            self._descriptors += descriptors
            self._received += data
            if not data:
                self._is_gone = True
                return
            while (message := self._whole()) is not None:
                yield message
            if once:
                return

    def _whole(self) -> dict[str, Any] | None:
        if len(self._received) < PREFIX.size:
            return None
        size = PREFIX.size + PREFIX.unpack_from(self._received)[0]
        if len(self._received) < size:
            return None
        message: dict[str, Any] = json.loads(self._received[PREFIX.size : size])
        del self._received[:size]
        return message

    def close(self) -> None:
        """Let the keeper end, and its workers with it, and wait for that."""
        self.control.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _event(message: dict[str, Any], descriptors: list[int]) -> Born | Ended:
    if "ended" in message:
        return Ended(message["ended"], message["status"])
    connection = socket.socket(fileno=descriptors.pop(0))
    connection.setblocking(False)
    return Born(message["worker"], connection, descriptors.pop(0) if message["descriptors"] > 1 else None)
