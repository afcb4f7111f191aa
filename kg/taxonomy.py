"""The hierarchy of named classes, asserted and inferred."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from rdflib import OWL, RDF, RDFS, Graph, URIRef

Edge = tuple[URIRef, URIRef]


class Taxonomy:
    """Reflexive, transitive subsumption between named classes; equivalent classes subsume each other.

    >>> a, b, c = URIRef("x:a"), URIRef("x:b"), URIRef("x:c")
    >>> taxonomy = Taxonomy([(a, b), (b, c)], classes=[a, b, c])
    >>> taxonomy.is_a(a, c), taxonomy.is_a(c, a), taxonomy.leaves(c) == {a}
    (True, False, True)
    """

    def __init__(self, edges: Iterable[Edge], classes: Iterable[URIRef]) -> None:
        self.classes = frozenset(classes)
        self._parents: dict[URIRef, set[URIRef]] = defaultdict(set)
        self._children: dict[URIRef, set[URIRef]] = defaultdict(set)
        for child, parent in edges:
            if parent not in (child, OWL.Thing):
                self._parents[child].add(parent)
                self._children[parent].add(child)
        self._above: dict[URIRef, frozenset[URIRef]] = {}
        self._below: dict[URIRef, frozenset[URIRef]] = {}

    @classmethod
    def of(cls, graph: Graph) -> Taxonomy:
        """The hierarchy that the named subclass, equivalence and intersection axioms of `graph` state."""
        classes = {c for c in graph.subjects(RDF.type, OWL.Class) if isinstance(c, URIRef)}
        edges: set[Edge] = set()
        for child, parent in graph.subject_objects(RDFS.subClassOf):
            if isinstance(child, URIRef) and isinstance(parent, URIRef):
                edges.add((child, parent))
        for child, same in graph.subject_objects(OWL.equivalentClass):
            if isinstance(child, URIRef) and isinstance(same, URIRef):
                edges |= {(child, same), (same, child)}
            elif isinstance(child, URIRef):
                for operands in graph.objects(same, OWL.intersectionOf):
                    edges |= {(child, c) for c in graph.items(operands) if isinstance(c, URIRef)}
        return cls(edges, classes)

    def extended(self, edges: Iterable[Edge]) -> Taxonomy:
        """The hierarchy with further subsumptions."""
        stated = ((child, parent) for child, parents in self._parents.items() for parent in parents)
        return Taxonomy([*stated, *edges], self.classes)

    @staticmethod
    def edges_of(triples: Iterable[tuple[str, str, str]]) -> list[Edge]:
        """The subsumptions that inferred triples tell; equivalence counts in both directions."""
        edges: list[Edge] = []
        for subject, predicate, target in triples:
            if predicate in (str(RDFS.subClassOf), str(OWL.equivalentClass)):
                edges.append((URIRef(subject), URIRef(target)))
            if predicate == str(OWL.equivalentClass):
                edges.append((URIRef(target), URIRef(subject)))
        return edges

    def parents(self, term: URIRef) -> frozenset[URIRef]:
        """The direct superclasses as stated."""
        return frozenset(self._parents.get(term, ()))

    def children(self, term: URIRef) -> frozenset[URIRef]:
        """The direct subclasses as stated."""
        return frozenset(self._children.get(term, ()))

    def above(self, term: URIRef) -> frozenset[URIRef]:
        """The class itself and everything that subsumes it."""
        if term not in self._above:
            self._above[term] = _reach(term, self._parents)
        return self._above[term]

    def below(self, term: URIRef) -> frozenset[URIRef]:
        """The class itself and everything that it subsumes."""
        if term not in self._below:
            self._below[term] = _reach(term, self._children)
        return self._below[term]

    def is_a(self, term: URIRef, ancestor: URIRef) -> bool:
        """Whether `ancestor` subsumes `term`."""
        return ancestor in self.above(term)

    def strictly_below(self, term: URIRef) -> frozenset[URIRef]:
        """What `term` subsumes and is not equivalent to."""
        return self.below(term) - self.above(term)

    def is_leaf(self, term: URIRef) -> bool:
        """Whether nothing stands strictly below the class."""
        return not self.strictly_below(term)

    def leaves(self, term: URIRef) -> frozenset[URIRef]:
        """The leaves at or below the class."""
        return frozenset(c for c in self.below(term) if self.is_leaf(c))

    def most_specific(self, terms: Iterable[URIRef]) -> frozenset[URIRef]:
        """Those of `terms` that stand strictly above no other of them."""
        chosen = set(terms)
        return frozenset(t for t in chosen if not (self.strictly_below(t) & chosen))

    @cached_property
    def roots(self) -> frozenset[URIRef]:
        """The classes without a superclass."""
        return frozenset(c for c in self.classes if not self._parents.get(c))


def _reach(start: URIRef, steps: dict[URIRef, set[URIRef]]) -> frozenset[URIRef]:
    seen = {start}
    waiting = [start]
    while waiting:
        for nearby in steps.get(waiting.pop(), ()):
            if nearby not in seen:
                seen.add(nearby)
                waiting.append(nearby)
    return frozenset(seen)
