"""The concise bounded description of a term: what is said of it, and of the blank nodes that this leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rdflib import DCTERMS, OWL, RDF, RDFS, SKOS, XSD, Graph, Literal, URIRef
from rdflib.term import Node

from kg.namespaces import NXL, SH, local_name
from kg.store import ResultFormat, write_graph

PREFIXES = {
    "IAO": "http://purl.obolibrary.org/obo/IAO_",
    "dcterms": str(DCTERMS),
    "nxl": str(NXL),
    "owl": str(OWL),
    "rdf": str(RDF),
    "rdfs": str(RDFS),
    "sh": str(SH),
    "skos": str(SKOS),
    "xsd": str(XSD),
}


@dataclass(frozen=True)
class Description:
    """A term with its triples, as a graph, and the English labels of the properties and values in them."""

    iri: URIRef
    graph: Graph
    labels: Mapping[Node, str]

    @classmethod
    def of(cls, iri: URIRef, rows: Sequence[Mapping[str, Node]]) -> Description:
        """The description that the rows of the query `term-description` make."""
        graph = Graph()
        labels: dict[Node, str] = {}
        for row in rows:
            graph.add((row["s"], row["p"], row["o"]))
            labels |= {row[part]: str(row[f"{part}Label"]) for part in ("p", "o") if f"{part}Label" in row}
        return cls(iri, graph, labels)

    def serialise(self, format_: ResultFormat) -> bytes:
        """The triples in a format for graphs; the same triples always give the same bytes."""
        return write_graph(self.graph.serialize(format="nt", encoding="utf-8"), format_, PREFIXES)

    def values(self, property_: URIRef) -> tuple[Node, ...]:
        """The values of a property of the term, in a fixed order."""
        return tuple(sorted(self.graph.objects(self.iri, property_), key=lambda node: node.n3()))

    def texts(self, property_: URIRef) -> tuple[str, ...]:
        """The values of a property of the term as texts."""
        return tuple(str(value) for value in self.values(property_))

    def text(self, property_: URIRef) -> str:
        """The first of `texts`, or nothing."""
        return next(iter(self.texts(property_)), "")

    def name_of(self, node: Node) -> str:
        """The English label of a property or value, else its local name, or the text of a literal."""
        if isinstance(node, Literal):
            return str(node)
        return self.labels.get(node) or local_name(str(node))

    @cached_property
    def translations(self) -> tuple[tuple[str, str], ...]:
        """The labels with their language, English first."""
        labels = [o for o in self.graph.objects(self.iri, RDFS.label) if isinstance(o, Literal)]
        return tuple(sorted(((o.language or "", str(o)) for o in labels), key=lambda pair: (pair[0] != "en", pair)))

    @property
    def label(self) -> str:
        """The English label, else any other, else the title, else the local name."""
        named = next((text for _, text in self.translations), "")
        return named or self.text(DCTERMS.title) or local_name(str(self.iri))
