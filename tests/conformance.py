"""The W3C's SPARQL 1.0 and 1.1 test suites for queries, run in process and through the endpoint.

    python -m tests.conformance FOLDER [--every N]

FOLDER is a checkout of the suites (`sparql10`, `sparql11`), as in https://github.com/w3c/rdf-tests. One server holds the
data of all tests, each file as a graph named by its address; a test names its dataset by the parameters of the protocol.
In process, each test gets a store of its own from pyoxigraph, with no code of ours between.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlparse

import httpx
import pyoxigraph as ox
from rdflib import RDF, RDFS, Graph, Namespace, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

from tests.serving import serving_files

MF = Namespace("http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#")
QT = Namespace("http://www.w3.org/2001/sw/DataAccess/tests/test-query#")
UT = Namespace("http://www.w3.org/2009/sparql/tests/test-update#")
HT = Namespace("http://www.w3.org/2011/http#")
CNT = Namespace("http://www.w3.org/2011/content#")
RS = Namespace("http://www.w3.org/2001/sw/DataAccess/tests/result-set#")
MANIFESTS = ("sparql10/manifest-evaluation.ttl", "sparql10/manifest-syntax.ttl", "sparql11/manifest-all.ttl")
OTHER_SPECIFICATIONS = ("entailment", "graph-store-protocol")
POSITIVE, NEGATIVE = ("PositiveSyntaxTest", "PositiveSyntaxTest11"), ("NegativeSyntaxTest", "NegativeSyntaxTest11")
REFUSED = "SERVICE"  # the endpoint refuses it, whatever the syntax tests of federation say
EMPTY = "urn:x-test:empty"
QUERY = {"Content-Type": "application/sparql-query"}


@dataclass(frozen=True, slots=True)
class Case:
    """One test: its suite and kind, the query, its dataset, and the file of the expected result."""

    name: str
    group: str
    kind: str
    query: Path
    data: tuple[Path, ...] = ()
    named: tuple[Path, ...] = ()
    result: Path | None = None

    @property
    def text(self) -> str:
        """The query, told where it stands."""
        return f"BASE <{self.query.as_uri()}>\n{self.query.read_text('utf-8')}"

    @property
    def names_dataset(self) -> bool:
        """Whether the query says itself what it is about."""
        return re.search(r"\bFROM\s+(NAMED\s+)?<", self.query.read_text("utf-8"), re.IGNORECASE) is not None

    @property
    def files(self) -> set[Path]:
        """Every file that it reads as data."""
        asked = re.findall(r"FROM\s+(?:NAMED\s+)?<([^>]*)>", self.query.read_text("utf-8"), re.IGNORECASE)
        beside = {self.query.parent / name for name in asked if ":" not in name}
        return {path for path in {*self.data, *self.named, *beside} if path.is_file()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case: whether it passed in process and through the endpoint."""

    case: Case
    in_process: bool
    by_endpoint: bool


def read_cases(folder: Path) -> list[Case]:
    """Every test of a query: evaluation, syntax, and result formats."""
    found: dict[str, Case] = {}
    for manifest in MANIFESTS:
        for graph, path in _manifests(folder.resolve() / manifest):
            for case in _cases(graph, path, manifest.partition("/")[0]):
                found.setdefault(case.name, case)
    return list(found.values())


def _manifests(path: Path) -> Iterator[tuple[Graph, Path]]:
    if path.parent.name in OTHER_SPECIFICATIONS:
        return
    graph = Graph().parse(path, format="turtle", publicID=path.as_uri())
    yield graph, path
    for included in graph.objects(None, MF.include):
        for target in Collection(graph, included):
            if _path(target).is_file():
                yield from _manifests(_path(target))


def _cases(graph: Graph, path: Path, suite: str) -> Iterator[Case]:
    for entries in graph.objects(None, MF.entries):
        for test in Collection(graph, entries):
            kind = str(graph.value(test, RDF.type) or "").rpartition("#")[2]
            action = graph.value(test, MF.action)
            if kind in (*POSITIVE, *NEGATIVE):
                yield Case(str(test), f"{suite} syntax", kind, _path(action))
            elif kind in ("QueryEvaluationTest", "CSVResultFormatTest"):
                query, result = graph.value(action, QT.query), graph.value(test, MF.result)
                if query is None or result is None:
                    continue
                group = f"{suite} {'results' if path.parent.name in ('csv-tsv-res', 'json-res') else 'query'}"
                data = tuple(_path(node) for node in graph.objects(action, QT.data))
                named = tuple(_path(node) for node in graph.objects(action, QT.graphData))
                yield Case(str(test), group, kind, _path(query), data, named, _path(result))


def _path(node: Node | None) -> Path:
    return Path(unquote(urlparse(str(node)).path))


def is_loadable(path: Path) -> bool:
    """Whether the store can read a file of data."""
    try:
        for _ in ox.parse(path=str(path), base_iri=path.as_uri()):
            pass
    except (SyntaxError, ValueError, OSError):
        return False
    return True


def run(cases: Sequence[Case], report: Callable[[str], None]) -> list[Outcome]:
    """Run the cases both ways."""
    files = sorted(path for path in {path for case in cases for path in case.files} if is_loadable(path))
    report(f"{len(cases)} tests, {len(files)} files of data")
    outcomes = []
    with serving_files([(path.as_uri(), path) for path in files]) as url, httpx.Client(timeout=60) as client:
        for count, case in enumerate(cases, 1):
            outcomes.append(Outcome(case, passes(case, in_process), passes(case, through(client, url))))
            if count % 200 == 0:
                report(f"{count} of {len(cases)}")
    return outcomes


def is_refused(case: Case) -> bool:
    """Whether the endpoint refuses the query on purpose."""
    return REFUSED in case.text


def lost_by_endpoint(outcomes: Iterable[Outcome]) -> list[Case]:
    """What passes in process, does not through the endpoint, and is not refused on purpose."""
    return [o.case for o in outcomes if o.in_process and not o.by_endpoint and not is_refused(o.case)]


Answer = Callable[[Case, str], bytes]


class Refused(Exception):
    """The query is not valid."""


class Unsupported(Exception):
    """The query is valid, and calls for what is not there, such as a function of an extension."""


def in_process(case: Case, media_type: str) -> bytes:
    """Raw pyoxigraph, with a store for this test alone."""
    store = ox.Store()
    for path in case.files:
        graph = None if path in case.data else ox.NamedNode(path.as_uri())
        store.load(path=str(path), base_iri=path.as_uri(), to_graph=graph)
        if path in case.data and path in case.named:
            store.load(path=str(path), base_iri=path.as_uri(), to_graph=ox.NamedNode(path.as_uri()))
    try:
        answer = store.query(case.text)
    except SyntaxError as error:
        raise Refused from error
    except (RuntimeError, OSError) as error:
        raise Unsupported from error
    if isinstance(answer, ox.QueryTriples):
        return answer.serialize(format=ox.RdfFormat.N_TRIPLES) or b""
    return answer.serialize(format=cast(Any, ox.QueryResultsFormat.from_media_type(media_type))) or b""


def through(client: httpx.Client, url: str) -> Answer:
    """The endpoint, with the dataset of the test named by the protocol."""

    def ask(case: Case, media_type: str) -> bytes:
        params: list[tuple[str, str | int | float | bool | None]] = []
        if not case.names_dataset:
            params += [("default-graph-uri", path.as_uri()) for path in case.data]
            params += [("named-graph-uri", path.as_uri()) for path in case.named]
            params = params or [("default-graph-uri", EMPTY)]
        accept = {"Accept": f"{media_type}, application/n-triples"}
        response = client.post(f"{url}/sparql", params=params, content=case.text.encode(), headers=QUERY | accept)
        if response.status_code in (400, 503) and "cannot be evaluated" in response.json()["detail"]:
            raise Unsupported(response.text)
        if response.status_code == 400:
            raise Refused(response.text)
        response.raise_for_status()
        return response.content

    return ask


def passes(case: Case, answer: Answer) -> bool:
    """Whether an answer is the expected one."""
    suffix = "" if case.result is None else case.result.suffix
    media_type = {".csv": "text/csv", ".tsv": "text/tab-separated-values"}.get(
        suffix, "application/sparql-results+json"
    )
    try:
        found = answer(case, media_type)
    except Refused:
        return case.kind in NEGATIVE
    except Unsupported:
        return case.kind in POSITIVE
    except Exception:
        return False
    if case.result is None:
        return case.kind in POSITIVE
    with suppress(Exception):
        if suffix == ".csv":
            return Counter(_cells(found)) == Counter(_cells(case.result.read_bytes()))
        return _as_expected(found, media_type, case.result, "order by" in case.text.casefold())
    return False


def _as_expected(found: bytes, media_type: str, result: Path, is_ordered: bool) -> bool:
    format_ = ox.QueryResultsFormat.from_extension(result.suffix.removeprefix("."))
    if format_ is not None:
        expected = ox.parse_query_results(path=str(result), format=format_)
        actual = ox.parse_query_results(found, format=cast(Any, ox.QueryResultsFormat.from_media_type(media_type)))
        return _same_results(actual, expected, is_ordered)
    graph = Graph().parse(result, publicID=result.as_uri())
    sets = list(graph.subjects(RDF.type, RS.ResultSet))
    if not sets:
        return _canonical(_quads(found)) == _canonical(_quads(graph.serialize(format="nt", encoding="utf-8")))
    actual = ox.parse_query_results(found, format=ox.QueryResultsFormat.JSON)
    truth = graph.value(sets[0], RS.boolean)
    if truth is not None:
        return isinstance(actual, ox.QueryBoolean) and bool(actual) == (str(truth) == "true")
    rows = sorted(graph.objects(sets[0], RS.solution), key=lambda row: int(str(graph.value(row, RS["index"]) or 0)))
    told = [
        {
            str(graph.value(binding, RS.variable)): _told(value)
            for binding in graph.objects(row, RS.binding)
            if (value := graph.value(binding, RS.value)) is not None
        }
        for row in rows
    ]
    is_ordered = any(graph.value(row, RS["index"]) for row in rows)
    return not isinstance(actual, ox.QueryBoolean) and _same_rows(_rows(actual), told, is_ordered)


def _cells(written: bytes) -> list[tuple[str | float, ...]]:
    """The rows of CSV; numbers as numbers, blank nodes without their name."""

    def read(cell: str) -> str | float:
        try:
            return float(cell)
        except ValueError:
            return "_:" if cell.startswith("_:") else cell

    return [tuple(read(cell) for cell in row) for row in csv.reader(io.StringIO(written.decode("utf-8")))]


def _same_results(actual: Any, expected: Any, is_ordered: bool) -> bool:
    if isinstance(expected, ox.QueryBoolean):
        return isinstance(actual, ox.QueryBoolean) and bool(actual) == bool(expected)
    names = [{variable.value for variable in results.variables} for results in (actual, expected)]
    return names[0] == names[1] and _same_rows(_rows(actual), _rows(expected), is_ordered)


def _rows(results: Any) -> list[dict[str, Any]]:
    return [{v.value: row[v] for v in results.variables if row[v] is not None} for row in results]


def _told(node: Any) -> Any:
    line = f"<x:s> <x:p> {node.n3()} .\n"
    return next(iter(ox.parse(line.encode(), format=ox.RdfFormat.N_TRIPLES))).object


def _same_rows(actual: list[dict[str, Any]], expected: list[dict[str, Any]], is_ordered: bool) -> bool:
    keys = [[tuple(sorted((n, _key(t)) for n, t in row.items())) for row in rows] for rows in (actual, expected)]
    if is_ordered and keys[0] != keys[1]:
        return False
    return Counter(keys[0]) == Counter(keys[1]) and _canonical(_as_quads(actual)) == _canonical(_as_quads(expected))


def _key(term: Any) -> str:
    return "_" if isinstance(term, ox.BlankNode) else str(_stored(term))


def _stored(term: Any) -> Any:
    """A term as the store holds it: numbers in their canonical form."""
    store = ox.Store()
    store.add(ox.Quad(ox.NamedNode("x:s"), ox.NamedNode("x:p"), term))
    return next(iter(store)).object


def _as_quads(rows: Iterable[dict[str, Any]]) -> Iterator[Any]:
    for row in rows:
        if any(isinstance(term, ox.BlankNode) for term in row.values()):
            subject = ox.BlankNode()
            for name, term in row.items():
                yield ox.Quad(subject, ox.NamedNode(f"x:{name}"), _stored(term))


def _quads(ntriples: bytes) -> Iterator[Any]:
    for quad in ox.parse(ntriples, format=ox.RdfFormat.N_TRIPLES):
        yield ox.Quad(quad.subject, quad.predicate, _stored(quad.object))


def _canonical(quads: Iterable[Any]) -> set[Any]:
    dataset = ox.Dataset(quads)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.UNSTABLE)
    return set(dataset)


def protocol(folder: Path) -> list[tuple[str, bool]]:
    """The tests of the protocol that concern queries: the name of each, and whether the endpoint passes it."""
    path = folder.resolve() / "sparql11" / "protocol" / "manifest.ttl"
    graph = Graph().parse(path, format="turtle", publicID=path.as_uri())
    entries = Collection(graph, cast(Node, graph.value(URIRef(path.as_uri()), MF.entries)))
    tests = [t for t in entries if re.match(r"query_|bad_query|bad_multiple_queries", str(t).rpartition("#")[2])]
    data = {
        (str(graph.value(held, RDFS.label)), _path(graph.value(held, UT.graph)))
        for test in tests
        for held in graph.objects(test, UT.graphData)
    }
    with serving_files(sorted(data)) as url, httpx.Client(timeout=60) as client:
        return [(str(test).rpartition("#")[2], _passes_protocol(graph, test, client, url)) for test in tests]


def _passes_protocol(graph: Graph, test: Node, client: httpx.Client, url: str) -> bool:
    requests = cast(Node, graph.value(graph.value(test, MF.action), HT.requests))
    return all(_passes_request(graph, request, client, url) for request in Collection(graph, requests))


def _passes_request(graph: Graph, request: Node, client: httpx.Client, url: str) -> bool:
    headers = {}
    listed = graph.value(request, HT.headers)
    for header in Collection(graph, listed) if listed is not None else ():
        headers[str(graph.value(header, HT.fieldName))] = str(graph.value(header, HT.fieldValue))
    body, content = graph.value(request, HT.body), None
    if body is not None:
        content = str(graph.value(body, CNT.chars)).encode(str(graph.value(body, CNT.characterEncoding) or "utf-8"))
    target = str(graph.value(request, HT.absolutePath)).replace("/sparql/", "/sparql", 1)
    response = client.request(str(graph.value(request, HT.methodName)), url + target, content=content, headers=headers)
    told = graph.value(request, HT.resp)
    classes = {str(status).rpartition("StatusCode")[2] for status in graph.objects(told, MF.expectedStatus)}
    if not any(re.fullmatch(allowed.replace("x", r"\d"), str(response.status_code)) for allowed in classes):
        return False
    truth = graph.value(told, MF.expectedBoolean)
    return truth is None or response.json()["boolean"] == (str(truth) == "true")


def main() -> int:
    """Run the suites and print the numbers; exit with 1 when the endpoint fails what passes in process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder with sparql10 and sparql11")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth test (default: all)")
    options = parser.parse_args()

    def report(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    outcomes = run(read_cases(options.folder)[:: options.every], report)
    groups = sorted({outcome.case.group for outcome in outcomes})
    print("| tests | count | pyoxigraph in process | through the endpoint |\n|---|---|---|---|")
    for group in groups:
        of = [outcome for outcome in outcomes if outcome.case.group == group]
        print(f"| {group} | {len(of)} | {sum(o.in_process for o in of)} | {sum(o.by_endpoint for o in of)} |")
    requests = protocol(options.folder)
    print(f"| sparql11 protocol, queries | {len(requests)} | | {sum(passed for _, passed in requests)} |")
    for name, passed in requests:
        if not passed:
            print(f"protocol: {name}")
    for outcome in outcomes:
        if outcome.in_process and not outcome.by_endpoint:
            print(f"only in process{', refused' if is_refused(outcome.case) else ''}: {outcome.case.name}")
    lost = lost_by_endpoint(outcomes)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
