"""Looking terms up by any of their names: labels, synonyms and lay labels in all languages, codes, local names."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest

from rapidfuzz import fuzz, process
from rdflib import OWL, RDF, RDFS, SKOS, Literal, URIRef

from kg.knowledge import Knowledge
from kg.namespaces import NXL, SH, local_name

# The first that a term stands below is its type; what stands below none is a term of the vocabulary.
_TYPES = (
    ("finding", NXL.Finding),
    ("substance", NXL.Substance),
    ("procedure", NXL.Procedure),
    ("therapy", NXL.Therapy),
    ("statement", NXL.TherapyOption),
    ("guideline", NXL.Guideline),
    ("reference", NXL.Reference),
)
OTHER = "other"
TYPES = (*(name for name, _ in _TYPES), OTHER)
_NAMES = ((RDFS.label, "label"), (SKOS.altLabel, "synonym"), (NXL.layLabel, "lay-label"))
_MATCHES = (SKOS.exactMatch, SKOS.closeMatch, SKOS.broadMatch, SKOS.narrowMatch, SKOS.relatedMatch)
_SORTS = ("label", "synonym", "lay-label", "code", "local-name")
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o"})
_EXACT, _PREFIX, _WORD, _WORDS, _INSIDE, _SIMILAR = range(6)
_SHORTEST_INSIDE = 3
_SHORTEST_SIMILAR = 4
_SIMILAR_FROM = 75
_REMEMBERED = 2048
_END = "\U0010ffff"


def fold(text: str) -> str:
    """A text without case, accents and punctuation, which is what names are compared by.

    >>> fold("Névralgie post-zostérienne")
    'nevralgie post zosterienne'
    """
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LIGATURES))
    return " ".join(re.sub(r"[^\w]+", " ", "".join(c for c in plain if not unicodedata.combining(c))).split())


@dataclass(frozen=True, slots=True)
class Hit:
    """A term that was found, the name by which it was found with its language (None for codes and local names)."""

    term: URIRef
    type: str
    name: str
    language: str | None
    sort: str


class SearchIndex:
    """All names of the terms of an ontology, in memory; searching does not touch the graph."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._hits = sorted(
            _names(knowledge), key=lambda h: (TYPES.index(h.type), _SORTS.index(h.sort), len(h.name), h.name, h.term)
        )
        self.languages = tuple(sorted({hit.language for hit in self._hits if hit.language}))
        self._folded = [fold(hit.name) for hit in self._hits]
        suffixes = [
            (name[start:], start, position)
            for position, name in enumerate(self._folded)
            for start in (0, *(match.end() for match in re.finditer(" ", name)))
        ]
        suffixes.sort()
        self._suffixes = [suffix for suffix, _, _ in suffixes]
        self._places = [(start, position) for _, start, position in suffixes]
        self._labels = {(h.term, h.language): h.name for h in reversed(self._hits) if h.sort == "label"}
        self._kinds = {term: knowledge.kind_code(term) for term in knowledge.statements}
        self._remembered = lru_cache(_REMEMBERED)(self._find)

    def find(
        self, text: str, language: str | None = None, type_: str | None = None, limit: int = 20
    ) -> tuple[Hit, ...]:
        """The terms with a name like `text`, the best first, each once; `limit` at most.

        A name that equals it comes first, then one that begins with it, one with a word that does, one with all its words
        in any order, and one that holds it inside; when there are none, names that are spelt alike.
        """
        return self._remembered(text, language, type_, limit)

    def _find(self, text: str, language: str | None, type_: str | None, limit: int) -> tuple[Hit, ...]:
        query = fold(text)
        if not query:
            return ()
        ranked: dict[int, int] = {}

        def wanted(hit: Hit) -> bool:
            return (language is None or hit.language in (language, None)) and (type_ is None or hit.type == type_)

        def add(rank: int, position: int) -> None:
            if wanted(self._hits[position]) and rank < ranked.get(position, _SIMILAR + 1):
                ranked[position] = rank

        for index in self._range(query):
            start, position = self._places[index]
            add(_WORD if start else _EXACT if self._suffixes[index] == query else _PREFIX, position)
        words = query.split()
        if len(words) > 1:
            found = [{self._places[index][1] for index in self._range(word)} for word in words]
            for position in set.intersection(*found):
                add(_WORDS, position)
        if len(ranked) < limit and len(query) >= _SHORTEST_INSIDE:
            for position, name in enumerate(self._folded):
                if query in name:
                    add(_INSIDE, position)
        if not ranked and len(query) >= _SHORTEST_SIMILAR:
            similar = process.extract(
                query, self._folded, scorer=fuzz.ratio, score_cutoff=_SIMILAR_FROM, limit=10 * limit
            )
            for order, (_, _, position) in enumerate(similar):
                if wanted(self._hits[position]):
                    ranked[position] = _SIMILAR + order
        return self._best(ranked, limit)

    def label(self, term: URIRef, language: str) -> str:
        """The label of a term in a language, else in English, else its local name."""
        return self._labels.get((term, language)) or self._labels.get((term, "en")) or local_name(term)

    def kind(self, term: URIRef) -> str | None:
        """The code of the kind of a statement; None for other terms."""
        return self._kinds.get(term)

    def _range(self, prefix: str) -> range:
        """The word beginnings that start with a prefix."""
        return range(bisect_left(self._suffixes, prefix), bisect_left(self._suffixes, prefix + _END))

    def _best(self, ranked: dict[int, int], limit: int) -> tuple[Hit, ...]:
        """One hit a term: positions are in the order in which equal matches are listed."""
        best: dict[URIRef, tuple[int, int]] = {}
        for position, rank in ranked.items():
            term = self._hits[position].term
            if term not in best or (rank, position) < best[term]:
                best[term] = (rank, position)
        return tuple(self._hits[position] for _, position in nsmallest(limit, best.values()))


def _names(knowledge: Knowledge) -> Iterable[Hit]:
    """Every name of every term that the ontology names."""
    graph = knowledge.graph
    systems = {
        str(graph.value(declaration, SH.namespace)): str(graph.value(declaration, SH.prefix))
        for declaration in graph.objects(None, SH.declare)
    }
    for term in sorted({s for s in graph.subjects(RDFS.label, None) if isinstance(s, URIRef)}):
        type_ = _type(knowledge, term)
        for property_, sort in _NAMES:
            for value in graph.objects(term, property_):
                if isinstance(value, Literal):
                    yield Hit(term, type_, str(value), value.language, sort)
        for match in _MATCHES:
            for foreign in graph.objects(term, match):
                for namespace, system in systems.items():
                    if str(foreign).startswith(namespace):
                        code = str(foreign).removeprefix(namespace)
                        yield Hit(term, type_, f"{system}:{code}", None, "code")
                        yield Hit(term, type_, code, None, "code")
        yield Hit(term, type_, local_name(term), None, "local-name")


def _type(knowledge: Knowledge, term: URIRef) -> str:
    graph = knowledge.graph
    above = knowledge.stated.above(term)
    for class_ in graph.objects(term, RDF.type):
        if isinstance(class_, URIRef) and class_ != OWL.Class:
            above |= knowledge.stated.above(class_)
    return next((name for name, top in _TYPES if top in above), OTHER)
