"""An ontology with less said in it: without some guidelines and statements, as if nobody had written them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rdflib import BNode, Graph, URIRef
from rdflib.term import Node

from kg.guidelines import Guideline, read_guidelines
from kg.namespaces import NXL
from kg.taxonomy import Taxonomy


def narrowed(graph: Graph, guidelines: Collection[URIRef], left_out: Iterable[URIRef] = ()) -> Graph:
    """A copy of the authored modules with no other guidelines than these, and without the statements `left_out`.

    Guidelines do not rest on each other, so that what is left says what it said before. Groups of interventions and
    findings that a guideline names stay: records may speak of them.
    """
    dropped: set[Node] = set(left_out)
    taxonomy = Taxonomy.of(graph)
    kept = taxonomy.below(NXL.Intervention) | taxonomy.below(NXL.Finding)
    for guideline in read_guidelines(graph).values():
        if guideline.iri not in guidelines:
            dropped |= {guideline.iri, *_roles(guideline), *graph.subjects(NXL.guideline, guideline.iri)} - kept
    gone: set[Node] = set()
    waiting = list(dropped)
    while waiting:
        subject = waiting.pop()
        gone.add(subject)
        waiting += (o for o in graph.objects(subject) if isinstance(o, BNode) and o not in gone)
    copy = Graph()
    for subject, predicate, value in graph:
        if subject not in gone and value not in dropped:
            copy.add((subject, predicate, value))
    return copy


def _roles(guideline: Guideline) -> tuple[URIRef, ...]:
    return (
        guideline.scope,
        guideline.indicated,
        guideline.recommended_against,
        guideline.exhausted,
        guideline.in_use,
        guideline.eligible,
    )
