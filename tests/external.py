"""External servers for tests: a real one, Oxigraph, and one that answers whatever a test says."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server

import httpx

from kg.sparql_client import Access, SparqlClient

START_SECONDS = 30


class Oxigraph:
    """The server of Oxigraph over a folder."""

    def __init__(self, url: str) -> None:
        self.query = f"{url}/query"
        self.update = f"{url}/update"
        self.store = f"{url}/store"
        self.client = SparqlClient(Access(self.query, self.update))

    def options(self) -> tuple[str, ...]:
        return "--store", self.query, "--update", self.update


@contextmanager
def oxigraph(folder: Path) -> Iterator[Oxigraph]:
    """A server on a free port, ended with the test."""
    found = Path(sys.executable).with_name("oxigraph")
    program = str(found) if found.exists() else shutil.which("oxigraph")
    assert program, "install the tests' extra: pip install -e '.[test]'"
    port = free_port()
    process = subprocess.Popen(
        [program, "serve", "--location", str(folder), "--bind", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/query?query=ASK%7B%7D")
        yield Oxigraph(url)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


def wait_for(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError(f"{url} did not come up")


@contextmanager
def answering(
    status: int, body: bytes, headers: dict[str, str], *, hang: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """A server that gives every request one answer, or none; with the requests that came, as method and path."""
    seen: list[str] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            seen.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}".strip())
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if hang:
                over.wait()
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = answer  # noqa: N815 - the names that the library calls
        do_POST = answer  # noqa: N815
        do_PUT = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/sparql", seen
    finally:
        over.set()
        server.shutdown()
        server.server_close()
