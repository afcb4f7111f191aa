"""A term is called by its English label, in whatever order the labels come."""

from __future__ import annotations

from itertools import permutations

import pytest
from rdflib import RDFS, Graph, Literal, URIRef

from kg.labels import label_of

TERM = URIRef("https://w3id.org/nextline/Morphine")
LABELS = (Literal("morphine", lang="en"), Literal("morfina", lang="es"), Literal("chlorhydrate de morphine", lang="fr"))


@pytest.mark.parametrize("labels", list(permutations(LABELS)))
def test_the_english_label_is_preferred(labels: tuple[Literal, ...]) -> None:
    graph = Graph()
    for label in labels:
        graph.add((TERM, RDFS.label, label))
    assert label_of(graph, TERM) == "morphine"
    assert label_of(graph, TERM, "es") == "morfina"
    assert label_of(graph, TERM, "de") == "morphine"


def test_another_label_is_better_than_none() -> None:
    graph = Graph()
    assert label_of(graph, TERM) is None
    graph.add((TERM, RDFS.label, LABELS[2]))
    graph.add((TERM, RDFS.label, LABELS[1]))
    assert label_of(graph, TERM) == "morfina"
    graph.add((TERM, RDFS.label, Literal("Morphinum")))
    assert label_of(graph, TERM) == "Morphinum"
