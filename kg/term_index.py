"""Where each term of the ontology stands: its kind, its place in the hierarchy, and the statements that speak of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from rdflib import OWL, RDF, RDFS, BNode, Graph, URIRef
from rdflib.term import Node

from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.statements import Statement

_DEFINING = (OWL.equivalentClass, RDFS.subClassOf)
_PROPERTIES = (OWL.ObjectProperty, OWL.DatatypeProperty, OWL.AnnotationProperty)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of term that is listed by itself: its name in addresses, and in the singular and plural for readers."""

    name: str
    singular: str
    plural: str


STATEMENT = Kind("statements", "statement", "Statements")
PROPERTY = Kind("properties", "property", "Properties")
GUIDELINE = Kind("guidelines", "guideline", "Guidelines")
REFERENCE = Kind("references", "reference", "References")
EXAMPLE = Kind("examples", "example patient", "Example patients")
MODULE = Kind("modules", "module", "Modules of the ontology")
VALUE = Kind("values", "value", "Values, such as severities and lines")
OTHER = Kind("vocabulary", "class", "Other classes of the vocabulary")
# A class is of the first kind below whose top it stands; the order is that of the front page.
_TOPS = (
    (Kind("therapies", "therapy", "Therapies"), NXL.Therapy),
    (Kind("substances", "substance", "Substances and groups of them"), NXL.Substance),
    (Kind("procedures", "procedure or device", "Procedures and devices"), NXL.Intervention),
    (Kind("findings", "finding", "Findings"), NXL.Finding),
    (Kind("patients", "group of patients", "Groups of patients"), NXL.Patient),
    (Kind("courses", "sort of course or medication", "Sorts of courses and medications"), NXL.Medication),
    (Kind("options", "group of options", "Groups of options"), NXL.TherapyOption),
)
_INDIVIDUALS = ((GUIDELINE, (NXL.Guideline, NXL.SafetyGuideline)), (REFERENCE, (NXL.Reference,)))
KINDS = (GUIDELINE, STATEMENT, *(kind for kind, _ in _TOPS), REFERENCE, EXAMPLE, PROPERTY, VALUE, OTHER, MODULE)


@dataclass(frozen=True, slots=True)
class Kin:
    """A class directly above or below another, and whether it was stated there or inferred."""

    iri: URIRef
    stated: bool


@dataclass(frozen=True, slots=True)
class Mention:
    """A statement that speaks of a term, through `via`: the term itself, or the broader term that it names."""

    statement: Statement
    via: URIRef


class TermIndex:
    """Answers from the authored modules and the classified hierarchy; example patients are not in it."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._graph = knowledge.graph

    @cached_property
    def terms(self) -> dict[URIRef, Kind]:
        """Every term that the modules declare, with its kind."""
        declared = {s for s in self._graph.subjects(RDF.type, None) if isinstance(s, URIRef)}
        return {term: self.kind(term) for term in sorted(declared) if self._is_ours(term)}

    def kind(self, term: URIRef) -> Kind:
        """The kind of a term."""
        types = set(self._graph.objects(term, RDF.type))
        if term in self._knowledge.statements:
            return STATEMENT
        if types & set(_PROPERTIES):
            return PROPERTY
        if OWL.Ontology in types:
            return EXAMPLE if "/examples/" in term else MODULE
        if OWL.Class in types:
            return next((kind for kind, top in _TOPS if self._knowledge.stated.is_a(term, top)), OTHER)
        if (term, NXL.statement, None) in self._graph:
            return STATEMENT
        named = next((kind for kind, classes in _INDIVIDUALS if types & set(classes)), None)
        return named or (EXAMPLE if "/examples/" in term else VALUE)

    def label(self, term: URIRef) -> str:
        """The English label of a term, else its local name."""
        return self._knowledge.label(term)

    def broader(self, term: URIRef) -> tuple[Kin, ...]:
        """The classes directly above: those that were stated, then those that only the reasoner found."""
        if (term, RDF.type, OWL.Class) not in self._graph:
            parents = self._objects(term, RDFS.subPropertyOf) | self._types(term)
            return tuple(Kin(p, True) for p in sorted(parents))
        return self._kin(self._knowledge.stated.parents(term), self._knowledge.taxonomy.parents(term))

    def narrower(self, term: URIRef) -> tuple[Kin, ...]:
        """The classes or properties directly below, in the same order."""
        properties = {s for s in self._graph.subjects(RDFS.subPropertyOf, term) if isinstance(s, URIRef)}
        if properties:
            return tuple(Kin(p, True) for p in sorted(properties))
        return self._kin(self._knowledge.stated.children(term), self._knowledge.taxonomy.children(term))

    def ancestors(self, term: URIRef) -> tuple[URIRef, ...]:
        """One way up from the term as stated, the topmost class first, without the term."""
        path: list[URIRef] = []
        seen = {term}
        parents = self._parents(term)
        while parents and parents[0] not in seen:
            path.append(parents[0])
            seen.add(parents[0])
            parents = self._parents(parents[0])
        return tuple(reversed(path))

    def mentions(self, term: URIRef) -> tuple[Mention, ...]:
        """The statements that speak of a term in their definition, by itself or as something broader.

        For a therapy, those whose intervention side holds for every option of it. The most direct come first.
        """
        taxonomy = self._knowledge.taxonomy
        therapy = next((t for t in self._knowledge.therapies if t.iri == term), None)
        found: dict[URIRef, URIRef] = {}
        if therapy is not None:
            for statement in self._knowledge.statements.values():
                if statement.groups and statement.concerns(therapy, taxonomy):
                    found[statement.iri] = statement.groups[0]
        is_statement = term in self._knowledge.statements  # what holds of broader options is no word about it
        for group in sorted(
            {term} if is_statement else taxonomy.above(term), key=lambda g: (g != term, -len(taxonomy.above(g)), g)
        ):
            for user in self._users.get(group, ()):
                if user in self._knowledge.statements and (therapy is None or group == term):
                    found.setdefault(user, group)
        ordered = sorted(found, key=lambda iri: (found[iri] != term, self._knowledge.display_order(iri)))
        return tuple(Mention(self._knowledge.statements[iri], found[iri]) for iri in ordered if iri != term)

    def users(self, term: URIRef) -> tuple[URIRef, ...]:
        """The classes other than statements whose definition names the term."""
        return tuple(sorted(self._users.get(term, frozenset()) - self._knowledge.statements.keys() - {term}))

    def named_in(self, term: URIRef) -> frozenset[URIRef]:
        """The terms that the definition of a class names."""
        return self._named.get(term, frozenset())

    def _parents(self, term: URIRef) -> list[URIRef]:
        """The superclasses that were stated as such, else those that the definition names."""
        return sorted(self._objects(term, RDFS.subClassOf) or self._knowledge.stated.parents(term))

    def _kin(self, stated: frozenset[URIRef], all_: frozenset[URIRef]) -> tuple[Kin, ...]:
        inferred = all_ - stated
        return (*(Kin(c, True) for c in sorted(stated)), *(Kin(c, False) for c in sorted(inferred)))

    def _types(self, term: URIRef) -> set[URIRef]:
        return {t for t in self._objects(term, RDF.type) if self._is_ours(t)}

    def _objects(self, term: URIRef, property_: URIRef) -> set[URIRef]:
        return {o for o in self._graph.objects(term, property_) if isinstance(o, URIRef)}

    def _is_ours(self, term: URIRef) -> bool:
        return str(term).startswith(str(NXL)) or (term, RDF.type, OWL.Ontology) in self._graph

    @cached_property
    def _named(self) -> dict[URIRef, frozenset[URIRef]]:
        found: dict[URIRef, frozenset[URIRef]] = {}
        for property_ in _DEFINING:
            for defined, node in self._graph.subject_objects(property_):
                if isinstance(defined, URIRef) and isinstance(node, BNode):
                    found[defined] = found.get(defined, frozenset()) | _names(self._graph, node)
        return found

    @cached_property
    def _users(self) -> dict[URIRef, frozenset[URIRef]]:
        found: dict[URIRef, set[URIRef]] = defaultdict(set)
        for user, named in self._named.items():
            for term in named:
                found[term].add(user)
        return {term: frozenset(users) for term, users in found.items()}


def _names(graph: Graph, start: Node) -> frozenset[URIRef]:
    """The terms that an expression names."""
    found: set[URIRef] = set()
    waiting, seen = [start], {start}
    while waiting:
        for property_, value in graph.predicate_objects(waiting.pop()):
            if property_ == RDF.type or value in seen:
                continue
            seen.add(value)
            if isinstance(value, BNode):
                waiting.append(value)
            elif isinstance(value, URIRef) and value != RDF.nil:
                found.add(value)
    return frozenset(found)
