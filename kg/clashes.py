"""What clashes when the reasoner finds a contradiction, told by label and module."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from rdflib import OWL, RDF, Graph, URIRef

from kg.errors import InconsistentOntology, UnsatisfiableClass
from kg.labels import label_of
from kg.namespaces import local_name
from kg.reasoner import reason
from kg.sources import Sources
from kg.statements import conjuncts
from kg.taxonomy import Taxonomy


def unsatisfiable_error(sources: Sources, classes: list[URIRef]) -> UnsatisfiableClass:
    """The error for classes that can have no member, with the pair of superclasses that exclude each other if told."""
    graph = sources.graph
    taxonomy = Taxonomy.of(graph)
    roots = [c for c in classes if not (taxonomy.above(c) - {c}) & set(classes)] or classes
    parts = [f"{_name(graph, c)}{_clash(graph, taxonomy, c)}" for c in roots[:5]]
    more = f" and {len(classes) - len(parts)} more below them or beside" if len(classes) > len(parts) else ""
    return UnsatisfiableClass(
        _place(sources, roots[0]),
        f"no individual can belong to {'; '.join(parts)}{more}.",
        "Undo the axiom that excludes it.",
    )


def consistency_error(sources: Sources, deadline_seconds: float) -> InconsistentOntology:
    """The error for an ontology that contradicts itself, with the individuals that cannot be."""
    graph = sources.graph
    taxonomy = Taxonomy.of(graph)
    for iri in sorted({URIRef(str(i)) for i in graph.subjects(RDF.type, OWL.NamedIndividual)}):
        types = {URIRef(str(t)) for t in graph.objects(iri, RDF.type) if t in taxonomy.classes}
        clash = _disjoint_pair(graph, {a for t in types for a in taxonomy.above(t)})
        if clash:
            return InconsistentOntology(
                _place(sources, iri),
                f"{_name(graph, iri)} belongs to classes that exclude each other: {clash}.",
                "Remove one of the types.",
            )
    module = _first_guilty_module(sources, deadline_seconds)
    return InconsistentOntology(
        module or str(sources.folder),
        "the axioms contradict each other.",
        "Undo the last edit there; Protégé's explanation names the axioms.",
    )


def _first_guilty_module(sources: Sources, deadline_seconds: float) -> str | None:
    """The first module, in import order, with which the ontology becomes inconsistent."""
    seen = Graph()
    waiting = list(sources.modules)
    loaded: set[URIRef] = set()
    while waiting:
        ready = next((m for m in waiting if set(m.imports) <= loaded), waiting[0])
        waiting.remove(ready)
        loaded.add(ready.iri)
        seen += ready.graph
        if not reason(seen, deadline_seconds=deadline_seconds).consistent:
            return str(ready.path)
    return None


def _clash(graph: Graph, taxonomy: Taxonomy, term: URIRef) -> str:
    above = set(taxonomy.above(term))
    pair = _disjoint_pair(graph, above)
    if pair:
        return f" (it would be both {pair})"
    ranges = [f"{_name(graph, c)}" for c in conjuncts(graph, term) if isinstance(c, URIRef)]
    named = sorted(_name(graph, c) for c in above - {term})
    return f" (defined by {', '.join(ranges or named[:4])})" if ranges or named else ""


def _disjoint_pair(graph: Graph, classes: Iterable[URIRef]) -> str:
    present = sorted(classes)
    for one, other in combinations(present, 2):
        if (one, OWL.disjointWith, other) in graph or (other, OWL.disjointWith, one) in graph:
            return f"{_name(graph, one)} and {_name(graph, other)}"
    for axiom in graph.subjects(RDF.type, OWL.AllDisjointClasses):
        for head in graph.objects(axiom, OWL.members):
            members = [c for c in graph.items(head) if c in present]
            if len(members) > 1:
                return " and ".join(_name(graph, URIRef(str(c))) for c in members[:2])
    return ""


def _name(graph: Graph, term: URIRef) -> str:
    return f"'{label_of(graph, term) or local_name(term)}' ({local_name(term)})"


def _place(sources: Sources, term: URIRef) -> str:
    module = sources.module_of(term)
    return str(module.path) if module else str(sources.folder)
