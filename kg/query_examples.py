"""The canned queries as data (SHACL-AF executables, as other endpoints publish theirs), so that editors list them."""

from __future__ import annotations

from collections.abc import Iterable

from rdflib import DCTERMS, RDF, RDFS, VOID, XSD, Graph, Literal, Namespace, URIRef

from kg.bound_text import bound
from kg.canned import CannedQuery, bind
from kg.namespaces import DATASET, ENDPOINT, GRAPH, NXL, SH

SCHEMA = Namespace("https://schema.org/")
_FORMS = {
    "SELECT": (SH.SPARQLSelectExecutable, SH.select),
    "ASK": (SH.SPARQLAskExecutable, SH.ask),
    "CONSTRUCT": (SH.SPARQLConstructExecutable, SH.construct),
}


def queries_graph(queries: Iterable[CannedQuery]) -> Graph:
    """Each query with its question and a text that runs as it stands: its parameters are bound to their examples."""
    graph = Graph()
    for query in sorted(queries, key=lambda query: query.name):
        iri = query_iri(query.name)
        kind, text = _FORMS[query.form]
        graph.add((iri, RDF.type, SH.SPARQLExecutable))
        graph.add((iri, RDF.type, kind))
        graph.add((iri, RDFS.label, Literal(query.name)))
        graph.add((iri, RDFS.comment, Literal(query.question, lang="en")))
        graph.add((iri, DCTERMS.description, Literal(query.summary, lang="en")))
        graph.add((iri, SH.prefixes, DATASET))
        graph.add((iri, text, Literal(example_text(query))))
        graph.add((iri, SCHEMA.target, ENDPOINT))
        graph.add((iri, SCHEMA.position, Literal(query.position)))
        graph += ((iri, SCHEMA.keywords, Literal(keyword)) for keyword in query.keywords)
    graph.add((DATASET, VOID.subset, GRAPH.queries))
    graph.add((GRAPH.queries, RDF.type, VOID.Dataset))
    graph.add((GRAPH.queries, DCTERMS.title, Literal("ready-made questions", lang="en")))
    graph.add((GRAPH.queries, VOID.triples, Literal(len(graph) + 1, datatype=XSD.integer)))
    return graph


def query_iri(name: str) -> URIRef:
    """The IRI of a canned query.

    >>> str(query_iri("guidelines"))
    'https://w3id.org/nextline/queries/guidelines'
    """
    return URIRef(f"{NXL}queries/{name}")


def example_text(query: CannedQuery) -> str:
    """The text of a query without its header, its parameters bound to their examples."""
    body = "\n".join(line for line in query.text.splitlines() if not line.startswith("#+")).strip() + "\n"
    return bound(body, bind(query, {parameter.name: parameter.example for parameter in query.parameters}))
