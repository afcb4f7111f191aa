"""The server as it runs for users: a process of its own, with real clients."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from SPARQLWrapper import CSV, JSON, POST, POSTDIRECTLY, TURTLE, XML, SPARQLWrapper

from kg import closure
from kg.build import build
from kg.build_folder import MANIFEST
from kg.sources import load_sources
from tests.serving import ROOT, Running, command, running

RECORD = {"asOf": "2026-11-22", "patient": {"ageYears": 63, "findings": [{"code": "PainfulDiabeticPolyneuropathy"}]}}
JSON_RESULTS = "application/sparql-results+json"
LABEL = (
    "SELECT ?label WHERE { <https://w3id.org/nextline/absolute> <http://www.w3.org/2000/01/rdf-schema#label> ?label }"
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
    assert [row["label"]["value"] for row in converted(client)["results"]["bindings"]] == ["absolute"]
    client.setReturnFormat(CSV)
    assert converted(client).split() == [b"label", b"absolute"]
    client.setReturnFormat(XML)
    assert "absolute" in converted(client).toxml()


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


def test_while_the_reasoner_works_the_server_answers_others(server: Running) -> None:
    """Health, SPARQL and other patients are answered, each within a second, before HermiT has verified an answer."""
    answers: list[int] = []
    url, one = f"{server.url}/v1/eligibility/verify", RECORD | {"guidelines": ["seed"]}
    asking = threading.Thread(target=lambda: answers.append(httpx.post(url, json=one, timeout=300).status_code))
    asking.start()
    others = 0
    while asking.is_alive():
        assert httpx.get(f"{server.url}/healthz", timeout=1).status_code == 200
        assert httpx.get(f"{server.url}/sparql", params={"query": LABEL}, timeout=1).status_code == 200
        assert httpx.post(f"{server.url}/v1/eligibility", json=RECORD, timeout=1).status_code == 200
        others += 1
    assert answers == [200]
    assert others >= 5


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


def test_a_query_past_its_time_is_503_and_its_worker_is_free_again(build_folder: Path) -> None:
    """One that yields nothing while it runs: the caller is freed at the deadline, and the only worker serves the next."""
    with running(
        build_folder, NEXTLINE_QUERY_SECONDS="1", NEXTLINE_QUERY_WORKERS="1", NEXTLINE_QUERY_WAITING="0"
    ) as server:
        start = time.monotonic()
        response = httpx.get(f"{server.url}/sparql", params={"query": ENDLESS}, timeout=30)
        assert time.monotonic() - start < 1.2
        assert response.status_code == 503
        assert "within 1 seconds" in response.json()["detail"]
        assert int(response.headers["retry-after"]) > 0
        assert httpx.get(f"{server.url}/sparql", params={"query": LABEL}, timeout=5).status_code == 200
        server.stopped()


def test_who_still_waits_when_the_server_stops_is_told_so(build_folder: Path) -> None:
    """503 with Retry-After, whether the server or the client had something left to do, and no traceback in the log."""
    with running(
        build_folder, NEXTLINE_QUERY_SECONDS="60", NEXTLINE_QUERY_WORKERS="1", NEXTLINE_QUERY_WAITING="0"
    ) as server:
        answers: list[httpx.Response] = []

        def ask() -> None:
            """Until the worker is had: the query that looks for a free one may hold it for a moment."""
            while not answers or answers[-1].json()["title"] == "Busy":
                answers.append(httpx.get(f"{server.url}/sparql", params={"query": ENDLESS}, timeout=60))

        asking = threading.Thread(target=ask)
        with half_a_body(server) as sending:
            asking.start()
            while httpx.get(f"{server.url}/sparql", params={"query": LABEL}).status_code == 200:
                pass  # until the worker is taken
            log = server.stopped()
            asking.join()
            told = sending.recv(10_000).decode()
    assert (answers[-1].status_code, answers[-1].json()["title"]) == (503, "Shutting down")
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert int(answers[-1].headers["retry-after"]) > 0
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


def test_a_newer_build_takes_over_and_a_broken_one_does_not(ontology: Path, tmp_path: Path) -> None:
    """Requests are answered all the while, each from one build and no other."""
    edited, target = tmp_path / "ontology", tmp_path / "build"
    shutil.copytree(ontology, edited)
    build(edited, target)
    with running(target, NEXTLINE_RELOAD_SECONDS="0.1") as server:

        def version() -> dict[str, Any]:
            assert httpx.post(f"{server.url}/v1/eligibility", json=RECORD, timeout=5).status_code == 200
            document: dict[str, Any] = httpx.get(f"{server.url}/version", timeout=5).json()
            return document

        before = version()
        module = edited / "substances.ttl"
        module.write_text(module.read_text("utf-8") + '\nnxl:Gabapentin nxl:rationale "Edited."@en .\n', "utf-8")
        closure.write(load_sources(edited))
        manifest = build(edited, target)
        until(lambda: version()["contentHash"] == manifest.content_hash)
        assert version()["contentHash"] != before["contentHash"]
        answer = httpx.post(f"{server.url}/v1/eligibility", json=RECORD).json()
        assert answer["knowledge"]["contentHash"] == manifest.content_hash
        asked = "ASK { <https://w3id.org/nextline/Gabapentin> <https://w3id.org/nextline/rationale> ?why }"
        reply = httpx.get(f"{server.url}/sparql", params={"query": asked}, headers={"accept": JSON_RESULTS})
        assert reply.json()["boolean"] is True
        broken = json.loads((target / MANIFEST).read_text("utf-8")) | {"folder": "nowhere"}
        (target / MANIFEST).write_text(json.dumps(broken), "utf-8")
        until(lambda: bool(version()["reloadProblem"]))
        assert version()["contentHash"] == manifest.content_hash


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the server did not notice"
