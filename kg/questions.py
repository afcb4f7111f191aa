"""What to ask next: the facts that open options wait for, by how many options an answer would settle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from rdflib import URIRef

from kg.catalogue import Row
from kg.evaluated import Evaluated
from kg.explanation import Missing
from kg.guidelines import Guideline
from kg.index import positions
from kg.therapies import Therapy


class Waiting:
    """What the conditional options of one record wait for."""

    def __init__(self, record: Evaluated) -> None:
        self._record = record
        self._labels: dict[URIRef, int] = {}
        self._guidelines: list[tuple[URIRef, frozenset[Missing]]] = []

    def for_labels(self, therapy: Therapy, undecided: int) -> None:
        """Note that it is open which of some contraindications forbid a therapy."""
        self._labels[therapy.iri] = undecided

    def for_guideline(self, guideline: Guideline, therapy: Therapy, undecided: Mapping[str, Iterable[Missing]]) -> None:
        """Note what leaves a therapy open by a guideline, beside what labels leave open."""
        self._guidelines.append((therapy.iri, frozenset(gap for gaps in undecided.values() for gap in gaps)))

    def questions(self) -> list[Row]:
        """A row a fact: how to ask for it, and how many therapies get a settled verdict by either reply.

        A reply that a contraindicating finding is there closes every therapy that it forbids. Otherwise a reply counts
        where nothing else is missing.
        """
        record = self._record
        asked: dict[Missing, set[URIRef]] = defaultdict(set)
        if_present: dict[Missing, set[URIRef]] = defaultdict(set)
        if_absent: dict[Missing, set[URIRef]] = defaultdict(set)
        by_position: dict[int, list[URIRef]] = defaultdict(list)
        by_therapy: dict[URIRef, set[Missing]] = defaultdict(set)
        for therapy, undecided in self._labels.items():
            for position in positions(undecided):
                by_position[position].append(therapy)
        for position, therapies in by_position.items():
            gaps = record.gaps_at(position)
            enough = record.catalogue.enough[position]
            for gap in gaps:
                asked[gap].update(therapies)
                if len(gaps) == 1 or gap.term in enough:  # the reply yes is enough for the contraindication
                    if_present[gap].update(therapies)
            for therapy in therapies:
                by_therapy[therapy] |= gaps
        for therapy, gaps in self._guidelines:
            for gap in gaps:
                asked[gap].add(therapy)
            everything = gaps | by_therapy.get(therapy, set())
            if len(everything) == 1:
                (only,) = everything
                if_absent[only].add(therapy)
                if only in gaps:
                    if_present[only].add(therapy)
        rows = []
        for gap, who in asked.items():
            course = record.courses.get(gap.course)
            settles = {"ifPresent": len(if_present.get(gap, ())), "ifAbsent": len(if_absent.get(gap, ()))}
            order = (-max(settles.values()), -len(who), record.order_of(gap))
            row = {"question": record.phrases.question(gap, course), **record.missing(gap)}
            rows.append((order, row | {"settles": settles, "options": len(who)}))
        rows.sort(key=lambda pair: pair[0])
        return [row for _, row in rows]
