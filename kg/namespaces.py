"""Namespaces and the identifiers of the core vocabulary that the code itself relies on."""

from __future__ import annotations

from rdflib import Namespace, URIRef

ROOT_IRI = URIRef("https://w3id.org/nextline")
CLOSURE_IRI = URIRef("https://w3id.org/nextline/closure")
NXL = Namespace("https://w3id.org/nextline/")
IAO_DEFINITION = URIRef("http://purl.obolibrary.org/obo/IAO_0000115")
SH = Namespace("http://www.w3.org/ns/shacl#")
GRAPH = Namespace("https://w3id.org/nextline/graph/")
PUBLICATION = Namespace("https://w3id.org/nextline/publication#")
FLAT = Namespace("https://w3id.org/nextline/flat/")
META = Namespace("https://w3id.org/nextline/meta/")
DATASET = URIRef("https://w3id.org/nextline/dataset")
ENDPOINT = URIRef("https://w3id.org/nextline/sparql")
PREFIXES = {
    "nxl": str(NXL),
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "obo": "http://purl.obolibrary.org/obo/",
    "owl": "http://www.w3.org/2002/07/owl#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "schema": "https://schema.org/",
    "sh": str(SH),
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "void": "http://rdfs.org/ns/void#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def local_name(iri: str) -> str:
    """The readable last part of an IRI.

    >>> local_name("https://w3id.org/nextline/Morphine")
    'Morphine'
    """
    return str(iri).rsplit("/", 1)[-1].rsplit("#", 1)[-1]


def expand(name: str) -> URIRef:
    """The IRI of an ontology term given by local name, CURIE or IRI.

    >>> str(expand("nxl:Morphine")) == str(expand("Morphine")) == "https://w3id.org/nextline/Morphine"
    True
    """
    if name.startswith(("http://", "https://")):
        return URIRef(name)
    return NXL[name.removeprefix("nxl:")]
