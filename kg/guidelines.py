"""The guidelines that the ontology holds, and the classes by which each decides."""

from __future__ import annotations

from dataclasses import dataclass

from rdflib import RDF, Graph, URIRef

from kg.errors import UnsupportedAxiom
from kg.labels import label_of
from kg.namespaces import NXL

_ROLES = (
    NXL.scopePatientClass,
    NXL.indicatedOptionClass,
    NXL.recommendedAgainstOptionClass,
    NXL.exhaustedOptionClass,
    NXL.inUseOptionClass,
    NXL.eligibleOptionClass,
)


@dataclass(frozen=True, slots=True)
class Guideline:
    """A guideline, its request code, its disclaimer, and the classes of patients and options that it defines."""

    iri: URIRef
    code: str
    label: str
    disclaimer: str
    scope: URIRef
    indicated: URIRef
    recommended_against: URIRef
    exhausted: URIRef
    in_use: URIRef
    eligible: URIRef
    steps: tuple[URIRef, ...]


def read_guidelines(graph: Graph) -> dict[str, Guideline]:
    """Every guideline by its request code. Raises UnsupportedAxiom when one lacks a code or a class."""
    guidelines = {}
    for iri in sorted(URIRef(str(s)) for s in graph.subjects(RDF.type, NXL.Guideline)):
        code = graph.value(iri, NXL.code)
        roles = [graph.value(iri, role) for role in _ROLES]
        if code is None or any(r is None for r in roles):
            absent = [
                str(p).rsplit("/", 1)[-1] for p, r in zip((NXL.code, *_ROLES), (code, *roles), strict=True) if r is None
            ]
            raise UnsupportedAxiom(
                str(iri),
                f"the guideline lacks {', '.join(absent)}.",
                "Add the annotation, as the guideline of the seed has it.",
            )
        scope, indicated, against, exhausted, in_use, eligible = (URIRef(str(r)) for r in roles)
        guidelines[str(code)] = Guideline(
            iri=iri,
            code=str(code),
            label=label_of(graph, iri) or str(code),
            disclaimer=str(graph.value(iri, NXL.disclaimer) or ""),
            scope=scope,
            indicated=indicated,
            recommended_against=against,
            exhausted=exhausted,
            in_use=in_use,
            eligible=eligible,
            steps=tuple(sorted(URIRef(str(s)) for s in graph.objects(iri, NXL.stepClass))),
        )
    return guidelines
