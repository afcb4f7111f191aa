"""The server as it runs for users: `nextline serve` as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    process: subprocess.Popen[str]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "api.cli", *arguments]


@contextmanager
def running(build_folder: Path, **environment: str) -> Iterator[Running]:
    """`nextline serve` on a free port, stopped at the end."""
    process = subprocess.Popen(
        command("serve", "--port", "0", "--ontology", str(ROOT / "ontology"), "--build", str(build_folder)),
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = next((m[0] for line in process.stderr if (m := re.search(r"http://127\.0\.0\.1:\d+", line))), None)
        assert url, f"the server ended with {process.wait()}"
        threading.Thread(target=process.stderr.read, daemon=True).start()
        wait_until_up(url)
        yield Running(url, process)
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
