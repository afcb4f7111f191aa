"""The service description of the endpoint: SPARQL 1.1 Service Description, with the limits that queries run into."""

from __future__ import annotations

from http import HTTPStatus

from rdflib import RDF, RDFS, XSD, BNode, Graph, Literal, Namespace, URIRef
from rdflib.namespace import DCTERMS, VOID
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.endpoint import Endpoint
from api.negotiation import choose
from api.problems import RequestProblem
from kg.store import Form, ResultFormat, formats_of, write_graph

SD = Namespace("http://www.w3.org/ns/sparql-service-description#")
FORMATS = Namespace("http://www.w3.org/ns/formats/")
LIMITS = Namespace("https://w3id.org/nextline/service#")
EDITOR = "sparql/editor"  # relative, so that it also leads there behind a proxy
_HTML = "text/html"
_FORMAT_NAMES = {
    ResultFormat.JSON: "SPARQL_Results_JSON",
    ResultFormat.XML: "SPARQL_Results_XML",
    ResultFormat.CSV: "SPARQL_Results_CSV",
    ResultFormat.TSV: "SPARQL_Results_TSV",
    ResultFormat.TURTLE: "Turtle",
    ResultFormat.N_TRIPLES: "N-Triples",
    ResultFormat.RDF_XML: "RDF_XML",
    ResultFormat.JSON_LD: "JSON-LD",
    ResultFormat.N_QUADS: "N-Quads",
    ResultFormat.TRIG: "TriG",
}
_PREFIXES = {"sd": str(SD), "void": str(VOID), "dcterms": str(DCTERMS), "limit": str(LIMITS), "formats": str(FORMATS)}


def describe(request: Request, endpoint: Endpoint) -> Response:
    """The description in the format that the client prefers, or for a browser the way to the editor.

    Raises RequestProblem (406).
    """
    types = {format_.value: format_ for format_ in formats_of(Form.GRAPH)}
    with_editor = [_HTML] if hasattr(request.app.state, "services") else []
    media_type = choose(request.headers.get("accept"), [*types, *with_editor])
    if media_type is None:
        raise RequestProblem(
            HTTPStatus.NOT_ACCEPTABLE,
            "not-acceptable",
            "Accept",
            "the description of the service cannot be had in an accepted format.",
            f"Send a query, or accept one of {', '.join(types)}.",
        )
    headers = {"Vary": "Accept"}
    if media_type == _HTML:
        return RedirectResponse(EDITOR, HTTPStatus.SEE_OTHER, headers)
    graph = _description(URIRef(str(request.url.replace(query=""))), endpoint)
    body = write_graph(graph.serialize(format="nt", encoding="utf-8"), types[media_type], _PREFIXES)
    return Response(body, media_type=media_type, headers=headers)


def limits_of(endpoint: Endpoint) -> dict[str, tuple[float, str]]:
    """The limits of the endpoint: by the local name of their property, the value and what it means."""
    chosen = endpoint.settings
    return {
        "seconds": (chosen.query_seconds, "seconds from the arrival of a query to its answer"),
        "resultRows": (chosen.query_result_rows, "rows or triples of a result"),
        "resultBytes": (chosen.query_result_bytes, "bytes of a result before compression"),
        "memoryBytes": (chosen.query_memory_bytes, "bytes of memory that a query takes beside the store"),
        "queriesAtOnce": (chosen.query_workers, "queries that run at once"),
        "queriesWaiting": (chosen.query_waiting, "queries that wait for their turn"),
        "clientSecondsPerMinute": (chosen.query_client_seconds, "seconds of query time that a client gets in a minute"),
        "bodyBytes": (chosen.max_body_bytes, "bytes of a request body"),
        "textBytes": (chosen.query_text_bytes, "bytes of a query"),
        "nesting": (chosen.query_nesting, "brackets of a query within each other"),
        "operators": (chosen.query_operators, "operators and groups of a query"),
        "tokens": (chosen.query_tokens, "tokens of a query, without the data of VALUES"),
    }


def _description(url: URIRef, endpoint: Endpoint) -> Graph:
    graph = Graph()
    service = URIRef(url)
    graph.add((service, RDF.type, SD.Service))
    graph.add((service, SD.endpoint, url))
    graph.add((service, SD.supportedLanguage, SD.SPARQL11Query))
    for format_, name in _FORMAT_NAMES.items():
        graph.add((service, SD.resultFormat, FORMATS[name]))
        graph.add((FORMATS[name], DCTERMS.format, Literal(format_.value)))
    if endpoint.is_union:
        graph.add((service, SD.feature, SD.UnionDefaultGraph))
    dataset, default = BNode(), BNode()
    graph.add((service, SD.defaultDataset, dataset))
    graph.add((dataset, RDF.type, SD.Dataset))
    graph.add((dataset, SD.defaultGraph, default))
    graph.add((default, RDF.type, SD.Graph))
    for iri in endpoint.pool.graphs:
        named, content = BNode(), BNode()
        graph.add((dataset, SD.namedGraph, named))
        graph.add((named, RDF.type, SD.NamedGraph))
        graph.add((named, SD.name, URIRef(iri)))
        if iri in endpoint.sizes:
            graph.add((named, SD.graph, content))
            graph.add((content, RDF.type, SD.Graph))
            graph.add((content, VOID.triples, Literal(endpoint.sizes[iri])))
    for name, (value, meaning) in limits_of(endpoint).items():
        exact = Literal(value) if isinstance(value, int) else Literal(f"{value:g}", datatype=XSD.decimal)
        graph.add((service, LIMITS[name], exact))
        graph.add((LIMITS[name], RDFS.comment, Literal(f"The limit of {meaning}; 0 is none.", lang="en")))
    return graph
