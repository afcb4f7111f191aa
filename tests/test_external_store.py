"""An external SPARQL server: publishing to it, answering from it, and what is said when it does not do what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rdflib import Literal, URIRef
from rdflib.term import Node

from kg.batches import batches, blank_nodes
from kg.bound_text import bound
from kg.build_folder import Build, open_build, publish
from kg.canonical import canonical_lines
from kg.errors import (
    InvalidParameter,
    InvalidQuery,
    NextlineError,
    QueryFailure,
    StoreMismatch,
    StoreRefused,
    StoreUnreachable,
)
from kg.graph_comparison import Sameness, compare
from kg.graph_store import GraphStore
from kg.namespaces import GRAPH
from kg.publication import RECORD, Publisher
from kg.queries import CannedQuery, list_queries, run
from kg.remote_store import RemoteStore
from kg.sparql_client import Access, SparqlClient
from kg.store import Form, KnowledgeStore, QueryLimits, ResultFormat
from tests.external import Oxigraph, answering, free_port, oxigraph
from tests.serving import ROOT, running

QUERIES = list_queries(ROOT / "queries")
ASK = "ASK { ?s ?p ?o }"
JSON = {"Content-Type": "application/sparql-results+json"}
NOTHING = b'{"head": {"vars": []}, "results": {"bindings": []}}'


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "api.cli", *arguments]


def nextline(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def small_build(folder: Path, word: str, size: int = 40) -> Build:
    """A build of two graphs, with blank nodes that hang together, in lists and alone."""
    from rdflib import Graph

    turtle = "".join(
        f'<x:s{n}> <x:p> [ <x:q> ( "{word} {n}"@en {n} [ <x:r> {n}.50 ] ) ] ; <x:label> "a\\n\\"{n}\\" \\\\u0041"@fr-BE .\n'
        for n in range(size)
    )
    asserted = Graph().parse(data=turtle, format="turtle")
    meta = Graph().parse(
        data=f'<https://w3id.org/nextline/dataset> <http://purl.org/dc/terms/identifier> "sha256:{word}" .',
        format="turtle",
    )
    graphs = {"asserted": asserted, "meta": meta}
    publish(
        folder,
        {**{f"{name}.nt": "".join(canonical_lines(graph)) for name, graph in graphs.items()}, "program.json": "{}"},
        {
            "version_iri": "x:v",
            "content_hash": word,
            "sources_hash": word,
            "software_version": "0",
            "graphs": {str(GRAPH[name]): len(graph) for name, graph in graphs.items()},
        },
    )
    return open_build(folder)


def published(server: Oxigraph, build: Build, **options: object) -> list[str]:
    """What was told while publishing."""
    told: list[str] = []
    Publisher(server.client, told.append, batch=50, **options).publish(build)  # type: ignore[arg-type]
    return told


def count(server: Oxigraph, where: str) -> int:
    received = server.client.query(f"SELECT ?s ?p ?o WHERE {{ {where} }}", accept="text/csv")
    return len(received.body.splitlines()) - 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Oxigraph]:
    with oxigraph(tmp_path / "oxigraph") as running_server:
        yield running_server


@pytest.fixture(scope="module")
def resumed(build_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Oxigraph, int, str]]:
    """A server to which the build of the ontology was published by the command, which was killed and called again.

    With the triples that were in force after the first call, and what the second told.
    """
    with oxigraph(tmp_path_factory.mktemp("oxigraph")) as running_server:
        arguments = ("publish", *running_server.options(), "--build", str(build_folder))
        process = subprocess.Popen(
            command(*arguments), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert process.stderr is not None
        assert any("/asserted: " in line and " of " in line for line in process.stderr)
        process.kill()
        process.wait()
        in_force = count(running_server, f"GRAPH <{GRAPH.asserted}> {{ ?s ?p ?o }}")
        done = nextline(*arguments)
        assert done.returncode == 0, done.stderr
        yield running_server, in_force, done.stderr


@pytest.fixture(scope="module")
def whole(resumed: tuple[Oxigraph, int, str]) -> Oxigraph:
    """A server that holds the build of the ontology."""
    return resumed[0]


@pytest.fixture(scope="module")
def embedded(opened: Build) -> KnowledgeStore:
    return KnowledgeStore.load(opened.graph_files)


@pytest.fixture(scope="module")
def remote(opened: Build, whole: Oxigraph) -> RemoteStore:
    return RemoteStore(whole.client, tuple(opened.manifest.graphs))


# --- publishing ---------------------------------------------------------------------------------------------------


def test_a_publication_that_was_killed_goes_on_where_it_stopped(resumed: tuple[Oxigraph, int, str]) -> None:
    server, in_force, told = resumed
    assert in_force == 0, "nothing is in force before all is there"
    assert "/asserted: going on after " in told
    assert not count(server, "GRAPH ?g { ?s ?p ?o } FILTER (CONTAINS(STR(?g), 'staging'))")


def test_what_is_published_is_what_was_built(whole: Oxigraph, build_folder: Path) -> None:
    checked = nextline("publish", "--store", whole.query, "--check", "--build", str(build_folder))
    assert checked.returncode == 0, checked.stderr


def test_a_half_written_batch_is_noticed_and_loaded_anew(server: Oxigraph, tmp_path: Path) -> None:
    build = small_build(tmp_path / "build", "one")
    told: list[str] = []

    class Stopped(Exception):
        pass

    def report(message: str) -> None:
        told.append(message)
        if len(told) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        Publisher(server.client, report, batch=50).publish(build)
    staging = next(f"{GRAPH.asserted}/staging/{d[:16]}" for n, d in build.manifest.files.items() if n == "asserted.nt")
    assert count(server, f"GRAPH <{staging}> {{ ?s ?p ?o }}")
    server.client.update(f"INSERT DATA {{ GRAPH <{staging}> {{ <x:s> <x:p> <x:half> }} }}")
    assert any("beginning anew" in message for message in published(server, build))
    Publisher(server.client, lambda _: None).check(build)


@pytest.mark.parametrize("way", ["update", "graph-store", "in-place"])
def test_a_build_replaces_the_one_before(server: Oxigraph, tmp_path: Path, way: str) -> None:
    """Whatever way it is written, nothing of the build before stays, and graphs of others are left alone."""
    server.client.update("INSERT DATA { GRAPH <x:others> { <x:a> <x:b> <x:c> } }")
    graph_store = None if way == "update" else GraphStore(server.store, server.client.access)
    first, second = (small_build(tmp_path / word, word) for word in ("one", "two"))
    for build in (first, second):
        published(server, build, graph_store=graph_store, in_place=way == "in-place")
        Publisher(server.client, lambda _: None).check(build)
        store = RemoteStore(server.client, tuple(build.manifest.graphs))
        store.require(build.manifest.content_hash, build.manifest.folder, build.manifest.graphs)
    assert count(server, "GRAPH <x:others> { ?s ?p ?o }") == 1
    with pytest.raises(StoreMismatch, match="one"):
        store.require(first.manifest.content_hash, first.manifest.folder, first.manifest.graphs)


def test_a_server_that_holds_something_else_is_found_out(server: Oxigraph, tmp_path: Path) -> None:
    build = small_build(tmp_path / "build", "one")
    manifest = build.manifest
    store = RemoteStore(server.client, tuple(manifest.graphs))
    with pytest.raises(StoreMismatch, match="no build"):
        store.require(manifest.content_hash, manifest.folder, manifest.graphs)
    published(server, build)
    with pytest.raises(StoreMismatch, match="not otherbuild"):
        store.require(manifest.content_hash, "otherbuild", manifest.graphs)
    server.client.update(
        f"WITH <{GRAPH.asserted}> DELETE {{ <x:s1> <x:label> ?o }} INSERT {{ <x:s1> <x:label> 'changed' }} "
        "WHERE { <x:s1> <x:label> ?o }"
    )
    with pytest.raises(StoreMismatch, match="missing: <x:s1>"):
        Publisher(server.client, lambda _: None).check(build)
    published(server, build)
    Publisher(server.client, lambda _: None).check(build)
    server.client.update(f"INSERT DATA {{ GRAPH <{GRAPH.asserted}> {{ <x:s> <x:p> <x:more> }} }}")
    with pytest.raises(StoreMismatch, match="triples there, and not"):
        store.require(manifest.content_hash, manifest.folder, manifest.graphs)


def test_no_blank_node_is_split_over_two_batches(opened: Build) -> None:
    lines = opened.graph_files[str(GRAPH.asserted)].read_text(encoding="utf-8").splitlines()
    made = list(batches(lines, 500))
    assert sorted(line for batch in made for line in batch) == sorted(lines)
    assert max(map(len, made)) <= 500 and len(made) < 2 * len(lines) / 500
    nodes = [{node for line in batch for node in blank_nodes(line)} for batch in made]
    assert sum(map(len, nodes)) == len(set().union(*nodes))


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("<x:a> <x:p> _:c14n0 .\n_:c14n0 <x:q> <x:b> .", "_:z <x:q> <x:b> .\n<x:a> <x:p> _:z .", Sameness.EXACT),
        ('<x:a> <x:p> "1.50"^^<{x}decimal> .', '<x:a> <x:p> "1.5"^^<{x}decimal> .', Sameness.VALUES),
        ('<x:a> <x:p> "2"^^<{x}nonNegativeInteger> .', '<x:a> <x:p> "2"^^<{x}integer> .', Sameness.VALUES),
        ('<x:a> <x:p> "true"^^<{x}boolean> .', '<x:a> <x:p> "1"^^<{x}boolean> .', Sameness.VALUES),
        ('<x:a> <x:p> "b"@fr-BE .', '<x:a> <x:p> "b"@fr-be .', Sameness.VALUES),
        ('<x:a> <x:p> "b"@en .', '<x:a> <x:p> "b" .', Sameness.DIFFERENT),
        ('<x:a> <x:p> "1"^^<{x}integer> .', '<x:a> <x:p> "2"^^<{x}integer> .', Sameness.DIFFERENT),
        ("<x:a> <x:p> _:c14n0 .\n<x:b> <x:p> _:c14n0 .", "<x:a> <x:p> _:a .\n<x:b> <x:p> _:b .", Sameness.DIFFERENT),
    ],
)
def test_graphs_are_compared_by_what_they_say(ours: str, theirs: str, expected: Sameness) -> None:
    xsd = "http://www.w3.org/2001/XMLSchema#"
    found = compare(*(f"{text}\n".replace("{x}", xsd).encode() for text in (ours, theirs)))
    assert found.sameness is expected


# --- answering ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_each_canned_query_gives_the_same_as_the_embedded_store(
    embedded: KnowledgeStore, remote: RemoteStore, query: CannedQuery
) -> None:
    """The same columns and rows in the same order."""
    values = {parameter.name: parameter.example for parameter in query.parameters}
    ours, theirs = (run(store, query, values).serialise(ResultFormat.TSV) for store in (embedded, remote))
    assert theirs == ours


@pytest.mark.parametrize(
    "text",
    [
        "ASK { ?s a <http://www.w3.org/2002/07/owl#Class> }",
        "ASK { ?s a <x:none> }",
        "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }",
        "SELECT ?g (COUNT(*) AS ?n) WHERE { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g ORDER BY ?g",
        "SELECT (COUNT(*) AS ?n) FROM <https://w3id.org/nextline/graph/meta> WHERE { ?s ?p ?o }",
        "PREFIX g: <https://w3id.org/nextline/graph/> SELECT (COUNT(*) AS ?n) FROM NAMED g:meta { GRAPH ?g { ?s ?p ?o } }",
        "SELECT (COUNT(*) AS ?n) FROM <https://w3id.org/nextline/graph/publication> WHERE { ?s ?p ?o }",
        "CONSTRUCT { ?s <x:p> ?o } WHERE { ?s <http://purl.org/dc/terms/identifier> ?o }",
    ],
)
def test_a_query_sees_the_same_dataset(embedded: KnowledgeStore, remote: RemoteStore, text: str) -> None:
    """The union of the graphs of the build, the graphs that it names, and nothing else that the server holds."""
    results = [store.query(text) for store in (embedded, remote)]
    assert results[0].form is results[1].form
    format_ = ResultFormat.N_TRIPLES if results[0].form is Form.GRAPH else ResultFormat.TSV
    ours, theirs = (sorted(result.serialise(format_).splitlines()) for result in results)
    assert theirs == ours


def test_a_dataset_of_the_request_goes_before_that_of_the_query(
    opened: Build, embedded: KnowledgeStore, remote: RemoteStore
) -> None:
    text = "SELECT (COUNT(*) AS ?n) FROM <https://w3id.org/nextline/graph/asserted> WHERE { ?s ?p ?o }"
    for store in (embedded, remote):
        assert store.query(text, default_graphs=[str(GRAPH.meta)]).rows() == [
            {"n": Literal(opened.manifest.graphs[str(GRAPH.meta)])}
        ]
        assert store.query(text, default_graphs=["x:none"]).rows() == [{"n": Literal(0)}]


@pytest.mark.parametrize(
    ("text", "bindings"),
    [
        ("SELECT ?v { }", {"v": Literal("\" } # \\ \n \t ' <x> ?v \\u0041", lang="en")}),
        ("SELECT ?v { }", {"v": Literal("\\u0022 } \\", datatype=URIRef("x:type"))}),
        ("SELECT ?v { }", {"v": URIRef("https://example.org/é?a=b&c#d")}),
        (
            "SELECT ?v ?n { { SELECT ?v (COUNT(*) AS ?n) { ?v ?p ?o } GROUP BY ?v } }",
            {"v": URIRef("https://w3id.org/nextline")},
        ),
        ("SELECT ?v { { FILTER (?v = 5) } UNION { FILTER (?v = 6) } }", {"v": Literal(5)}),
        (
            "SELECT ?v ?s { ?s a ?v OPTIONAL { { FILTER (BOUND(?v)) } } } ORDER BY ?s LIMIT 3",
            {"v": URIRef("http://rdfs.org/ns/void#Dataset")},
        ),
        (
            "SELECT ?v (COUNT(?s) AS ?n) { VALUES ?s { 1 2 } { SELECT ?s { VALUES ?s { 1 } } } } GROUP BY ?v",
            {"v": Literal(1)},
        ),
        ("SELECT ?v { FILTER NOT EXISTS { ?v ?p ?o } }", {"v": URIRef("https://w3id.org/nextline")}),
        ("ASK { ?v ?p ?o }", {"v": URIRef("https://w3id.org/nextline")}),
        ("ASK { ?v ?p ?o }", {"v": URIRef("x:none")}),
    ],
)
def test_a_parameter_is_bound_as_the_embedded_store_binds_it(
    embedded: KnowledgeStore, remote: RemoteStore, text: str, bindings: dict[str, Node]
) -> None:
    ours, theirs = (store.query(text, bindings=bindings).serialise(ResultFormat.JSON) for store in (embedded, remote))
    assert theirs == ours


def test_a_template_of_triples_alone_takes_its_parameter_at_the_end() -> None:
    text = bound("CONSTRUCT WHERE { ?s ?p ?o } # as it is", {"s": URIRef("x:y")})
    assert text.endswith("\n VALUES ?s { <x:y> }")
    assert not KnowledgeStore.load({}).query(text).truth()


@pytest.mark.parametrize("term", [URIRef("x:y> } DROP ALL #"), URIRef("no iri"), Literal("a\0b")])
def test_what_cannot_be_written_safely_is_refused(term: Node) -> None:
    with pytest.raises(InvalidParameter):
        bound("ASK { ?v ?p ?o }", {"v": term})


def test_a_result_that_is_too_large_is_refused(remote: RemoteStore) -> None:
    with pytest.raises(InvalidQuery, match="more than 1000 bytes"):
        remote.query("SELECT * { ?s ?p ?o } LIMIT 500", limits=QueryLimits(result_bytes=1000))


def test_a_query_that_takes_too_long_is_given_up(remote: RemoteStore) -> None:
    with pytest.raises(QueryFailure, match=r"within 0\.2 seconds"):
        remote.query("SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }", limits=QueryLimits(seconds=0.2))


def test_the_server_answers_from_the_external_store(whole: Oxigraph, build_folder: Path) -> None:
    import httpx

    with running(build_folder, NEXTLINE_STORE=whole.query) as nextline_server:
        rows = httpx.get(f"{nextline_server.url}/v1/queries/guidelines", headers={"Accept": "text/csv"})
        assert rows.status_code == 200 and len(rows.text.splitlines()) > 2
        counted = httpx.get(f"{nextline_server.url}/sparql", params={"query": "SELECT ?g { GRAPH ?g { } }"})
        assert {b["g"]["value"] for b in counted.json()["results"]["bindings"]} == set(
            open_build(build_folder).manifest.graphs
        )
        broken = httpx.get(f"{nextline_server.url}/sparql", params={"query": "SELECT nothing"})
        assert (broken.status_code, broken.json()["title"]) == (400, "Invalid query")


def test_the_command_answers_from_the_external_store(whole: Oxigraph, build_folder: Path) -> None:
    asked = ("query", "find-term", "text=zoster", "--format", "csv", "--build", str(build_folder))
    ours, theirs = nextline(*asked), nextline(*asked, "--store", whole.query)
    assert theirs.returncode == 0
    assert theirs.stdout == ours.stdout != ""


def test_a_server_without_the_build_is_not_served(server: Oxigraph, build_folder: Path) -> None:
    done = nextline("serve", "--port", "0", "--store", server.query, "--build", str(build_folder))
    assert done.returncode == 5
    assert "holds no build" in done.stderr and "nextline publish" in done.stderr


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "message"),
    [
        (200, b"<html><body>Welcome</body></html>", {"Content-Type": "text/html"}, StoreRefused, "text/html.*Welcome"),
        (200, b"{", JSON, QueryFailure, "what the server sent"),
        (200, NOTHING, {**JSON, "X-SPARQL-MaxRows": "10"}, StoreRefused, "cut the result to 10 rows"),
        (200, NOTHING, {**JSON, "Content-Length": "9999"}, StoreUnreachable, "broke off|cannot be reached"),
        (
            302,
            b"",
            {"Location": "http://127.0.0.1:9/elsewhere"},
            StoreRefused,
            "sends on to http://127.0.0.1:9/elsewhere",
        ),
        (400, b"no such function", {}, QueryFailure, "no such function"),
        (401, b"", {"WWW-Authenticate": "Basic"}, StoreRefused, "NEXTLINE_STORE_USER"),
        (403, b"", {}, StoreRefused, "forbids"),
        (
            404,
            b"<html><style>p {}</style><p>Not here</p></html>",
            {},
            StoreRefused,
            "takes no queries here.*: Not here",
        ),
        (406, b"", {}, StoreRefused, "refuses the request"),
        (500, b"out of memory", {}, QueryFailure, "out of memory"),
        (503, b"", {}, StoreUnreachable, "busy or away"),
    ],
)
def test_an_answer_that_is_none_says_what_to_do(
    status: int, body: bytes, headers: dict[str, str], error: type[NextlineError], message: str
) -> None:
    with answering(status, body, {**headers, "Connection": "close"}) as (url, _):
        store = RemoteStore(SparqlClient(Access(url, url)), ("x:g",))
        with pytest.raises(error, match=message) as caught:
            store.query("SELECT * { ?s ?p ?o }").rows()
        assert caught.value.mend


@pytest.mark.parametrize("status", [400, 403, 404, 405, 415, 500, 501])
def test_a_server_that_takes_no_updates_is_told_apart(status: int) -> None:
    with answering(status, b"read-only", {}) as (url, seen):
        with pytest.raises(StoreRefused):
            SparqlClient(Access(url, url)).update("CLEAR ALL")
        assert len(seen) == 1, "an update is not sent twice"


def test_a_query_is_sent_again_once_when_the_server_is_away_and_an_update_is_not() -> None:
    with answering(503, b"", {}) as (url, seen):
        client = SparqlClient(Access(url, url))
        with pytest.raises(StoreUnreachable):
            client.query(ASK, accept="text/csv")
        assert len(seen) == 2
        with pytest.raises(StoreUnreachable):
            client.update("CLEAR ALL")
        assert len(seen) == 3


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with answering(200, b"", {}, hang=True) as (url, _):
        client = SparqlClient(Access(url, url, seconds=0.2))
        with pytest.raises(QueryFailure, match=r"within 0\.2 seconds"):
            client.query(ASK, accept="text/csv")
        with pytest.raises(StoreUnreachable, match=r"within 0\.2 seconds"):
            client.update("CLEAR ALL")


def test_a_server_that_is_not_there_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}/query"
    done = nextline("publish", "--store", url, "--check")
    assert done.returncode == 5
    assert url in done.stderr and "Start it" in done.stderr


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        ({"user": "ann", "password": "secret"}, "Basic YW5uOnNlY3JldA=="),
        ({"token": "abc"}, "Bearer abc"),
        ({}, ""),
    ],
)
def test_a_log_in_goes_with_every_request(access: dict[str, str], expected: str) -> None:
    with answering(204, b"", {}) as (url, seen):
        login = Access(url, url, access.get("user", ""), access.get("password", ""), access.get("token", ""))
        SparqlClient(login).update("CLEAR ALL")
        GraphStore(url, login).put("x:g", b"")
    assert [request.partition(" ")[2].partition(" ")[2] for request in seen] == [expected, expected]


def test_a_password_does_not_follow_to_another_place() -> None:
    with answering(204, b"", {}) as (elsewhere, seen), answering(302, b"", {"Location": elsewhere}) as (url, _):
        login = Access(url, url, user="ann", password="secret")  # noqa: S106
        with pytest.raises(StoreRefused, match="sends on"):
            SparqlClient(login).update("CLEAR ALL")
        with pytest.raises(StoreRefused, match="sends on"):
            GraphStore(url, login).put("x:g", b"")
    assert not seen


@pytest.mark.parametrize("url", ["ftp://x/y", "localhost:7878", "http://", "http://a b/", "http://x:99999/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(StoreRefused, match="no HTTP URL"):
        Access(url, url)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    done = nextline("publish", "--store", "http://ann:secret@localhost/x", "--check")
    assert done.returncode == 5
    assert "NEXTLINE_STORE_PASSWORD" in done.stderr and "secret" not in done.stderr


def test_publishing_in_place_needs_a_place_for_graphs() -> None:
    done = nextline("publish", "--store", "http://localhost:1/x", "--in-place")
    assert done.returncode == 2
    assert "--graph-store" in done.stderr


def test_the_record_of_publications_is_no_graph_of_the_build(opened: Build) -> None:
    assert RECORD not in opened.manifest.graphs
