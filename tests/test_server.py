"""The server as it runs for users: a process of its own, with real clients."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from SPARQLWrapper import CSV, JSON, POST, POSTDIRECTLY, TURTLE, XML, SPARQLWrapper

from tests.serving import ROOT, Running, command, running

RECORD = {"asOf": "2026-11-22", "patient": {"ageYears": 63, "findings": [{"code": "PainfulDiabeticPolyneuropathy"}]}}
LABEL = (
    "SELECT ?label WHERE { <https://w3id.org/nextline/Morphine> <http://www.w3.org/2000/01/rdf-schema#label> ?label }"
)

ENDLESS = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . FILTER(?a != ?i && ?d != ?b) }"


@pytest.fixture(scope="module")
def server(build_folder: Path) -> Iterator[Running]:
    with running(build_folder) as server:
        yield server


def converted(client: SPARQLWrapper) -> Any:
    """What SPARQLWrapper makes of the answer; its type depends on the format."""
    return client.queryAndConvert()


@pytest.mark.parametrize("method", ["GET", POST])
@pytest.mark.parametrize("request_method", ["urlencoded", POSTDIRECTLY])
def test_sparqlwrapper_reads_rows(server: Running, method: str, request_method: str) -> None:
    client = SPARQLWrapper(f"{server.url}/sparql")
    client.setQuery(LABEL)
    client.setMethod(method)
    client.setRequestMethod(request_method)
    client.setReturnFormat(JSON)
    assert [row["label"]["value"] for row in converted(client)["results"]["bindings"]] == ["morphine"]
    client.setReturnFormat(CSV)
    assert converted(client).split() == [b"label", b"morphine"]
    client.setReturnFormat(XML)
    assert "morphine" in converted(client).toxml()


def test_sparqlwrapper_reads_triples_and_truth_values(server: Running) -> None:
    client = SPARQLWrapper(f"{server.url}/sparql")
    client.setQuery("DESCRIBE <https://w3id.org/nextline/Morphine>")
    client.setReturnFormat(XML)
    assert len(converted(client)) > 3
    client.setReturnFormat(TURTLE)
    assert b"nextline/Morphine" in converted(client)
    client.setQuery("ASK { <https://w3id.org/nextline/Morphine> ?p ?o }")
    client.setReturnFormat(JSON)
    assert converted(client)["boolean"] is True


def test_while_patients_are_evaluated_the_server_answers_others(server: Running) -> None:
    """Health and SPARQL are answered, each within a second."""
    answers: list[int] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            answers.append(httpx.post(f"{server.url}/v1/eligibility", json=RECORD, timeout=60).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(5):
            assert httpx.get(f"{server.url}/healthz", timeout=1).status_code == 200
            assert httpx.get(f"{server.url}/sparql", params={"query": LABEL}, timeout=1).status_code == 200
    finally:
        enough.set()
        asking.join()
    assert set(answers) == {200}


def test_ten_megabytes_are_refused_to_every_kind_of_sender(server: Running) -> None:
    megabytes = b"x" * 10_000_000
    for content in (megabytes, iter([megabytes[:100_000]] * 100)):
        response = httpx.post(f"{server.url}/v1/eligibility", content=content)
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/v1/eligibility", megabytes)  # this client sends all before it looks for an answer
    assert connection.getresponse().status == 413
    connection.close()
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_ten_megabytes_that_are_only_announced_are_refused_at_once(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /v1/eligibility HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("waiting", ["0", "3"])
def test_a_query_past_its_time_is_503_and_the_server_goes_on(build_folder: Path, waiting: str) -> None:
    """One that yields nothing while it runs: the caller is freed, and others are answered meanwhile.

    A query that finds all workers taken, at once or until its time is over, hears that the server is busy.
    """
    with running(
        build_folder, NEXTLINE_QUERY_SECONDS="0.5", NEXTLINE_QUERY_WORKERS="1", NEXTLINE_QUERY_WAITING=waiting
    ) as server:
        start = time.monotonic()
        response = httpx.get(f"{server.url}/sparql", params={"query": ENDLESS}, timeout=30)
        assert response.status_code == 503
        assert "within 0.5 seconds" in response.json()["detail"]
        assert int(response.headers["retry-after"]) > 0
        assert time.monotonic() - start < 5
        full = httpx.get(f"{server.url}/sparql", params={"query": LABEL}, timeout=5)
        assert (full.status_code, full.json()["title"]) == (503, "Busy")
        assert httpx.get(f"{server.url}/healthz", timeout=5).status_code == 200
        server.stopped()


def test_who_still_waits_when_the_server_stops_is_told_so(build_folder: Path) -> None:
    """503 with Retry-After, whether the server or the client had something left to do, and no traceback in the log."""
    with running(
        build_folder, NEXTLINE_QUERY_SECONDS="60", NEXTLINE_QUERY_WORKERS="1", NEXTLINE_QUERY_WAITING="0"
    ) as server:
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.get(f"{server.url}/sparql", params={"query": ENDLESS}, timeout=60))
        )
        with half_a_body(server) as sending:
            asking.start()
            while httpx.get(f"{server.url}/sparql", params={"query": LABEL}).status_code == 200:
                pass  # until the worker is taken
            log = server.stopped()
            asking.join()
            told = sending.recv(10_000).decode()
    assert (answers[0].status_code, answers[0].json()["title"]) == (503, "Shutting down")
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert int(answers[0].headers["retry-after"]) > 0
    assert told.startswith("HTTP/1.1 503")
    assert "shutting-down" in told
    assert "Traceback" not in log


def test_a_client_that_leaves_amid_its_body_is_no_fault_of_the_server(build_folder: Path) -> None:
    with running(build_folder) as server:
        with half_a_body(server):
            pass
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        log = server.stopped()
    assert "Traceback" not in log
    assert "failed" not in log


@contextmanager
def half_a_body(server: Running) -> Iterator[socket.socket]:
    """A connection on which a request has begun."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /v1/eligibility HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        yield connection


def test_a_busy_port_is_named_before_anything_is_built(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("serve", "--port", str(port), "--build", str(tmp_path / "build")),
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert f"port {port} is in use" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "build").exists()
