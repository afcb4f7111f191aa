"""What HermiT answers through the worker process, on ontologies of a few lines."""

from __future__ import annotations

import pytest
from rdflib import OWL, RDF, RDFS, Graph

from kg.errors import ReasonerFailure
from kg.reasoner import Inference, reason

PREFIXES = """@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix x: <https://example.org/> .
x:A a owl:Class . x:B a owl:Class . x:p a owl:ObjectProperty .
x:value a owl:DatatypeProperty, owl:FunctionalProperty ; rdfs:range xsd:decimal .
x:i a owl:NamedIndividual .
"""


def reasoned(text: str) -> Inference:
    return reason(Graph().parse(data=PREFIXES + text, format="turtle"), deadline_seconds=60)


def x(name: str) -> str:
    return f"https://example.org/{name}"


def test_subsumptions_and_types_are_inferred() -> None:
    inference = reasoned(
        """x:B owl:equivalentClass [ a owl:Restriction ; owl:onProperty x:p ; owl:someValuesFrom x:A ] .
        x:C a owl:Class ; rdfs:subClassOf [ a owl:Restriction ; owl:onProperty x:p ; owl:someValuesFrom x:A ] .
        x:i x:p x:j . x:j a owl:NamedIndividual, x:A ."""
    )
    assert inference.consistent
    assert (x("C"), str(RDFS.subClassOf), x("B")) in inference.triples
    assert (x("i"), str(RDF.type), x("B")) in inference.triples


def test_a_contradiction_is_an_answer() -> None:
    assert not reasoned("x:A owl:disjointWith x:B . x:i a x:A, x:B .").consistent


def test_a_class_without_members_is_told() -> None:
    inference = reasoned("x:C a owl:Class ; rdfs:subClassOf x:A, x:B . x:A owl:disjointWith x:B .")
    assert inference.consistent
    assert (x("C"), str(RDFS.subClassOf), str(OWL.Nothing)) in inference.triples or (
        x("C"),
        str(OWL.equivalentClass),
        str(OWL.Nothing),
    ) in inference.triples


@pytest.mark.parametrize(("value", "inside"), [("29.9", True), ("30", False), ("30.0", False), ("28", True)])
def test_decimal_bounds_hold_exactly(value: str, inside: bool) -> None:
    inference = reasoned(
        f"""x:B owl:equivalentClass [ a owl:Restriction ; owl:onProperty x:value ; owl:someValuesFrom
        [ a rdfs:Datatype ; owl:onDatatype xsd:decimal ; owl:withRestrictions ( [ xsd:maxExclusive 30.0 ] ) ] ] .
        x:i x:value "{value}"^^xsd:decimal ."""
    )
    assert ((x("i"), str(RDF.type), x("B")) in inference.triples) is inside


def test_imports_are_never_fetched() -> None:
    """The graph is complete; an import in it, even of an address that cannot be reached, is ignored."""
    inference = reasoned(
        """x:o a owl:Ontology ; owl:imports <https://nowhere.invalid/ontology> .
        x:p rdfs:domain x:B . x:i x:p x:j ."""
    )
    assert (x("i"), str(RDF.type), x("B")) in inference.triples


def test_only_what_is_new_and_most_specific_is_told() -> None:
    """Callers have to go upwards by themselves, from what is stated and from what is inferred."""
    inference = reasoned("x:A rdfs:subClassOf x:B . x:i a x:A . x:p rdfs:domain x:A . x:j x:p x:i .")
    types = {(s, o) for s, p, o in inference.triples if p == str(RDF.type)}
    assert (x("j"), x("A")) in types
    assert not {(x("i"), x("A")), (x("i"), x("B")), (x("j"), x("B"))} & types


def test_what_hermit_cannot_do_is_a_failure_and_no_answer() -> None:
    """A property that is transitive and counted is outside OWL 2 DL."""
    with pytest.raises(ReasonerFailure):
        reasoned(
            """x:p a owl:TransitiveProperty . x:B owl:equivalentClass [ a owl:Restriction ; owl:onProperty x:p ;
            owl:maxCardinality "1"^^xsd:nonNegativeInteger ] . x:i x:p x:j, x:k ."""
        )
