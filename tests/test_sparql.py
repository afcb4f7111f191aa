"""The SPARQL endpoint: the protocol, what it refuses, and that nothing it is sent reaches out or brings it down."""

from __future__ import annotations

import csv
import io
import json
import socket
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rdflib import RDFS, Dataset, Graph, Literal, URIRef
from starlette.testclient import TestClient

from api.app import create_app
from api.negotiation import choose
from api.settings import Settings
from kg.build_folder import open_build
from kg.errors import InvalidQuery
from kg.query_text import TextLimits, check
from kg.store import Form, KnowledgeStore, QueryLimits, ResultFormat

ROOT = Path(__file__).resolve().parent.parent
ASSERTED = "https://w3id.org/nextline/graph/asserted"
LABEL = "SELECT ?label WHERE { <https://w3id.org/nextline/underReview> <http://www.w3.org/2000/01/rdf-schema#label> ?label }"
CONSTRUCT = (
    "CONSTRUCT WHERE { <https://w3id.org/nextline/underReview> <http://www.w3.org/2000/01/rdf-schema#label> ?label }"
)
ASK = "ASK { <https://w3id.org/nextline/Morphine> ?p ?o }"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
QUERY = {"Content-Type": "application/sparql-query"}


@pytest.fixture(scope="module")
def client(build_folder: Path) -> Iterator[TestClient]:
    settings = Settings(ontology=ROOT / "ontology", queries=ROOT / "queries", query_seconds=5)
    with TestClient(create_app(open_build(build_folder), settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def store(build_folder: Path) -> KnowledgeStore:
    return KnowledgeStore.load(open_build(build_folder).graph_files)


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem document of a refused request."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["mend"]
    assert "Traceback" not in response.text
    return document


# --- the three ways to send a query -------------------------------------------------------------------------------


def test_get_answers_in_json_by_default(client: TestClient) -> None:
    response = client.get("/sparql", params={"query": LABEL})
    assert response.headers["content-type"] == "application/sparql-results+json"
    assert response.json()["results"]["bindings"] == [
        {"label": {"type": "literal", "value": "under review", "xml:lang": "en"}}
    ]


def test_post_of_a_form_and_of_the_query_itself_answer_the_same(client: TestClient) -> None:
    expected = client.get("/sparql", params={"query": LABEL}).json()
    assert client.post("/sparql", data={"query": LABEL}).json() == expected
    assert client.post("/sparql", content=LABEL, headers=QUERY).json() == expected
    with_charset = {"Content-Type": "application/sparql-query; charset=utf-8"}
    assert client.post("/sparql", content=LABEL, headers=with_charset).json() == expected


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/sparql-results+json", "application/sparql-results+json"),
        ("application/json", "application/json"),
        ("application/sparql-results+xml", "application/sparql-results+xml"),
        ("text/csv", "text/csv"),
        ("text/tab-separated-values", "text/tab-separated-values"),
        ("text/csv;q=0.1, application/sparql-results+xml;q=0.9", "application/sparql-results+xml"),
        ("text/html, */*;q=0.1", "application/sparql-results+json"),
    ],
)
def test_rows_come_in_the_preferred_format(client: TestClient, accept: str, media_type: str) -> None:
    response = client.get("/sparql", params={"query": LABEL}, headers={"Accept": accept})
    assert response.headers["content-type"].partition(";")[0] == media_type
    assert "Accept" in response.headers["vary"].split(", ")
    if "json" in media_type:
        assert json.loads(response.text)["head"]["vars"] == ["label"]
    elif "xml" in media_type:
        names = [e.tag.rpartition("}")[2] for e in ElementTree.fromstring(response.text).iter()]
        assert names.count("result") == 1
    else:
        delimiter = "," if media_type == "text/csv" else "\t"
        assert len(list(csv.reader(io.StringIO(response.text), delimiter=delimiter))) == 2


@pytest.mark.parametrize(
    ("accept", "rdflib_format"),
    [
        ("text/turtle", "turtle"),
        ("application/n-triples", "nt"),
        ("application/rdf+xml", "xml"),
        ("application/ld+json", "json-ld"),
        ("application/n-quads", "nquads"),
        ("application/trig", "trig"),
    ],
)
def test_triples_come_in_the_preferred_format(client: TestClient, accept: str, rdflib_format: str) -> None:
    response = client.get("/sparql", params={"query": CONSTRUCT}, headers={"Accept": accept})
    assert response.headers["content-type"].startswith(accept)
    graph = Dataset(default_union=True)
    graph.parse(data=response.text, format=rdflib_format)
    assert list(graph.objects(None, RDFS.label)) == [Literal("under review", lang="en")]


def test_triples_are_turtle_by_default_and_ask_is_a_truth_value(client: TestClient) -> None:
    assert client.get("/sparql", params={"query": CONSTRUCT}).headers["content-type"].startswith("text/turtle")
    assert client.get("/sparql", params={"query": ASK}).json()["boolean"] is True
    assert client.get("/sparql", params={"query": "ASK { <x:y> ?p ?o }"}).json()["boolean"] is False
    described = client.get("/sparql", params={"query": "DESCRIBE <https://w3id.org/nextline/Morphine>"}).text
    assert len(Graph().parse(data=described, format="turtle")) > 3


@pytest.mark.parametrize("accept", ["image/png", "text/turtle", "application/json;q=0"])
def test_an_unacceptable_format_is_406(client: TestClient, accept: str) -> None:
    document = problem(client.get("/sparql", params={"query": LABEL}, headers={"Accept": accept}), 406)
    assert "text/csv" in document["mend"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/turtle"),
        ("", "text/turtle"),
        ("*/*", "text/turtle"),
        ("text/*", "text/turtle"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/*;q=0.5, text/csv;q=0.4", "text/turtle"),
        ("text/*;q=0.5, text/csv;q=0.6", "text/csv"),
        ("*/*, text/turtle;q=0", "text/csv"),
        ("application/*", "application/json"),
        ("text/csv; header=present; q=1.0", "text/csv"),
        ("text/csv;q=oops, application/json;q=0.1", "application/json"),
        ("text/csv;q=2", None),
        ("*/csv", None),
        ("nonsense", None),
        ("image/png", None),
        ("*/*;q=0", None),
    ],
)
def test_accept_headers(accept: str | None, expected: str | None) -> None:
    assert choose(accept, ["text/turtle", "text/csv", "application/json"]) == expected


# --- the dataset --------------------------------------------------------------------------------------------------


def test_the_default_graph_is_the_union_of_the_named_graphs(client: TestClient) -> None:
    union = client.get("/sparql", params={"query": ASK}).json()["boolean"]
    named = client.get(
        "/sparql", params={"query": f"ASK {{ GRAPH <{ASSERTED}> {{ <https://w3id.org/nextline/Morphine> ?p ?o }} }}"}
    )
    assert union is named.json()["boolean"] is True


@pytest.mark.parametrize(
    ("query", "params", "expected"),
    [
        (f"ASK FROM <{ASSERTED}> {{ <https://w3id.org/nextline/Morphine> ?p ?o }}", {}, True),
        ("ASK FROM <x:none> { <https://w3id.org/nextline/Morphine> ?p ?o }", {}, False),
        (f"ASK FROM NAMED <{ASSERTED}> {{ ?s ?p ?o }}", {}, False),
        (f"ASK FROM NAMED <{ASSERTED}> {{ GRAPH ?g {{ ?s ?p ?o }} }}", {}, True),
        (ASK, {"default-graph-uri": ASSERTED}, True),
        (ASK, {"default-graph-uri": "x:none"}, False),
        (ASK, {"named-graph-uri": ASSERTED}, False),
        ("ASK { GRAPH ?g { ?s ?p ?o } }", {"named-graph-uri": ASSERTED}, True),
        (f"ASK FROM <{ASSERTED}> {{ ?s ?p ?o }}", {"default-graph-uri": "x:none"}, False),
    ],
)
def test_a_dataset_can_be_named_in_the_query_or_in_the_request(
    client: TestClient, query: str, params: dict[str, str], expected: bool
) -> None:
    response = client.get("/sparql", params={"query": query, **params})
    assert response.json()["boolean"] is expected
    assert client.post("/sparql", params=params, content=query, headers=QUERY).json()["boolean"] is expected


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "line", "column"),
    [("SELECT ?s WHERE { ?s ?p }", 1, 25), ("SELECT ?s\nWHERE { ?s ?p ?o", 2, 17), ("SELEKT * { ?s ?p ?o }", 1, None)],
)
def test_a_syntax_error_is_400_and_says_where(client: TestClient, query: str, line: int, column: int | None) -> None:
    place = problem(client.get("/sparql", params={"query": query}), 400)["place"]
    if column is not None:
        assert place.startswith(f"query, line {line}, column ")
        assert abs(int(place.rpartition(" ")[2]) - column) <= 2


def test_an_undeclared_prefix_is_named(client: TestClient) -> None:
    document = problem(client.get("/sparql", params={"query": "ASK {\n  ?s nxl:uses ?o }"}), 400)
    assert document["place"] == "query, line 2, column 6"
    assert "'nxl:'" in document["detail"]


@pytest.mark.parametrize(
    "update",
    [
        "INSERT DATA { <x:a> <x:b> <x:c> }",
        "DELETE WHERE { ?s ?p ?o }",
        "LOAD <http://127.0.0.1:9/>",
        "CLEAR ALL",
        "PREFIX x: <x:> DROP GRAPH x:g",
        "WITH <x:g> DELETE { ?s ?p ?o } WHERE { ?s ?p ?o }",
    ],
)
def test_updates_are_refused_whichever_way_they_come(client: TestClient, update: str) -> None:
    assert "read-only" in problem(client.get("/sparql", params={"query": update}), 400)["mend"]
    assert "read-only" in problem(client.post("/sparql", content=update, headers=QUERY), 400)["mend"]
    assert "read-only" in problem(client.post("/sparql", data={"update": update}), 400)["mend"]
    update_type = {"Content-Type": "application/sparql-update"}
    assert "read-only" in problem(client.post("/sparql", content=update, headers=update_type), 415)["mend"]


@pytest.mark.parametrize(
    "query",
    [
        "ASK { SERVICE <{url}> { ?s ?p ?o } }",
        "ASK { service silent <{url}> { ?s ?p ?o } }",
        "ASK { { SELECT * { OPTIONAL { SERVICE ?x { ?s ?p ?o } } } } }",
        "ASK { VALUES ?x { <{url}> } SERVICE#\n?x { ?s ?p ?o } }",
        "ASK { VALUES ?x { <{url}> } ?a ?b ?c FILTER(?a<?b)SERVICE#>\n ?x { ?s ?p ?o } }",
        'ASK { VALUES ?x { <{url}> } ?a ?b ?c FILTER(1<x:a#>"""\n ) SERVICE ?x { ?s ?p ?o } #"""\n }',
        "PREFIX x: <x:> ASK { VALUES ?x { <{url}> } ?a x:it\\'s ?c SERVICE ?x { ?s ?p ?o } #'\n }",
        "ASK { <<<x:a#> <x:b> <x:c>>> ?p 1 SERVICE <{url}> { ?s ?p ?o } }",
    ],
)
def test_no_query_makes_the_server_reach_out_by_service(client: TestClient, query: str) -> None:
    """Refused, wherever the keyword hides, and in fact nothing is called."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        problem(client.get("/sparql", params={"query": query.replace("{url}", url)}), 400)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("clause", ["FROM", "FROM NAMED"])
def test_naming_a_graph_that_is_not_held_fetches_nothing(client: TestClient, clause: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for url in (f"http://127.0.0.1:{listener.getsockname()[1]}/", "file:///etc/passwd"):
            query = f"ASK {clause} <{url}> {{ {{ ?s ?p ?o }} UNION {{ GRAPH ?g {{ ?s ?p ?o }} }} }}"
            assert client.get("/sparql", params={"query": query}).json()["boolean"] is False
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ('SERVICE' AS ?x) {}",
        'SELECT ("""SERVICE <x:y> { " } """ AS ?x) {}',
        "SELECT * { ?service ?p ?o } LIMIT 1 # SERVICE",
        "PREFIX service: <x:> ASK { service:SERVICE ?p <http://example.org/service> }",
        "SELECT * { VALUES (?s ?t) { (<http://a.b/c#d> <http://a.b/c#(e)>) } }",
        "ASK { ?s <http://a.b/c#d> ?o FILTER(?s < ?o && ?o > ?s) }",
        r"ASK { ?s ?p 'it\'s SERVICE' }",
        "SELECT (COUNT(*) AS ?n) FROM NAMED <x:g> { GRAPH ?from { ?s ?p ?o } }",
        "PREFIX : <x:> ASK { :a :b _:c . [] :d (1 :e) }",
    ],
)
def test_what_only_looks_dangerous_is_answered(client: TestClient, query: str) -> None:
    assert client.get("/sparql", params={"query": query}).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "ASK { FILTER(" + "(" * 10_000 + "1" + ")" * 10_000 + ") }",
        "ASK " + "{" * 10_000 + "}" * 10_000,
        "ASK { ?a ?b " + "[<x:p> " * 3_000 + "1" + "]" * 3_000 + " }",
        "ASK { FILTER(" + "STR(" * 3_000 + "1" + ")" * 3_000 + ") }",
        "ASK { FILTER(" + "!" * 20_000 + "true) }",
        "ASK { FILTER(" + "?x||" * 20_000 + "true) }",
        "ASK { BIND(1" + "+?x" * 20_000 + " AS ?y) }",
        "ASK { {}" + "UNION{}" * 10_000 + " }",
        "ASK { " + "OPTIONAL{?a ?b ?c}" * 5_000 + " }",
        "SELECT " + "".join(f"(1 AS ?v{i})" for i in range(5_000)) + " {}",
        "ASK { ?a <x:p>" + "/<x:p>" * 10_000 + " ?b }",
        "ASK { ?a ?b ?c FILTER(?a<" + "!" * 20_000 + "true>?b) }",
        "ASK { ?a ?b '" + "a" * 100_000 + "' }",
        "ASK { )",
    ],
    ids=lambda query: query[:24],
)
def test_a_query_that_would_end_the_process_is_refused(client: TestClient, query: str) -> None:
    problem(client.post("/sparql", content=query, headers=QUERY), 400)
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("depth", "operators"), [(100, 0), (50, 900)], ids=["as deep as allowed", "as long as allowed"]
)
def test_what_the_limits_allow_does_not_end_the_process(client: TestClient, depth: int, operators: int) -> None:
    for text in (
        "ASK { FILTER(" + "STR(" * (depth - 2) + "1" + "||1" * operators + ")" * (depth - 2) + ") }",
        "ASK " + "{" * depth + "}" * depth,
        "ASK { {}" + "UNION{}" * (operators // 2) + " }",
    ):
        assert client.post("/sparql", content=text, headers=QUERY).status_code == 200


# Queries that are flat to look at and deep once they are parsed. FILTER(false) keeps their planning short.
FLAT: dict[str, Callable[[int], str]] = {
    "objects": lambda n: "SELECT * { FILTER(false) ?s ?p 1" + ",1" * n + " }",
    "predicates": lambda n: "SELECT * { FILTER(false) ?s ?p 1" + ";?p 1" * n + " }",
    "triples": lambda n: "SELECT * { FILTER(false) " + "?s ?p ?o." * n + " }",
    "blank nodes": lambda n: "SELECT * { FILTER(false) " + "[] ?p ?o." * n + " }",
    "empty nodes": lambda n: "SELECT * { FILTER(false) ?s ?p 1" + ",[]" * n + " }",
    "list": lambda n: "SELECT * { FILTER(false) ?s ?p (" + "1 " * n + ") }",
    "describe": lambda n: "DESCRIBE " + "<x:y>" * n,
    "having": lambda n: "SELECT (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?s HAVING " + "(1)" * n,
    "construct where": lambda n: "CONSTRUCT WHERE { " + "?s ?p ?o." * n + " }",
    "construct": lambda n: "CONSTRUCT { " + "?s ?p ?o." * n + " } WHERE {}",
    "arguments": lambda n: "SELECT (CONCAT(1" + ",1" * n + ") AS ?x) {}",
    "order": lambda n: "SELECT * { ?s <x:p> ?o } ORDER BY " + "?s " * n,
    "after values": lambda n: "SELECT * { VALUES ?x { 1 } FILTER(false) ?s ?p 1" + ",1" * n + " }",
}
DATA = {
    "one column": "SELECT * { VALUES ?x {" + "1 " * 49_000 + "} }",
    "two columns": "SELECT * { VALUES (?x ?y) {" + "(1 -2)" * 15_000 + "} }",
    "no column": "SELECT * { VALUES () {" + "()" * 45_000 + "} }",
    "at the end": "SELECT * { ?x ?p ?o } VALUES ?x {" + "<x:y>" * 19_000 + "}",
}
# Runs each text of standard input in a lane, as the server does, and prints its name when it is through.
RUN_ALL = """
import asyncio, json, sys
import pyoxigraph
from api.lanes import Lane
from kg.store import KnowledgeStore

async def main():
    texts = json.load(sys.stdin)
    lane = Lane("test", workers=len(texts), waiting=0)
    store = KnowledgeStore(pyoxigraph.Store())
    for name, text in texts.items():
        try:
            await lane.run(lambda: store.query(text).truth(), seconds=2)
        except TimeoutError:
            pass  # it is being planned, and the stack has held
        print(name, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("shape", FLAT)
def test_a_flat_query_of_any_shape_is_refused_when_it_is_long(client: TestClient, shape: str) -> None:
    problem(client.post("/sparql", content=FLAT[shape](20_000 if shape == "objects" else 6_000), headers=QUERY), 400)
    with pytest.raises(InvalidQuery, match="tokens"):
        check(FLAT[shape](2_000))


def test_the_longest_queries_that_are_allowed_do_not_end_the_process() -> None:
    def is_refused(text: str) -> bool:
        try:
            check(text)
        except InvalidQuery:
            return True
        return False

    def longest(build: Callable[[int], str]) -> str:
        return build(bisect_right(range(3_000), False, key=lambda n: is_refused(build(n))) - 1)

    texts = {shape: longest(build) for shape, build in FLAT.items()}
    for text in [*texts.values(), *DATA.values()]:
        assert not is_refused(text)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=ROOT,
        input=json.dumps(texts | DATA),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [*FLAT, *DATA], f"the process ended with {done.returncode}: {done.stderr}"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("method", "kwargs", "status"),
    [
        ("GET", {"params": {"update": "CLEAR ALL"}}, 400),
        ("GET", {"params": [("query", ASK), ("query", ASK)]}, 400),
        ("GET", {"params": {"query": ASK, "format": "png"}}, 400),
        ("GET", {"params": {"query": ASK, "format": "turtle"}}, 406),
        ("GET", {"headers": {"Accept": "image/png"}}, 406),
        ("POST", {"headers": FORM}, 400),
        ("GET", {"params": "query=%ff"}, 400),
        ("GET", {"params": {"query": ""}}, 400),
        ("GET", {"params": {"query": ASK, "default-graph-uri": "no iri"}}, 400),
        ("GET", {"params": [("query", ASK), *[("x", "y")] * 200]}, 400),
        ("POST", {"content": b"\xff", "headers": QUERY}, 400),
        ("POST", {"content": b"query=%ff", "headers": FORM}, 400),
        ("POST", {"content": b"", "headers": QUERY}, 400),
        ("POST", {"content": ASK, "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", {"content": ASK}, 415),
        ("POST", {"content": b" " * 2_000_000, "headers": QUERY}, 413),
        ("PUT", {"content": ASK}, 405),
        ("DELETE", {}, 405),
    ],
)
def test_broken_requests_get_a_problem_document(
    client: TestClient, method: str, kwargs: dict[str, Any], status: int
) -> None:
    response = client.request(method, "/sparql", **kwargs)
    problem(response, status)
    if status == 405:
        assert "GET" in response.headers["allow"]
    if status == 415:
        assert "application/sparql-query" in response.headers["accept-post"]


def test_a_result_without_end_is_stopped_and_never_cut_short(build_folder: Path) -> None:
    """Too large is 413, too late is 503 with Retry-After; neither is a 200 with a part of the rows."""
    everything = "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
    build = open_build(build_folder)
    settings = Settings(ontology=ROOT / "ontology", queries=ROOT / "queries")
    with TestClient(create_app(build, settings.model_copy(update={"query_result_bytes": 100_000}))) as client:
        assert "LIMIT" in problem(client.get("/sparql", params={"query": everything}), 413)["mend"]
    with TestClient(create_app(build, settings.model_copy(update={"query_result_rows": 10}))) as client:
        for query in ("SELECT * { ?s ?p ?o } LIMIT 11", "CONSTRUCT WHERE { ?s ?p ?o } LIMIT 11"):
            assert "10 rows" in problem(client.get("/sparql", params={"query": query}), 413)["detail"]
            assert client.get("/sparql", params={"query": query.replace("11", "10")}).status_code == 200
    with TestClient(create_app(build, settings.model_copy(update={"query_seconds": 0.3}))) as client:
        response = client.get("/sparql", params={"query": everything})
        problem(response, 503)
        assert int(response.headers["retry-after"]) > 0


# --- the store by itself ------------------------------------------------------------------------------------------


def test_bindings_are_terms_and_leave_the_text_alone(store: KnowledgeStore) -> None:
    text = "SELECT ?drug ?label WHERE { ?drug <http://www.w3.org/2000/01/rdf-schema#label> ?label }"
    term = URIRef("https://w3id.org/nextline/underReview")
    assert store.query(text, bindings={"drug": term}).rows() == [
        {"drug": term, "label": Literal("under review", lang="en")}
    ]
    found = store.query(text, bindings={"label": Literal("under review", lang="en")}).rows()
    assert [row["drug"] for row in found] == [term]
    assert store.query(text, bindings={"label": Literal('" } #')}).rows() == []


def test_a_bound_variable_has_to_be_in_the_result(store: KnowledgeStore) -> None:
    with pytest.raises(InvalidQuery, match="projection"):
        store.query("SELECT ?p { ?s ?p ?o }", bindings={"s": URIRef("x:y")})


def test_a_result_tells_its_form(store: KnowledgeStore) -> None:
    assert store.query(LABEL).form is Form.ROWS
    assert store.query(CONSTRUCT).form is Form.GRAPH
    assert store.query(ASK).truth() is True
    assert store.query(CONSTRUCT).truth() is True
    assert store.query("SELECT * { <x:y> ?p ?o }").truth() is False
    assert (
        store.query(LABEL, limits=QueryLimits(seconds=60)).serialise(ResultFormat.CSV) == b"label\r\nunder review\r\n"
    )


def test_the_limits_of_a_text_are_settings() -> None:
    with pytest.raises(InvalidQuery, match="deeper than 2"):
        check("ASK { { { } } }", TextLimits(nesting=2))
    with pytest.raises(InvalidQuery, match="more than 1 operators"):
        check("ASK { { } }", TextLimits(operators=1))
    with pytest.raises(InvalidQuery, match="more than 5 tokens"):
        check("ASK { ?s ?p ?o }", TextLimits(tokens=5))
    assert check("ASK { VALUES ?x { -1 -2 -3 } }", TextLimits(tokens=8, operators=3))
    with pytest.raises(InvalidQuery, match="bytes"):
        check("ASK { }", TextLimits(bytes=3))
