"""The SPARQL protocol beyond plain queries: formats by name, compression, tags, other origins, the description, files."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rdflib import RDF, Graph, Namespace, URIRef
from starlette.testclient import TestClient

from api.app import create_app
from api.budget import Budget
from api.problems import RequestProblem
from api.settings import Settings
from kg.build_folder import open_build
from tests.serving import ROOT, command, serving_files

SD = Namespace("http://www.w3.org/ns/sparql-service-description#")
LIMIT = Namespace("https://w3id.org/nextline/service#")
ROWS = "SELECT * { ?s ?p ?o } LIMIT 500"
TRIPLES = "CONSTRUCT WHERE { ?s ?p ?o } LIMIT 5"


@pytest.fixture(scope="module")
def client(build_folder: Path) -> Iterator[TestClient]:
    settings = Settings(ontology=ROOT / "ontology", queries=ROOT / "queries", query_seconds=5)
    with TestClient(create_app(open_build(build_folder), settings), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "name", "media_type"),
    [
        (ROWS, "csv", "text/csv"),
        (ROWS, "JSON", "application/sparql-results+json"),
        (ROWS, "text/csv", "text/csv"),
        (TRIPLES, "json", "application/ld+json"),
        (TRIPLES, "xml", "application/rdf+xml"),
        (TRIPLES, "ttl", "text/turtle"),
        (TRIPLES, "nq", "application/n-quads"),
    ],
)
def test_a_format_can_be_named(client: TestClient, query: str, name: str, media_type: str) -> None:
    """It goes before what the browser's address bar would accept."""
    response = client.get("/sparql", params={"query": query, "format": name}, headers={"Accept": "text/html"})
    assert response.headers["content-type"].partition(";")[0] == media_type


def test_a_result_is_compressed_for_who_takes_it(client: TestClient) -> None:
    plain = client.get("/sparql", params={"query": ROWS}, headers={"Accept-Encoding": "identity"})
    packed = client.get("/sparql", params={"query": ROWS}, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert packed.json() == plain.json()
    refused = client.get("/sparql", params={"query": ROWS}, headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


def test_a_result_that_the_client_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/sparql", params={"query": ROWS})
    tag = first.headers["etag"]
    again = client.get("/sparql", params={"query": ROWS}, headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    as_csv = client.get("/sparql", params={"query": ROWS}, headers={"If-None-Match": tag, "Accept": "text/csv"})
    assert as_csv.status_code == 200
    canned = client.get("/v1/queries/seed-coverage")
    assert client.get("/v1/queries/seed-coverage", headers={"If-None-Match": canned.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("function", ["NOW()", "RAND()", "UUID()", "STRUUID()"])
def test_what_differs_each_time_has_no_tag(client: TestClient, function: str) -> None:
    response = client.get("/sparql", params={"query": f"SELECT ({function} AS ?x) {{}}"})
    assert response.status_code == 200
    assert "etag" not in response.headers


def test_head_is_get_without_its_body(client: TestClient) -> None:
    head, get = (client.request(method, "/sparql", params={"query": ROWS}) for method in ("HEAD", "GET"))
    assert head.content == b""
    assert (head.status_code, head.headers["etag"]) == (200, get.headers["etag"])


def test_pages_of_other_origins_may_ask_and_read_errors(client: TestClient) -> None:
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    allowed = client.options("/sparql", headers=asked)
    assert allowed.status_code == 204
    assert "POST" in allowed.headers["access-control-allow-methods"]
    for query, status in ((ROWS, 200), ("ASK {", 400)):
        response = client.get("/sparql", params={"query": query}, headers={"Origin": "https://example.org"})
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (status, "*")
    assert "access-control-allow-origin" not in client.get("/healthz").headers


@pytest.mark.parametrize(("accept", "format_"), [("text/turtle", "turtle"), ("application/ld+json", "json-ld")])
def test_without_a_query_machines_get_the_description(client: TestClient, accept: str, format_: str) -> None:
    response = client.get("/sparql", headers={"Accept": accept})
    graph = Graph().parse(data=response.text, format=format_)
    service = graph.value(predicate=RDF.type, object=SD.Service)
    assert graph.value(service, SD.endpoint) == URIRef("http://testserver/sparql")
    assert graph.value(service, SD.supportedLanguage) == SD.SPARQL11Query
    assert URIRef("https://w3id.org/nextline/graph/asserted") in set(graph.objects(None, SD.name))
    assert str(graph.value(service, LIMIT.seconds)) == "5"
    assert graph.value(service, LIMIT.resultRows)


def test_without_a_query_a_browser_is_sent_to_the_editor(client: TestClient) -> None:
    accept = "text/html,application/xhtml+xml,*/*;q=0.8"
    response = client.get("/sparql", headers={"Accept": accept}, follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "sparql/editor")


def test_a_query_in_the_body_and_one_in_the_url_are_two(client: TestClient) -> None:
    response = client.post(
        "/sparql",
        params={"query": "ASK {}"},
        content="ASK { FILTER (false) }",
        headers={"Content-Type": "application/sparql-query"},
    )
    assert response.status_code == 400
    assert "one of the two" in response.json()["mend"]


def test_each_query_has_a_line_in_the_log_without_its_text(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "nextline.sparql"):
        client.get("/sparql", params={"query": "SELECT ('secret' AS ?x) {}"})
        client.get("/sparql", params={"query": "SELECT (<x:f>(1) AS ?x) {}"})
    lines = [record.getMessage() for record in caplog.records]
    assert "outcome=ok form=SELECT" in lines[0]
    assert "rows=1" in lines[0]
    assert "outcome=invalid-query" in lines[1]
    assert "secret" not in "".join(lines)


@pytest.mark.parametrize("format_", ["json", "xml", "csv", "tsv"])
def test_rows_are_counted_whatever_stands_in_them(
    client: TestClient, caplog: pytest.LogCaptureFixture, format_: str
) -> None:
    rows = r"""('},{' "\"") ("a\r\nb\n" '<result>') (UNDEF UNDEF) ('\\"[{' '\t') (1 ',{"')"""
    with caplog.at_level(logging.INFO, "nextline.sparql"):
        client.get("/sparql", params={"query": f"SELECT * {{ VALUES (?a ?b) {{ {rows} }} }}", "format": format_})
    assert "rows=5 " in caplog.records[0].getMessage()


def test_a_client_has_so_much_query_time_a_minute() -> None:
    budget = Budget(6)
    budget.check("a", 0)
    budget.spend("a", 8, 0)
    with pytest.raises(RequestProblem, match="6 seconds a minute") as caught:
        budget.check("a", 0)
    assert caught.value.status == 429
    budget.check("b", 0)
    budget.check("a", float(caught.value.headers["Retry-After"]))


FILES = {
    "a.ttl": "<x:a> <x:p> 'ttl' .",
    "b.nt": '<x:b> <x:p> "nt" .',
    "c.nq": '<x:c> <x:p> "nq" <x:g> .',
    "d.trig": "<x:h> { <x:d> <x:p> 'trig' }",
    "e.rdf": '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="x:e">'
    '<p xmlns="x:">rdf</p></r:Description></r:RDF>',
    "f.jsonld": '{"@id": "x:f", "x:p": "jsonld"}',
}


def test_files_of_every_format_are_served_with_their_graphs(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    named = tmp_path / "named.ttl"
    named.write_text("<x:n> <x:p> 'named' .")

    def found(query: str, url: str) -> list[str]:
        reply = httpx.get(f"{url}/sparql", params={"query": query, "format": "csv"})
        return sorted(reply.text.split()[1:])

    with serving_files([("x:named", named)], *(str(tmp_path / name) for name in FILES)) as url:
        assert found("SELECT ?o { ?s <x:p> ?o }", url) == ["jsonld", "nt", "rdf", "ttl"]
        assert found("SELECT ?o { GRAPH ?g { ?s <x:p> ?o } }", url) == ["named", "nq", "trig"]
        assert found("SELECT ?o FROM <x:g> { ?s <x:p> ?o }", url) == ["nq"]
    again = tmp_path / "again.nq"
    again.write_text('<x:c> <x:p> "nq" <x:other> .')
    with serving_files([], str(tmp_path / "c.nq"), str(again), "--union") as url:
        assert found("SELECT ?o { ?s <x:p> ?o }", url) == ["nq"]  # a triple of two graphs is one of their union
        assert found("SELECT ?o { GRAPH ?g { ?s <x:p> ?o } }", url) == ["nq", "nq"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("a.ttl", "<x:a> <x:p>", "cannot be read"), ("a.png", "", "RDF format"), (None, "", "cannot be read")],
)
def test_a_file_that_cannot_be_served_is_named(tmp_path: Path, name: str | None, text: str, message: str) -> None:
    path = tmp_path / (name or "absent.ttl")
    if name is not None:
        path.write_text(text)
    done = subprocess.run(
        command("sparql", "--port", "0", str(path)), cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
