"""The graphs of a build on an external SPARQL server, behind the interface of the embedded store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rdflib import DCTERMS
from rdflib.term import Node

from kg.bound_text import bound
from kg.errors import StoreMismatch
from kg.namespaces import DATASET, GRAPH, PUBLICATION, ROOT_IRI
from kg.query_text import CheckedText, check, tokens
from kg.sparql_client import SparqlClient
from kg.store import Form, KnowledgeStore, QueryLimits, Result, ResultFormat, received_result

_JSON = "application/sparql-results+json, application/json;q=0.9"
_TRIPLES = "application/n-triples, text/turtle;q=0.9"
_FORMATS = {
    "application/sparql-results+json": ResultFormat.JSON,
    "application/json": ResultFormat.JSON,
    "application/n-triples": ResultFormat.N_TRIPLES,
    "text/turtle": ResultFormat.TURTLE,
}
_MEND = "Publish the build with `nextline publish`, or serve the build that the server holds."
_IDENTIFIER = f"SELECT ?found WHERE {{ GRAPH <{GRAPH.meta}> {{ <{DATASET}> <{DCTERMS.identifier}> ?found }} }}"
_IN_FORCE = f"SELECT ?found WHERE {{ GRAPH <{GRAPH.publication}> {{ <{ROOT_IRI}> <{PUBLICATION.inForce}> ?found }} }}"
_COUNTS = "SELECT ?graph (COUNT(*) AS ?triples) WHERE { GRAPH ?graph { ?s ?p ?o } } GROUP BY ?graph"


class RemoteStore:
    """Some graphs of an external server, read-only; queries may run in several threads at once.

    The dataset of each query is said in its request: without one of its own, the union of the graphs is its default
    graph. Other graphs of the server are as if they were not there.
    """

    def __init__(self, client: SparqlClient, graphs: Sequence[str]) -> None:
        self._client = client
        self._graphs = tuple(sorted(graphs))

    @property
    def graphs(self) -> tuple[str, ...]:
        """The IRIs of the graphs, sorted."""
        return self._graphs

    def query(
        self,
        text: str,
        *,
        bindings: Mapping[str, Node] | None = None,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        limits: QueryLimits | None = None,
        checked: CheckedText | None = None,
        base: str | None = None,
    ) -> Result:
        """The result of a SPARQL 1.1 query, whole; arguments and errors are those of `KnowledgeStore.query`.

        Raises StoreUnreachable and StoreRefused besides, and QueryFailure when `limits.seconds` pass.
        """
        limits = limits or QueryLimits()
        checked = checked or check(text, limits.text)
        nowhere = KnowledgeStore.load({})
        # A text that does not parse goes no further.
        form = nowhere.query(text, bindings=bindings, limits=limits, checked=checked, base=base).form
        if default_graphs or named_graphs:
            default, named = tuple(default_graphs), tuple(named_graphs)
        elif checked.has_dataset:
            default, named = _dataset(text)
        else:
            default = named = self._graphs
        default, named = self._known(default), self._known(named)
        if not default and not named:
            return nowhere.query(text, bindings=bindings, limits=limits, checked=checked, base=base)
        received = self._client.query(
            (f"BASE <{base}> " if base else "") + bound(text, bindings or {}),
            accept=_TRIPLES if form is Form.GRAPH else _JSON,
            default_graphs=default,
            named_graphs=named,
            result_bytes=limits.result_bytes,
            seconds=limits.seconds,
        )
        return received_result(received.body, _FORMATS[received.media_type], limits)

    def require(self, content_hash: str, folder: str, triples: Mapping[str, int]) -> None:
        """Raises StoreMismatch unless the server holds the build: its content hash, and each graph in its size.

        `folder` names the build; the server has that name when it was published, and not when files were loaded by hand.
        """
        place = self._client.access.query_url
        held = {str(row["found"]) for row in self.query(_IDENTIFIER).rows()}
        if held != {f"sha256:{content_hash}"}:
            what = f"{', '.join(sorted(held))}" if held else "no build"
            raise StoreMismatch(place, f"the server holds {what}, and not sha256:{content_hash}.", _MEND)
        published = RemoteStore(self._client, (GRAPH.publication,)).query(_IN_FORCE).rows()
        names = {str(row["found"]) for row in published}
        if names and names != {folder}:
            raise StoreMismatch(place, f"the server holds build {', '.join(sorted(names))}, not {folder}.", _MEND)
        counted = {str(row["graph"]): int(str(row["triples"])) for row in self.query(_COUNTS).rows()}
        for graph, expected in triples.items():
            if counted.get(graph, 0) != expected:
                raise StoreMismatch(
                    place, f"<{graph}> has {counted.get(graph, 0)} triples there, and not {expected}.", _MEND
                )

    def _known(self, graphs: Sequence[str]) -> tuple[str, ...]:
        return tuple(graph for graph in dict.fromkeys(graphs) if graph in self._graphs)


def _dataset(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The graphs that a query names by FROM and by FROM NAMED, prefixed names written out.

    >>> _dataset("PREFIX x: <http://x/> SELECT * FROM x:a FROM NAMED <http://x/b> { ?s ?p ?o }")
    (('http://x/a',), ('http://x/b',))
    """
    found: dict[str, list[str]] = {"FROM": [], "NAMED": []}
    prefixes: dict[str, str] = {}
    before = two_before = ""
    for token in tokens(text):
        if token.kind == "iri":
            iri = token.text[1:-1]
            if two_before == "PREFIX":
                prefixes[before.removesuffix(":")] = iri
        elif token.kind == "name":
            prefix, _, local = token.text.partition(":")
            iri = prefixes.get(prefix, "") + local
        else:
            iri = ""
        if iri and before in found and (before == "FROM" or two_before == "FROM"):
            found[before].append(iri)
        two_before, before = before, token.text
    return tuple(found["FROM"]), tuple(found["NAMED"])
