"""The server as it runs for users: `nextline serve` as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)
    reading: list[threading.Thread] = field(default_factory=list)

    def read_log(self) -> None:
        """Collect what the server tells, in a thread of its own."""
        assert self.process.stderr is not None
        self.reading.append(threading.Thread(target=self.log.extend, args=(self.process.stderr,), daemon=True))
        self.reading[-1].start()

    def stopped(self) -> str:
        """Stop the server as an operator does, and give what it told until then."""
        self.process.terminate()
        self.process.wait(timeout=20)
        for thread in self.reading:
            thread.join()
        return "".join(self.log)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "api.cli", *arguments]


@contextmanager
def running(build_folder: Path, **environment: str) -> Iterator[Running]:
    """`nextline serve` on a free port, stopped at the end."""
    arguments = command("serve", "--port", "0", "--ontology", str(ROOT / "ontology"), "--build", str(build_folder))
    with _started(arguments, environment) as server:
        yield server


@contextmanager
def serving_files(graphs: Iterable[tuple[str, Path]], *arguments: str, **environment: str) -> Iterator[str]:
    """`nextline sparql` on a free port over files, each in a graph of its own; gives the URL of the server."""
    options = [option for iri, path in graphs for option in ("--graph", iri, str(path))]
    with _started(command("sparql", "--port", "0", *options, *arguments), environment) as server:
        yield server.url


@contextmanager
def _started(arguments: list[str], environment: dict[str, str]) -> Iterator[Running]:
    process = subprocess.Popen(
        arguments, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        url = next((m[0] for line in process.stderr if (m := re.search(r"http://127\.0\.0\.1:\d+", line))), None)
        assert url, f"the server ended with {process.wait()}"
        server = Running(url, process)
        server.read_log()
        wait_until_up(url)
        yield server
    finally:
        process.kill()
        process.wait()


def wait_until_up(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("the server did not come up")
