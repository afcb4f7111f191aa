"""Queries and clients that mean harm: after each, the same server answers the next honest one, and no worker is lost."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.serving import Running, running

LABEL = "SELECT ?l WHERE { <https://w3id.org/nextline/absolute> <http://www.w3.org/2000/01/rdf-schema#label> ?l }"
ENDLESS = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . FILTER(?a != ?i && ?d != ?b) }"
QUERY = {"Content-Type": "application/sparql-query"}
WORKERS = 3
SECONDS = 1.0
HONEST_SECONDS = 1.0  # far above what it takes, and far below a worker's deadline that had to be waited for


@pytest.fixture(scope="module")
def server(build_folder: Path) -> Iterator[Running]:
    with running(
        build_folder,
        NEXTLINE_QUERY_SECONDS=str(SECONDS),
        NEXTLINE_QUERY_WORKERS=str(WORKERS),
        NEXTLINE_QUERY_MEMORY_BYTES=str(128 * 2**20),
        NEXTLINE_QUERY_CLIENT_SECONDS="0",
    ) as server:
        yield server


@pytest.fixture(autouse=True)
def well_afterwards(server: Running) -> Iterator[None]:
    """After each test an honest query is answered soon, and there are as many workers as there should be."""
    yield
    start = time.monotonic()
    response = httpx.get(f"{server.url}/sparql", params={"query": LABEL}, timeout=HONEST_SECONDS)
    assert response.json()["results"]["bindings"]
    assert time.monotonic() - start < HONEST_SECONDS
    assert server.process.poll() is None
    deadline = time.monotonic() + 10
    while len(workers(server)) != WORKERS:
        assert time.monotonic() < deadline, f"{len(workers(server))} workers"


def children(pid: int) -> list[int]:
    """The processes that a process started and that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text("ascii", "replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended meanwhile
        if int(parent) == pid and state != "Z":
            found.append(int(path.parent.name))
    return found


def workers(server: Running) -> list[int]:
    """The workers of the keepers of a server."""
    return [worker for keeper in children(server.process.pid) for worker in children(keeper)]


def post(server: Running, query: str, seconds: float = 30) -> httpx.Response:
    return httpx.post(f"{server.url}/sparql", content=query, headers=QUERY, timeout=seconds)


def bomb(make: str) -> str:
    """A text that grows eightfold with each step."""
    steps = [f"BIND({make.replace('?x', f'?v{n}')} AS ?v{n + 1})" for n in range(9)]
    return f"SELECT (STRLEN(?v9) AS ?n) {{ BIND('{'a' * 500}' AS ?v0) {' '.join(steps)} }}"


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        (ENDLESS, {413, 503}),
        ("SELECT DISTINCT ?a ?d ?g { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }", {413, 503}),
        ("SELECT * { ?a ?b ?c . ?d ?e ?f } ORDER BY ?f", {413, 503}),
        ("ASK { FILTER(" + "(" * 5_000 + "1" + ")" * 5_000 + ") }", {400}),
        ("SELECT * { " + " ".join(f"?s{n} ?p{n} ?s{n + 1} ." for n in range(800)) + " }", {400, 503}),
        (bomb("CONCAT(?x, ?x, ?x, ?x, ?x, ?x, ?x, ?x)"), {413}),
        (bomb("REPLACE(?x, 'a', 'aaaaaaaa')"), {413, 503}),
        ("SELECT (GROUP_CONCAT(CONCAT(STR(?a), STR(?f))) AS ?x) { ?a ?b ?c . ?d ?e ?f }", {413, 503}),
        ("SELECT ?x { ?x (!<x:a>|^!<x:b>)*/(!<x:c>)* ?y . ?y (!<x:a>)* ?z }", {413, 503}),
    ],
    ids=["endless", "distinct", "order", "brackets", "joins", "concat", "replace", "group", "paths"],
)
def test_a_query_that_would_take_all_is_refused_or_ended(server: Running, query: str, statuses: set[int]) -> None:
    start = time.monotonic()
    response = post(server, query)
    assert response.status_code in statuses, response.text[:300]
    assert response.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in response.headers) is (response.status_code == 503)
    assert time.monotonic() - start < SECONDS + 0.5


def test_a_client_that_leaves_frees_its_worker(server: Running) -> None:
    """All workers taken by clients that leave at once: an honest query does not wait for their deadlines."""
    before = set(workers(server))
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(WORKERS):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"GET /sparql?query={quote(ENDLESS)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    deadline = time.monotonic() + SECONDS * 0.8
    assert post(server, LABEL, seconds=SECONDS * 0.9).status_code == 200
    assert time.monotonic() < deadline or set(workers(server)) - before


def test_two_hundred_at_once_are_all_answered(server: Running) -> None:
    with ThreadPoolExecutor(200) as threads:
        answers = list(threads.map(lambda n: post(server, f"{LABEL} # {n}"), range(200)))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert sum(answer.status_code == 200 for answer in answers) >= 100


def test_slow_readers_and_half_open_connections_keep_nobody_waiting(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    large = quote("SELECT * { ?s ?p ?o } LIMIT 20000")
    connections = [socket.create_connection((host, int(port))) for _ in range(100)]
    try:
        for connection in connections[:10]:
            connection.sendall(f"GET /sparql?query={large} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for connection in connections[10:60]:
            connection.sendall(b"POST /sparql HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n")
        deadline = time.monotonic() + 10
        while post(server, LABEL).status_code != 200:
            assert time.monotonic() < deadline
        start = time.monotonic()
        assert httpx.get(f"{server.url}/healthz", timeout=HONEST_SECONDS).status_code == 200
        assert post(server, LABEL, seconds=HONEST_SECONDS).status_code == 200
        assert time.monotonic() - start < HONEST_SECONDS
    finally:
        for connection in connections:
            connection.close()


def test_no_two_workers_give_the_same_uuid(server: Running) -> None:
    text = "SELECT (STRUUID() AS ?u) { }"
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: post(server, text).text, range(40)))
    assert len(set(answers)) == 40


def test_a_worker_that_is_killed_is_replaced(server: Running) -> None:
    """Its caller is told, another answers the next."""
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(post(server, ENDLESS).status_code))
    asking.start()
    while asking.is_alive():  # until one of those that are killed has begun
        for pid in workers(server):
            os.kill(pid, 9)
        asking.join(timeout=0.1)
    assert answers == [503]


def test_a_keeper_that_is_killed_is_started_anew(server: Running) -> None:
    (keeper,) = (pid for pid in children(server.process.pid) if children(pid))
    os.kill(keeper, 9)
    deadline = time.monotonic() + 20
    while post(server, LABEL).status_code != 200 or not workers(server):
        assert time.monotonic() < deadline


def test_workers_and_keeper_end_with_the_server(build_folder: Path) -> None:
    """Even if it is killed while they work."""
    with running(build_folder, NEXTLINE_QUERY_SECONDS="60", NEXTLINE_QUERY_WORKERS="2") as server:
        asking = threading.Thread(target=unanswered, args=(server,))
        asking.start()
        left = {*children(server.process.pid), *workers(server)}
        assert len(left) == 3
        server.process.kill()
        asking.join()
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() and is_alive(pid) for pid in left):
            assert time.monotonic() < deadline, "processes outlive the server"


def unanswered(server: Running) -> None:
    with pytest.raises(httpx.TransportError):
        post(server, ENDLESS)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
