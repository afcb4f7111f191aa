"""The keeper: a process that holds a store in memory and forks the workers that query it.

A program of its own, started as a fresh interpreter, so that it has one thread and nothing of the server in it. It
speaks over one socket, its only descriptor: it hears what to load, hands over a connection to each worker that it
forks, tells which worker ended and how, and replaces it at once. When the server is gone, so are keeper and workers.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kg.errors import NextlineError
from kg.query_messages import Header, packed, receive
from kg.query_worker import serve
from kg.store import KnowledgeStore

PROGRAM = "kg.query_keeper"
OUT_OF_MEMORY, FAILED = 70, 71  # exit codes of a worker
_STACK_BYTES = 64 * 2**20
_DEATH_SIGNAL_OPTION = 1  # PR_SET_PDEATHSIG
_RETRY_MILLISECONDS = 500


@dataclass
class Keeper:
    """The running keeper: its store, its socket to the server, and the workers that live."""

    store: KnowledgeStore
    control: socket.socket
    wanted: int
    memory_bytes: int
    living: set[int] = field(default_factory=set)

    def run(self) -> None:
        """Keep the wanted number of workers alive until the server goes."""
        awakened, awakening = os.pipe()
        for end in (awakened, awakening):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(awakening, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(awakened, select.POLLIN)
        while True:
            all_alive = self._fork_missing((awakened, awakening))
            ready = poll.poll(None if all_alive else _RETRY_MILLISECONDS)
            if any(descriptor == self.control.fileno() for descriptor, _ in ready):
                break  # nothing is ever sent but the end
            with suppress(BlockingIOError):
                os.read(awakened, 4096)
            self._reap()
        for pid in self.living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _fork_missing(self, alarms: tuple[int, int]) -> bool:
        keeper = os.getpid()
        while len(self.living) < self.wanted:
            ours, workers = socket.socketpair()
            try:
                pid = os.fork()
            except OSError:  # no memory or no process to be had now
                return False
            if pid == 0:
                for descriptor in alarms:
                    os.close(descriptor)
                ours.close()
                self.control.close()
                _work(self.store, workers, self.memory_bytes, keeper)
            self.living.add(pid)
            descriptors = [ours.fileno()]
            watch = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
            if watch is not None:
                descriptors.append(watch)
            try:
                socket.send_fds(self.control, [packed({"worker": pid, "descriptors": len(descriptors)})], descriptors)
            except OSError:  # the server is gone; the next poll tells
                return True
            finally:
                ours.close()
                workers.close()
                if watch is not None:
                    os.close(watch)
        return True

    def _reap(self) -> None:
        while self.living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self.living.discard(pid)
            with suppress(OSError):
                self.control.sendall(packed({"ended": pid, "status": os.waitstatus_to_exitcode(status)}))


def main() -> None:
    """Load what the server names, say that it is loaded or why it is not, and keep workers."""
    control = socket.socket(fileno=int(sys.argv[1]))
    message = receive(control)
    if message is None:
        return
    order = message[0]
    try:
        store = _load(order)
    except NextlineError as error:
        control.sendall(packed({"error": [type(error).__name__, error.place, error.problem, error.mend]}))
        return
    gc.collect()
    gc.freeze()
    _leave_descriptors(control.fileno())
    control.sendall(packed({"ready": True, "quads": len(store), "graphs": list(store.graphs)}))
    Keeper(store, control, order["workers"], order["memoryBytes"]).run()


def _load(order: Header) -> KnowledgeStore:
    if "files" in order:
        return KnowledgeStore.load_files([(Path(p), graph) for p, graph in order["files"]], union=order["union"])
    return KnowledgeStore.load({graph: Path(path) for graph, path in order["graphs"].items()})


def _leave_descriptors(kept: int) -> None:
    """Close every descriptor but one; the standard ones lead nowhere, where the runtime may tell of its end."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    os.closerange(3, kept)
    os.closerange(kept + 1, 4096)


def _work(store: KnowledgeStore, connection: socket.socket, memory_bytes: int, keeper: int) -> None:
    """Become a worker, and end as one.

    The queries run in a thread of their own: it has a larger stack, and its random numbers are not those that every
    worker was forked with, so that no two workers give the same UUID.
    """
    try:
        _die_with_parent()
        if os.getppid() != keeper:
            os._exit(0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGALRM, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        threading.stack_size(_STACK_BYTES)
        work = threading.Thread(target=_serve, args=(store, connection), daemon=True)
        _limit(memory_bytes)
        work.start()
        work.join()
    finally:
        os._exit(0)


def _serve(store: KnowledgeStore, connection: socket.socket) -> None:
    try:
        serve(store, connection)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException:
        os._exit(FAILED)


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    size = _address_space_bytes()
    if size is not None:
        limit = size + _STACK_BYTES + memory_bytes
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _address_space_bytes() -> int | None:
    """How much the process has mapped; nothing on a system that does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return None


def _die_with_parent() -> None:
    with suppress(OSError, AttributeError):  # a system without it ends its workers by their alarm
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL_OPTION, signal.SIGKILL)


if __name__ == "__main__":
    main()
