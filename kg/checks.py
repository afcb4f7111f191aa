"""Rules that the authored modules must keep, because the meaning of an answer rests on them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from rdflib import OWL, RDF, RDFS, XSD, Graph, URIRef
from rdflib.term import Node

from kg.errors import UnsupportedAxiom
from kg.labels import label_of
from kg.namespaces import NXL, local_name
from kg.sources import Sources
from kg.statements import conjuncts
from kg.taxonomy import Taxonomy

_LINKS = (NXL.repeats, NXL.sharesSubstance)
_KINDS = (NXL.Monotherapy, NXL.CombinationTherapy)


def check_statements(sources: Sources) -> None:
    """Raise UnsupportedAxiom for the first axiom that breaks a rule, naming its class, its module and the mend."""
    graph = sources.graph
    taxonomy = Taxonomy.of(graph)
    rules = (
        _everything_is_declared,
        _statement_shapes,
        _indications_name_their_kind,
        _helpers_only,
        _no_cycles,
        _decimal_facets,
    )
    for rule in rules:
        for term, problem, mend in rule(graph, taxonomy):
            module = sources.module_of(term)
            place = f"{module.path.name if module else 'ontology'}: {_label(graph, term)}"
            raise UnsupportedAxiom(place, problem, mend)


Finding = tuple[URIRef, str, str]


def _everything_is_declared(graph: Graph, _: Taxonomy) -> Iterator[Finding]:
    """A mistyped name would be a new term that nothing is, so that what it forbids would be allowed."""
    declared = {s for s in graph.subjects(RDF.type, None) if isinstance(s, URIRef)}
    headers = set(graph.subjects(RDF.type, OWL.Ontology))
    for subject, predicate, target in sorted(graph):
        if subject in headers:
            continue
        for term in (subject, predicate, target):
            if isinstance(term, URIRef) and term.startswith(NXL) and term not in declared:
                near = difflib.get_close_matches(local_name(term), map(local_name, declared), n=1)
                owner = subject if isinstance(subject, URIRef) and subject in declared else _owner(graph, subject)
                yield (
                    owner,
                    f"the term '{local_name(term)}' is used and declared in no module.",
                    f"Did you mean {near[0]}? Else declare it." if near else "Declare it, or mend its name.",
                )


def _statement_shapes(graph: Graph, taxonomy: Taxonomy) -> Iterator[Finding]:
    """A contraindication or indication says what is used and for whom, in parts that can be told apart."""
    for top in (NXL.ContraindicatedOption, NXL.IndicatedOption):
        for term in sorted(taxonomy.strictly_below(top) - _eligible(graph)):
            if (term, OWL.equivalentClass, None) not in graph:
                if top == NXL.ContraindicatedOption and taxonomy.is_leaf(term):
                    yield (
                        term,
                        "the contraindication has no definition.",
                        "Give it an Equivalent To axiom, as the others have.",
                    )
                continue
            parts = conjuncts(graph, term)
            if not parts:
                yield (
                    term,
                    "the definition is no conjunction.",
                    "Define it as TherapyOption and (uses some …) and (forPatient some …).",
                )
            for part in parts:
                if part == NXL.TherapyOption or part in _KINDS:
                    continue
                property_ = graph.value(part, OWL.onProperty)
                filler = graph.value(part, OWL.someValuesFrom)
                simple_use = property_ == NXL.uses and isinstance(filler, URIRef)
                if not (simple_use or (property_ == NXL.forPatient and filler is not None) or property_ in _LINKS):
                    yield (
                        term,
                        "the definition has a part that is neither 'uses some' a named class nor 'forPatient some'.",
                        "Name a group for what is used, and put everything about the patient inside forPatient some (…).",
                    )


def _indications_name_their_kind(graph: Graph, taxonomy: Taxonomy) -> Iterator[Finding]:
    """Without it, the first line of one drug would make every combination with it a first-line option."""
    for term in sorted(taxonomy.strictly_below(NXL.IndicatedOption) - _eligible(graph)):
        if (term, OWL.equivalentClass, None) in graph and not set(conjuncts(graph, term)) & set(_KINDS):
            yield term, "the indication names neither Monotherapy nor CombinationTherapy.", "Add the one that is meant."


def _helpers_only(graph: Graph, taxonomy: Taxonomy) -> Iterator[Finding]:
    """Only a whole-class therapy may stand inside hasOption some (…): one member's fate is not the group's."""
    for restriction in graph.subjects(OWL.onProperty, NXL.hasOption):
        for filler in graph.objects(restriction, OWL.someValuesFrom):
            members = (
                [filler]
                if isinstance(filler, URIRef)
                else [m for h in graph.objects(filler, OWL.intersectionOf) for m in graph.items(h)]
            )
            if not any(isinstance(m, URIRef) and taxonomy.is_a(m, NXL.WholeClassTherapy) for m in members):
                yield (
                    _owner(graph, restriction),
                    "hasOption some (…) names no whole-class therapy.",
                    "Use a subclass of whole-class therapy that stands for the group.",
                )


def _no_cycles(graph: Graph, taxonomy: Taxonomy) -> Iterator[Finding]:
    """Contraindications, steps and bands must not depend on what is indicated, exhausted or eligible."""
    forbidden = {
        c for top in (NXL.IndicatedOption, NXL.ExhaustedOption, *_eligible(graph)) for c in taxonomy.below(top)
    }
    starts = taxonomy.below(NXL.ContraindicatedOption) | taxonomy.below(NXL.Patient)
    for term in sorted(starts):
        for definition in graph.objects(term, OWL.equivalentClass):
            used = _named_in(graph, definition) & forbidden
            if used:
                name = _label(graph, sorted(used)[0])
                yield (
                    term,
                    f"the definition depends on '{name}', which itself depends on it.",
                    "Refer to findings, courses or steps only.",
                )


def _decimal_facets(graph: Graph, _: Taxonomy) -> Iterator[Finding]:
    """A double silently fails a decimal bound, so that a forbidden drug would be left open."""
    for property_ in sorted(URIRef(str(p)) for p in graph.subjects(RDFS.domain, NXL.Patient)):
        if (property_, RDF.type, OWL.DatatypeProperty) in graph and (property_, RDFS.range, XSD.decimal) not in graph:
            yield (
                URIRef(str(property_)),
                "the range of the quantity is not xsd:decimal.",
                "Set the range to xsd:decimal.",
            )
    for facet in (XSD.minInclusive, XSD.minExclusive, XSD.maxInclusive, XSD.maxExclusive):
        for node, bound in graph.subject_objects(facet):
            if getattr(bound, "datatype", None) not in (XSD.decimal, XSD.integer):
                yield (
                    _owner(graph, node),
                    f"the bound {bound} is not a decimal or an integer.",
                    "Write it as xsd:decimal.",
                )


def _eligible(graph: Graph) -> set[URIRef]:
    return {URIRef(str(c)) for c in graph.objects(None, NXL.eligibleOptionClass)}


def _named_in(graph: Graph, node: Node) -> set[URIRef]:
    if isinstance(node, URIRef):
        return {node}
    found: set[URIRef] = set()
    for predicate, value in graph.predicate_objects(node):
        if predicate in (OWL.intersectionOf, OWL.unionOf):
            for member in graph.items(value):
                found |= _named_in(graph, member)
        elif predicate in (OWL.someValuesFrom, OWL.allValuesFrom, OWL.complementOf):
            found |= _named_in(graph, value)
    return found


def _owner(graph: Graph, node: Node) -> URIRef:
    """The named class in whose axiom an anonymous node stands."""
    seen = {node}
    waiting = [node]
    while waiting:
        for subject in graph.subjects(None, waiting.pop()):
            if isinstance(subject, URIRef):
                return subject
            if subject not in seen:
                seen.add(subject)
                waiting.append(subject)
    return NXL.Patient


def _label(graph: Graph, term: URIRef) -> str:
    return f"{label_of(graph, term) or local_name(term)} ({local_name(term)})"
