"""Class expressions in a syntax like Manchester's, with labels in place of names and each name a link."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rdflib import OWL, RDF, XSD, BNode, Graph, Literal, URIRef
from rdflib.term import Node

from kg.description import Description

_QUANTIFIERS = ((OWL.someValuesFrom, "some"), (OWL.allValuesFrom, "only"), (OWL.hasValue, "value"))
_CARDINALITIES = (
    (OWL.minCardinality, "min"),
    (OWL.maxCardinality, "max"),
    (OWL.cardinality, "exactly"),
    (OWL.minQualifiedCardinality, "min"),
    (OWL.maxQualifiedCardinality, "max"),
    (OWL.qualifiedCardinality, "exactly"),
)
_FACETS = {
    XSD.minInclusive: "\N{GREATER-THAN OR EQUAL TO}",
    XSD.maxInclusive: "\N{LESS-THAN OR EQUAL TO}",
    XSD.minExclusive: ">",
    XSD.maxExclusive: "<",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A part of an expression: a name with its IRI, or without one a keyword, bracket or value."""

    text: str
    iri: URIRef | None = None


Line = tuple[Word, ...]


def written(description: Description, node: Node) -> tuple[Line, ...]:
    """The expression at a node of the description, one line for each part of its outermost conjunction or disjunction."""
    writer = _Writer(description)
    for list_property, keyword in ((OWL.intersectionOf, "and"), (OWL.unionOf, "or")):
        members = writer.members(node, list_property)
        if members:
            first, *others = members
            return (tuple(writer.inner(first)), *((Word(keyword), *writer.inner(member)) for member in others))
    return (tuple(writer.words(node)),)


class _Writer:
    def __init__(self, description: Description) -> None:
        self._description = description
        self._graph: Graph = description.graph

    def words(self, node: Node) -> Iterator[Word]:
        if isinstance(node, URIRef):
            yield Word(self._description.name_of(node), node)
            return
        if isinstance(node, Literal):
            yield Word(str(node))
            return
        for list_property, keyword in ((OWL.intersectionOf, "and"), (OWL.unionOf, "or")):
            members = self.members(node, list_property)
            if members:
                yield from self._joined(members, keyword)
                return
        yield from self._other(node)

    def inner(self, node: Node) -> Iterator[Word]:
        """The words of a part, in brackets unless it is a single name."""
        words = tuple(self.words(node))
        yield from words if len(words) == 1 or isinstance(node, URIRef | Literal) else (Word("("), *words, Word(")"))

    def members(self, node: Node, list_property: URIRef) -> Sequence[Node]:
        """The members of a list that a blank node has, names before expressions; nothing without the list."""
        head = self._graph.value(node, list_property) if isinstance(node, BNode) else None
        found = [] if head is None else list(self._graph.items(head))
        return sorted(found, key=lambda n: (isinstance(n, BNode), self._plain(n)))

    def _plain(self, node: Node) -> str:
        return " ".join(word.text for word in self.words(node))

    def _joined(self, members: Iterable[Node], keyword: str) -> Iterator[Word]:
        for number, member in enumerate(members):
            if number:
                yield Word(keyword)
            yield from self.inner(member)

    def _other(self, node: Node) -> Iterator[Word]:
        graph = self._graph
        denied = graph.value(node, OWL.complementOf)
        property_ = graph.value(node, OWL.onProperty)
        facets = graph.value(node, OWL.withRestrictions)
        chosen = graph.value(node, OWL.oneOf)
        if denied is not None:
            yield Word("not")
            yield from self.inner(denied)
        elif property_ is not None:
            yield from self._restriction(node, property_)
        elif facets is not None:
            yield from self._facets(graph.items(facets))
        elif chosen is not None:
            yield Word("{")
            for number, member in enumerate(graph.items(chosen)):
                yield from (Word(","), *self.words(member)) if number else self.words(member)
            yield Word("}")
        else:
            inverse = graph.value(node, OWL.inverseOf)
            yield Word("inverse" if inverse is not None else "something")
            if inverse is not None:
                yield from self.words(inverse)

    def _restriction(self, node: Node, property_: Node) -> Iterator[Word]:
        graph = self._graph
        yield from self.words(property_)
        for quantifier, keyword in _QUANTIFIERS:
            filler = graph.value(node, quantifier)
            if filler is not None:
                yield Word(keyword)
                yield from self.inner(filler)
        for cardinality, keyword in _CARDINALITIES:
            number = graph.value(node, cardinality)
            if number is not None:
                yield from (Word(keyword), Word(str(number)))
                filler = graph.value(node, OWL.onClass) or graph.value(node, OWL.onDataRange)
                if filler is not None:
                    yield from self.inner(filler)

    def _facets(self, facets: Iterable[Node]) -> Iterator[Word]:
        bounds = (
            (_FACETS.get(URIRef(str(facet)), str(facet).rsplit("#", 1)[-1]), str(bound))
            for item in facets
            for facet, bound in self._graph.predicate_objects(item)
            if facet != RDF.type
        )
        for number, (sign, bound) in enumerate(sorted(bounds, reverse=True)):
            if number:
                yield Word("and")
            yield Word(f"{sign} {bound}")
