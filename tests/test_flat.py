"""The flat graph says what the compiled engine decides, in direct triples that need no blank node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from rdflib import OWL, RDF, BNode, Graph, URIRef

from kg.abox import Reading
from kg.case import Case
from kg.circumstances import Circumstance, Circumstances
from kg.compiled import CompiledEngine
from kg.exclusions import exclusions
from kg.facts import Medication, PatientFacts, Sex
from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.queries import list_queries
from kg.query_examples import example_text
from kg.store import KnowledgeStore

Pair = tuple[URIRef, URIRef]
NOBODY = PatientFacts.of_nobody(Sex.UNKNOWN)
QUERIES = Path(__file__).resolve().parent.parent / "queries"


@pytest.fixture(scope="module")
def graphs(build_folder: Path) -> dict[str, Graph]:
    """The graphs of the build by the last part of their IRI."""
    from kg.build_folder import open_build

    files = open_build(build_folder).graph_files
    return {iri.rsplit("/", 1)[-1]: Graph().parse(path, format="nt") for iri, path in files.items()}


@pytest.fixture(scope="module")
def flat(graphs: dict[str, Graph]) -> Graph:
    return graphs["flat"]


@pytest.fixture(scope="module")
def store(build_folder: Path) -> KnowledgeStore:
    from kg.build_folder import open_build

    return KnowledgeStore.load(open_build(build_folder).graph_files)


def pairs(flat: Graph, property_: URIRef, subjects: Iterable[URIRef]) -> set[Pair]:
    return {(s, URIRef(str(o))) for s in subjects for o in flat.objects(s, property_)}


def forbidden(engine: CompiledEngine, facts: PatientFacts) -> set[URIRef]:
    """The therapies that the engine finds contraindicated for a patient of whom no more is known."""
    case = Case(engine.hierarchy, facts, Reading.DOCUMENTED)
    return {t.iri for t in engine.knowledge.therapies if engine.is_contraindicated(case, t)}


def test_a_finding_is_listed_exactly_when_it_alone_forbids_a_therapy(flat: Graph, engine: CompiledEngine) -> None:
    """Every therapy and every finding: the graph and the engine, which share no code for this, agree."""
    findings = engine.knowledge.findings
    decided = {(t, f) for f in findings for t in forbidden(engine, replace(NOBODY, present=(f,)))}
    listed = pairs(flat, NXL.contraindicatedIn, (t.iri for t in engine.knowledge.therapies))
    assert {(t, f) for t, f in listed if f in findings} == decided
    assert len(decided) > 100


def test_a_medication_is_listed_exactly_when_it_alone_forbids_a_therapy(flat: Graph, engine: CompiledEngine) -> None:
    substances = engine.knowledge.taxonomy.below(NXL.Substance)
    decided = {(t, s) for s in substances for t in forbidden(engine, replace(NOBODY, medications=(Medication(s, 0),)))}
    assert pairs(flat, NXL.contraindicatedWith, (t.iri for t in engine.knowledge.therapies)) == decided != set()


def test_what_holds_for_a_class_holds_for_its_members_and_for_combinations_with_them(
    flat: Graph, knowledge: Knowledge
) -> None:
    for property_ in (NXL.contraindicatedIn, NXL.contraindicatedWith):
        for used, fact in flat.subject_objects(property_):
            below = knowledge.taxonomy.below(URIRef(str(used)))
            narrower = knowledge.taxonomy.below(URIRef(str(fact)))
            members = [m for m in below if (m, RDF.type, OWL.Class) in knowledge.graph]
            assert all((m, property_, n) in flat for m in members for n in narrower)
            if (used, NXL.therapyKind, None) not in flat:
                users = [t.iri for t in knowledge.therapies if any(u in below for u in t.uses)]
                assert all((t, property_, n) in flat for t in users for n in narrower)


def test_what_is_inherited_is_marked_and_names_what_it_comes_from(flat: Graph) -> None:
    """A pair is direct, inherited or both; an exclusion is one of the two."""
    for kind, direct, inherited in (
        ("In", NXL.directlyContraindicatedIn, NXL.inheritsContraindicationIn),
        ("With", NXL.directlyContraindicatedWith, NXL.inheritsContraindicationWith),
    ):
        marked = [set(flat.subject_objects(p)) for p in (direct, inherited)]
        assert marked[0] and marked[1]
        assert marked[0] | marked[1] == set(flat.subject_objects(NXL[f"contraindicated{kind}"]))
    for exclusion in flat.subjects(RDF.type, NXL.Exclusion):
        broader = [*flat.objects(exclusion, NXL.inheritedFrom), *flat.objects(exclusion, NXL.inheritedFromIntervention)]
        marks = [str(mark) == "true" for mark in flat.objects(exclusion, NXL.isInherited)]
        assert marks == [bool(broader)]


def test_each_exclusion_is_that_of_the_statement_alone(engine: CompiledEngine) -> None:
    program, knowledge = engine.program, engine.knowledge
    found = list(exclusions(knowledge, program, Circumstances(program)))
    assert found
    for exclusion in found:
        assert str(exclusion.statement) in program.concerned[str(exclusion.subject)]
        assert str(exclusion.statement) in program.contraindicated


def facts_of(circumstance: Circumstance) -> PatientFacts | None:
    """A patient who has all that a circumstance needs, if these are findings and medications."""
    findings, medications = [], []
    for requirement in sorted(circumstance, key=repr):
        match requirement:
            case ("finding", term):
                findings.append(URIRef(term))
            case ("takes", group, _):
                medications.append(Medication(URIRef(group), 0))
            case _:
                return None
    return replace(NOBODY, present=tuple(findings), medications=tuple(medications), medications_complete=True)


def test_a_circumstance_is_enough_as_a_whole(engine: CompiledEngine) -> None:
    """Whoever has all that one circumstance needs meets the statement: circumstances are alternatives."""
    taken_apart, checked = Circumstances(engine.program), 0
    for iri, option in engine.program.options.items():
        for circumstance in taken_apart.of(option.patient):
            facts = facts_of(circumstance)
            if facts is not None:
                checked += 1
                case = Case(engine.hierarchy, facts, Reading.DOCUMENTED)
                assert engine.logic.patient(option.patient)(case) is True, iri
    assert checked > 100


def test_what_is_needed_together_does_not_look_like_alternatives(flat: Graph, engine: CompiledEngine) -> None:
    """Of two findings in one circumstance neither is told to be enough, and neither is, to the engine."""
    together = 0
    for iri, option in engine.program.options.items():
        for circumstance in Circumstances(engine.program).of(option.patient):
            parts = {e for e in circumstance if e[0] == "finding"}
            if len(circumstance) < 2 or not parts:
                continue
            together += 1
            for _, term in parts:
                sufficient = (URIRef(iri), NXL.sufficientFinding, URIRef(term)) in flat
                case = Case(engine.hierarchy, replace(NOBODY, present=(URIRef(term),)), Reading.DOCUMENTED)
                assert sufficient <= (engine.logic.patient(option.patient)(case) is True), iri
    assert together
    for node in flat.subjects(RDF.type, NXL.Circumstance):
        needs = [o for p, o in flat.predicate_objects(node) if "/needs" in str(p)]
        (count,) = flat.objects(node, NXL.requirementCount)
        assert int(str(count)) == len(needs) or (node, NXL.isPartial, None) in flat


def test_every_statement_about_options_is_told(flat: Graph, knowledge: Knowledge, engine: CompiledEngine) -> None:
    for iri in sorted(engine.program.options.keys() & set(map(str, knowledge.statements))):
        assert (URIRef(iri), NXL.statementKind, None) in flat, iri
        assert (URIRef(iri), NXL.appliesWhen, None) in flat, iri
    for therapy in knowledge.therapies:
        assert set(flat.objects(therapy.iri, NXL.usesIntervention)) == set(therapy.uses)


def test_the_flat_graph_has_no_blank_node_and_its_terms_are_declared(flat: Graph, knowledge: Knowledge) -> None:
    assert not any(isinstance(term, BNode) for triple in flat for term in triple)
    used = {p for p in flat.predicates() if p != RDF.type} | set(flat.objects(None, RDF.type))
    assert not [t for t in used if (t, RDF.type, None) not in knowledge.graph]


def test_no_triple_stands_in_two_graphs(graphs: dict[str, Graph]) -> None:
    """The union that queries see would count it twice."""
    named = {name: {t for t in graph if not any(isinstance(x, BNode) for x in t)} for name, graph in graphs.items()}
    names = sorted(named)
    assert not {(a, b) for a in names for b in names if a < b and named[a] & named[b]}


def test_the_description_counts_what_is_there(store: KnowledgeStore) -> None:
    """VoID, for each graph: by counting in another way."""
    void = "PREFIX void: <http://rdfs.org/ns/void#> PREFIX nxl: <https://w3id.org/nextline/> "
    told = store.query(void + "SELECT ?g ?n { nxl:dataset void:subset ?g . ?g void:triples ?n . GRAPH ?g { } }").rows()
    assert len(told) >= 5
    for row in told:
        count = f"SELECT (COUNT(*) AS ?n) {{ GRAPH <{row['g']}> {{ ?s ?p ?o }} }}"
        assert store.query(count).rows()[0]["n"] == row["n"], row["g"]
    graph = str(NXL) + "graph/flat"
    parts = void + f"SELECT ?p ?n {{ <{graph}> void:propertyPartition [ void:property ?p ; void:triples ?n ] }}"
    for row in store.query(parts).rows():
        count = f"SELECT (COUNT(*) AS ?n) {{ GRAPH <{graph}> {{ ?s <{row['p']}> ?o }} }}"
        assert store.query(count).rows()[0]["n"] == row["n"], row["p"]


def test_linksets_count_the_mappings(store: KnowledgeStore) -> None:
    asked = """PREFIX void: <http://rdfs.org/ns/void#>
    SELECT ?p ?space ?n { ?l a void:Linkset ; void:linkPredicate ?p ; void:triples ?n ; void:objectsTarget/void:uriSpace ?space }"""
    rows = store.query(asked).rows()
    assert rows
    for row in rows:
        count = f'SELECT (COUNT(*) AS ?n) {{ ?s <{row["p"]}> ?o FILTER (STRSTARTS(STR(?o), "{row["space"]}")) }}'
        assert store.query(count).rows()[0]["n"] == row["n"]


def test_every_canned_query_is_published_as_an_example_that_runs(store: KnowledgeStore) -> None:
    asked = """PREFIX sh: <http://www.w3.org/ns/shacl#> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
    PREFIX schema: <https://schema.org/>
    SELECT ?q ?text ?name { ?q a sh:SPARQLSelectExecutable ; sh:select ?text ; rdfs:comment ?c ; rdfs:label ?name ;
      schema:target ?target ; sh:prefixes/sh:declare/sh:prefix "nxl" }"""
    queries = {query.name: query for query in list_queries(QUERIES)}
    rows = store.query(asked).rows()
    assert {str(row["name"]) for row in rows} == set(queries)
    for row in rows:
        assert str(row["text"]) == example_text(queries[str(row["name"])])
        assert store.query(str(row["text"])).rows(), row["name"]
