"""The names of terms in one language: terms may have labels in several."""

from __future__ import annotations

from rdflib import RDFS, Graph, Literal, URIRef
from rdflib.term import Node


def label_of(graph: Graph, term: Node, language: str = "en", property_: URIRef = RDFS.label) -> str | None:
    """The label of a term in a language; else in English, else without a language, else in any; None without any.

    Where there are several, the first by their text, so that the same graph always gives the same label.
    """
    labels = sorted(
        (o.language != language, o.language != "en", o.language is not None, o.language or "", str(o))
        for o in graph.objects(term, property_)
        if isinstance(o, Literal)
    )
    return labels[0][-1] if labels else None
