"""The statements of guidelines and labels, read from their defined classes and annotations."""

from __future__ import annotations

from dataclasses import dataclass

from rdflib import DCTERMS, OWL, Graph, URIRef
from rdflib.term import Node

from kg.labels import label_of
from kg.namespaces import NXL
from kg.taxonomy import Taxonomy
from kg.therapies import Therapy

_LINKS = frozenset({NXL.repeats, NXL.sharesSubstance})


@dataclass(frozen=True, slots=True)
class Text:
    """A statement text for each audience."""

    clinician: str
    patient: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A defined class of options (or of patients or courses) with what is said about it.

    `groups` are the interventions that an option must use, `therapy_kind` is Monotherapy, CombinationTherapy or None,
    `patient_key` is equal for statements with the same condition on the patient, `links` are the properties through
    which earlier courses matter.
    """

    iri: URIRef
    label: str
    kind: URIRef | None
    text: Text
    source: tuple[URIRef, ...]
    locator: str
    severity: URIRef | None
    jurisdictions: tuple[URIRef, ...]
    review_status: URIRef | None
    strength: URIRef | None
    guideline: URIRef | None
    line: URIRef | None
    rationale: str
    editorial_notes: tuple[str, ...]
    groups: tuple[URIRef, ...]
    therapy_kind: URIRef | None
    patient_key: str
    links: frozenset[URIRef]

    def concerns(self, therapy: Therapy, taxonomy: Taxonomy) -> bool:
        """Whether the intervention side of the statement holds for every option of `therapy`."""
        if self.therapy_kind is not None and not taxonomy.is_a(therapy.iri, self.therapy_kind):
            return False
        return all(any(taxonomy.is_a(used, group) for used in therapy.uses) for group in self.groups)


def conjuncts(graph: Graph, defined: URIRef) -> tuple[Node, ...]:
    """The members of the intersections that define a class."""
    found: list[Node] = []
    for definition in graph.objects(defined, OWL.equivalentClass):
        for head in graph.objects(definition, OWL.intersectionOf):
            found.extend(graph.items(head))
    return tuple(found)


def branches(graph: Graph, taxonomy: Taxonomy, superclass: URIRef) -> tuple[URIRef, ...]:
    """The subclasses through which a primitive class holds, ordered by IRI.

    A subclass whose own definition starts from the class is no branch: it holds because the class does.
    """
    return tuple(c for c in sorted(taxonomy.children(superclass)) if superclass not in conjuncts(graph, c))


def patient_conditions(graph: Graph, defined: URIRef) -> tuple[Node, ...]:
    """What the definition of a class of options asks of the patient: the fillers of its `forPatient some …`."""
    fillers = (
        graph.value(conjunct, OWL.someValuesFrom)
        for conjunct in conjuncts(graph, defined)
        if graph.value(conjunct, OWL.onProperty) == NXL.forPatient
    )
    return tuple(filler for filler in fillers if filler is not None)


def expression_key(graph: Graph, node: Node) -> str:
    """A text that is equal for class expressions with the same structure; members of and/or are sorted.

    >>> g = Graph().parse(data='''@prefix owl: <http://www.w3.org/2002/07/owl#> .
    ... <x:a> owl:equivalentClass [ owl:complementOf <x:b> ] .''', format="turtle")
    >>> expression_key(g, g.value(URIRef("x:a"), OWL.equivalentClass))
    'complementOf(<x:b>)'
    """
    if isinstance(node, URIRef) or not list(graph.predicate_objects(node)):
        return node.n3()
    parts = []
    for predicate, value in graph.predicate_objects(node):
        name = str(predicate).rsplit("#", 1)[-1]
        if name == "type":
            continue
        if predicate in (OWL.intersectionOf, OWL.unionOf, OWL.withRestrictions, OWL.oneOf):
            members = sorted(expression_key(graph, member) for member in graph.items(value))
            parts.append(f"{name}({', '.join(members)})")
        else:
            parts.append(f"{name}({expression_key(graph, value)})")
    return " ".join(sorted(parts))


def read_statements(graph: Graph, taxonomy: Taxonomy) -> dict[URIRef, Statement]:
    """Every class that carries a statement text, by IRI."""
    kinds = {URIRef(str(k)) for k in graph.subjects(NXL.kindCode, None)}
    statements = {}
    for subject in set(graph.subjects(NXL.statement, None)):
        iri = URIRef(str(subject))
        if iri in taxonomy.classes:
            statements[iri] = _read(graph, taxonomy, kinds, iri)
    return statements


def _read(graph: Graph, taxonomy: Taxonomy, kinds: set[URIRef], iri: URIRef) -> Statement:
    groups: set[URIRef] = set()
    therapy_kind: URIRef | None = None
    links: set[URIRef] = set()
    for conjunct in conjuncts(graph, iri):
        if conjunct in (NXL.Monotherapy, NXL.CombinationTherapy):
            therapy_kind = URIRef(str(conjunct))
        property_ = graph.value(conjunct, OWL.onProperty)
        filler = graph.value(conjunct, OWL.someValuesFrom)
        if property_ == NXL.uses and isinstance(filler, URIRef):
            groups.add(filler)
        elif property_ in _LINKS:
            links.add(URIRef(str(property_)))
    specific = sorted(taxonomy.most_specific(taxonomy.above(iri) & kinds))
    text = _text(graph, iri, NXL.statement)
    return Statement(
        iri=iri,
        label=label_of(graph, iri) or "",
        kind=specific[0] if specific else None,
        text=Text(text, _text(graph, iri, NXL.layStatement) or text),
        source=tuple(sorted(URIRef(str(s)) for s in graph.objects(iri, DCTERMS.source))),
        locator=_text(graph, iri, NXL.locator),
        severity=_iri(graph, iri, NXL.severity),
        jurisdictions=tuple(sorted(URIRef(str(j)) for j in graph.objects(iri, NXL.jurisdiction))),
        review_status=_iri(graph, iri, NXL.reviewStatus),
        strength=_iri(graph, iri, NXL.strength),
        guideline=_iri(graph, iri, NXL.guideline),
        line=_iri(graph, iri, NXL.line),
        rationale=_text(graph, iri, NXL.rationale),
        editorial_notes=tuple(sorted(str(n) for n in graph.objects(iri, NXL.editorialNote))),
        groups=tuple(sorted(groups)),
        therapy_kind=therapy_kind,
        patient_key=" & ".join(sorted(expression_key(graph, c) for c in patient_conditions(graph, iri))),
        links=frozenset(links),
    )


def _text(graph: Graph, subject: URIRef, predicate: URIRef) -> str:
    return min((str(o) for o in graph.objects(subject, predicate)), default="")


def _iri(graph: Graph, subject: URIRef, predicate: URIRef) -> URIRef | None:
    return min((URIRef(str(o)) for o in graph.objects(subject, predicate)), default=None)
