"""A picture of a term among its neighbours: boxes and lines laid out on a plane, for a page to draw."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rdflib import URIRef

from kg.term_index import PROPERTY, TermIndex

_WIDTH, _HEIGHT = 176, 44
_GAP, _ROW_GAP, _COLUMN_GAP = 12, 46, 92
_ACROSS, _DOWN = 4, 5
_LINE_CHARACTERS, _LINES = 25, 2


@dataclass(frozen=True, slots=True)
class Box:
    """A term as a box; `x` and `y` are its upper left corner, `lines` its label, cut to fit. `iri` is None for "more"."""

    iri: URIRef | None
    label: str
    lines: tuple[str, ...]
    x: int
    y: int
    width: int = _WIDTH
    height: int = _HEIGHT
    is_centre: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """A line between two boxes; it is dashed where the reasoner found the relation, and may have a name."""

    x1: int
    y1: int
    x2: int
    y2: int
    is_inferred: bool = False
    arrow: bool = True


@dataclass(frozen=True, slots=True)
class Caption:
    """A word beside a group of boxes."""

    text: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Picture:
    """All parts of a picture with its size; sizes are in the units of the drawing."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    captions: tuple[Caption, ...]


_Neighbours = Sequence[tuple[URIRef, bool]]


def picture_of(index: TermIndex, term: URIRef) -> Picture | None:
    """The term with what is directly above and below it, what its definition names, and what names it.

    None for a term without neighbours.
    """
    above = [(kin.iri, kin.stated) for kin in index.broader(term)]
    below = [(kin.iri, kin.stated) for kin in index.narrower(term)]
    parents = {iri for iri, _ in above}
    named = [
        (iri, True)
        for iri in sorted(index.named_in(term) - parents, key=index.label)
        if index.terms.get(iri, PROPERTY) is not PROPERTY
    ]
    direct = [m.statement.iri for m in index.mentions(term) if m.via == term]
    users = [(iri, True) for iri in (*index.users(term), *direct)]
    if not (above or below or named or users):
        return None
    return _Layout(index, term).arranged(above, below, named, users)


class _Layout:
    def __init__(self, index: TermIndex, term: URIRef) -> None:
        self._index = index
        self._term = term
        self._boxes: list[Box] = []
        self._edges: list[Edge] = []
        self._captions: list[Caption] = []

    def arranged(self, above: _Neighbours, below: _Neighbours, named: _Neighbours, users: _Neighbours) -> Picture:
        width = max(3 * _WIDTH + 2 * _COLUMN_GAP, _ACROSS * _WIDTH + (_ACROSS - 1) * _GAP)
        sides = max(min(len(named), _DOWN + 1), min(len(users), _DOWN + 1), 1)
        block = sides * _HEIGHT + (sides - 1) * _GAP
        top = 24 + _HEIGHT + _ROW_GAP if above else 24
        centre = Box(
            self._term,
            self._index.label(self._term),
            _lines(self._index.label(self._term)),
            (width - _WIDTH) // 2,
            top + (block - _HEIGHT) // 2,
            is_centre=True,
        )
        self._row(above, 24, width, centre, is_above=True)
        bottom = top + block + _ROW_GAP
        self._row(below, bottom, width, centre, is_above=False)
        self._column(named, 0, top, block, centre)
        self._column(users, width - _WIDTH, top, block, centre)
        self._boxes.append(centre)
        captions = (
            ("broader", above, width // 2, 14),
            ("is defined by", named, _WIDTH // 2, top - 10),
            ("is named by", users, width - _WIDTH // 2, top - 10),
            ("narrower", below, width // 2, bottom + _HEIGHT + 18),
        )
        self._captions = [Caption(text, x, y) for text, neighbours, x, y in captions if neighbours]
        height = bottom + _HEIGHT + 26 if below else top + block + 8
        return Picture(width, height, tuple(self._boxes), tuple(self._edges), tuple(self._captions))

    def _row(self, neighbours: _Neighbours, y: int, width: int, centre: Box, *, is_above: bool) -> None:
        shown = _cut(neighbours, _ACROSS)
        start = (width - len(shown) * _WIDTH - (len(shown) - 1) * _GAP) // 2
        for number, (iri, stated) in enumerate(shown):
            box = self._box(iri, len(neighbours) - _ACROSS + 1, start + number * (_WIDTH + _GAP), y)
            x, middle = box.x + _WIDTH // 2, centre.x + _WIDTH // 2
            if is_above:
                self._edges.append(Edge(middle, centre.y, x, y + _HEIGHT, not stated))
            else:
                self._edges.append(Edge(x, y, middle, centre.y + _HEIGHT, not stated))

    def _column(self, neighbours: _Neighbours, x: int, top: int, block: int, centre: Box) -> None:
        shown = _cut(neighbours, _DOWN + 1)
        start = top + (block - len(shown) * _HEIGHT - (len(shown) - 1) * _GAP) // 2
        for number, (iri, _) in enumerate(shown):
            box = self._box(iri, len(neighbours) - _DOWN, x, start + number * (_HEIGHT + _GAP))
            y = box.y + _HEIGHT // 2
            middle = centre.y + _HEIGHT // 2
            if x < centre.x:
                self._edges.append(Edge(centre.x, middle, x + _WIDTH, y, arrow=False))
            else:
                self._edges.append(Edge(x, y, centre.x + _WIDTH, middle, arrow=False))

    def _box(self, iri: URIRef | None, others: int, x: int, y: int) -> Box:
        label = self._index.label(iri) if iri is not None else f"and {others} more"
        box = Box(iri, label, _lines(label), x, y)
        self._boxes.append(box)
        return box


def _cut(neighbours: _Neighbours, most: int) -> list[tuple[URIRef | None, bool]]:
    """The neighbours that there is room for; where some are left out, the last place is None."""
    if len(neighbours) <= most:
        return list(neighbours)
    return [*neighbours[: most - 1], (None, True)]


def _lines(label: str) -> tuple[str, ...]:
    """A label in lines of the width of a box, cut with an ellipsis.

    >>> _lines("patient with the first and the second line exhausted, in part")
    ('patient with the first', 'and the second line…')
    """
    return tuple(textwrap.wrap(label, _LINE_CHARACTERS, max_lines=_LINES, placeholder="…")) or (label,)
