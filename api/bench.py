"""What the service costs over HTTP: its answers beside a route of the same server that returns a body of the same size."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.app import create_app
from api.server import reserve, serve
from api.settings import Settings
from kg.build_folder import open_build

_BYTES = "/bytes/{size:int}"
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class HttpCosts:
    """Requests a second on one connection, the ratio of the two round by round, body size, and memory of the server."""

    answers: float
    no_ops: float
    ratio: float
    body_bytes: int
    resident_mb: float


def measure(settings: Settings, bodies: list[bytes], requests_a_round: int = 200) -> HttpCosts:
    """Start a server of its own with one worker, and ask it the two routes in turns."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api.bench", str(settings.ontology), str(settings.queries), str(settings.build_folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        connection = _connected(port)
        sizes = [len(_post(connection, body)) for body in bodies]
        answers, no_ops = [], []
        for _ in range(_ROUNDS):
            answers.append(_rate(lambda n: _post(connection, bodies[n % len(bodies)]), requests_a_round))
            no_ops.append(_rate(lambda n: _get(connection, sizes[n % len(sizes)]), requests_a_round))
        ratio = median(a / b for a, b in zip(answers, no_ops, strict=True))
        return HttpCosts(median(answers), median(no_ops), ratio, round(median(sizes)), _resident_mb(process.pid))
    finally:
        process.kill()
        process.wait()


def _connected(port: int) -> http.client.HTTPConnection:
    """A connection to the server, as soon as it listens."""
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.connect()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return connection


def _rate(ask: Callable[[int], bytes], number: int) -> float:
    start = time.perf_counter()
    for count in range(number):
        ask(count)
    return number / (time.perf_counter() - start)


def _post(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    connection.request("POST", "/v1/eligibility", body, {"Content-Type": "application/json"})
    return _read(connection)


def _get(connection: http.client.HTTPConnection, size: int) -> bytes:
    connection.request("GET", f"/bytes/{size}")
    return _read(connection)


def _read(connection: http.client.HTTPConnection) -> bytes:
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise RuntimeError(f"the server answered {response.status}: {json.loads(text).get('detail')}")
    return text


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def _no_op(request: Request) -> Response:
    return Response(b" " * int(request.path_params["size"]), media_type="application/json")


def _application(settings: Settings) -> FastAPI:
    app = create_app(open_build(settings.build_folder), settings)
    app.router.routes.insert(0, Route(_BYTES, _no_op))
    return app


if __name__ == "__main__":
    ontology, queries, build = map(Path, sys.argv[1:])
    chosen = Settings(ontology=ontology, queries=queries, build=build, reload_seconds=0)
    bound = reserve("127.0.0.1", 0)
    application = _application(chosen)
    print(bound.getsockname()[1], flush=True)
    serve(application, bound)
