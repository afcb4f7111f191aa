"""The ontology as the engines use it: hierarchies, therapies, statements and guidelines, read once from the graphs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from rdflib import OWL, RDF, RDFS, Graph, Literal, URIRef

from kg.namespaces import NXL
from kg.taxonomy import Taxonomy
from kg.therapies import Therapy, WholeClassTherapy, read_therapies, read_whole_class_therapies


class Knowledge:
    """A read-only view of an ontology: `graph` holds the authored modules, `taxonomy` the classified hierarchy."""

    def __init__(self, graph: Graph, taxonomy: Taxonomy | None = None) -> None:
        self.graph = graph
        self.taxonomy = taxonomy or Taxonomy.of(graph)

    @property
    def interventions(self) -> Taxonomy:
        """The hierarchy in which substances and procedures stand."""
        return self.taxonomy

    @cached_property
    def therapies(self) -> tuple[Therapy, ...]:
        """The therapies considered as options, ordered by IRI."""
        return read_therapies(self.graph, self.taxonomy)

    @cached_property
    def whole_class_therapies(self) -> tuple[WholeClassTherapy, ...]:
        """The helpers that stand for whole groups."""
        return read_whole_class_therapies(self.graph, self.taxonomy)

    @cached_property
    def findings(self) -> frozenset[URIRef]:
        """All finding classes."""
        return self.taxonomy.below(NXL.Finding) - {NXL.Finding}

    @cached_property
    def quantities(self) -> tuple[URIRef, ...]:
        """The data properties that hold a measurement: those of a patient that have a request code."""
        found = (p for p in self.graph.subjects(RDF.type, OWL.DatatypeProperty) if (p, NXL.code, None) in self.graph)
        return tuple(sorted(URIRef(str(p)) for p in found))

    @cached_property
    def never_assumed_absent(self) -> frozenset[URIRef]:
        """The findings about which silence never means absence, with everything below them."""
        flagged = self.graph.subjects(NXL.neverAssumedAbsent, Literal(True))
        return frozenset(c for f in flagged for c in self.taxonomy.below(URIRef(str(f))))

    def deniable_findings(self, present: Iterable[URIRef], kept: frozenset[URIRef]) -> frozenset[URIRef]:
        """The most general findings that are neither reported nor unspecified, and that deny nothing in `kept`.

        A finding above a reported one is implied by it; one below a reported one is unspecified.
        """
        reported = tuple(present)
        implied = frozenset(c for f in reported for c in self.taxonomy.above(f))
        unspecified = frozenset(c for f in reported for c in self.taxonomy.below(f))
        free = {
            f
            for f in self.findings - implied - unspecified
            if not self.taxonomy.below(f) & (kept | implied | unspecified)
        }
        return frozenset(f for f in free if not (self.taxonomy.above(f) - {f}) & free)

    def label(self, term: URIRef) -> str:
        """The English label of a term, or its local name."""
        for value in self.graph.objects(term, RDFS.label):
            return str(value)
        return str(term).rsplit("/", 1)[-1]
