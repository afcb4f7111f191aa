"""The therapies that can be options, and what each uses, read from the ontology."""

from __future__ import annotations

from dataclasses import dataclass

from rdflib import OWL, RDFS, Graph, URIRef

from kg.namespaces import NXL
from kg.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Therapy:
    """A leaf therapy class: the interventions that it uses, and whether it is a combination."""

    iri: URIRef
    uses: tuple[URIRef, ...]
    is_combination: bool


@dataclass(frozen=True, slots=True)
class WholeClassTherapy:
    """A helper that stands for all `members` at once, which all use something of every group in `groups`."""

    iri: URIRef
    groups: tuple[URIRef, ...]
    members: tuple[Therapy, ...]


def used_by(graph: Graph, therapy: URIRef) -> tuple[URIRef, ...]:
    """The fillers of the `uses some …` restrictions stated on a therapy class."""
    fillers = set()
    for superclass in graph.objects(therapy, RDFS.subClassOf):
        if (superclass, OWL.onProperty, NXL.uses) in graph:
            fillers |= {f for f in graph.objects(superclass, OWL.someValuesFrom) if isinstance(f, URIRef)}
    return tuple(sorted(fillers))


def read_therapies(graph: Graph, taxonomy: Taxonomy) -> tuple[Therapy, ...]:
    """Every leaf therapy that uses something, ordered by IRI: these are the options considered for a patient."""
    therapies = []
    for kind in (NXL.Monotherapy, NXL.CombinationTherapy):
        for leaf in taxonomy.leaves(kind) - {kind}:
            uses = used_by(graph, leaf)
            if uses:
                therapies.append(Therapy(leaf, uses, kind == NXL.CombinationTherapy))
    return tuple(sorted(therapies, key=lambda t: t.iri))


def read_whole_class_therapies(graph: Graph, taxonomy: Taxonomy) -> tuple[WholeClassTherapy, ...]:
    """Every helper with its members: the therapies of the stated kind that use something of each of its groups."""
    therapies = read_therapies(graph, taxonomy)
    helpers = []
    for iri in sorted(taxonomy.below(NXL.WholeClassTherapy) - {NXL.WholeClassTherapy}):
        groups = used_by(graph, iri)
        is_combination = graph.value(iri, NXL.membersAre) == NXL.CombinationTherapy
        members = tuple(
            t
            for t in therapies
            if t.is_combination == is_combination and all(any(taxonomy.is_a(u, g) for u in t.uses) for g in groups)
        )
        helpers.append(WholeClassTherapy(iri, groups, members))
    return tuple(helpers)
