"""The committed ontology: complete against its source, documented for curators, and as tools expect it."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rdflib import DCTERMS, OWL, RDF, RDFS, SKOS, VANN, Graph, Literal, URIRef
from rdflib.term import Node

from kg import closure
from kg.examples import Example, example_axioms, read_examples
from kg.knowledge import Knowledge
from kg.labels import label_of
from kg.namespaces import CLOSURE_IRI, IAO_DEFINITION, NXL, local_name
from kg.sources import CATALOG, Module, Sources, read_catalog, read_module
from tests.conftest import ONTOLOGY

ROOT = ONTOLOGY.parent
MODULES = sorted(path for path in ONTOLOGY.glob("*.ttl"))
SEED_STATEMENTS = [f"S{number:02d}" for number in range(1, 91)]
TESTS = Path(__file__).resolve().parent
LEFT_OUT = TESTS / "left_out_rows.csv"
LEFT_OUT_OF_GUIDELINES = TESTS / "left_out_guideline_rows.csv"
SHARED = Path(os.environ.get("NEXTLINE_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="module")
def graph(sources: Sources) -> Graph:
    return sources.graph


@pytest.fixture(scope="module")
def authored(graph: Graph) -> Knowledge:
    return Knowledge(graph)


@pytest.fixture(scope="module")
def own_terms(graph: Graph) -> list[URIRef]:
    """Every class, property and individual that the ontology itself names."""
    kinds = (OWL.Class, OWL.ObjectProperty, OWL.DatatypeProperty, OWL.AnnotationProperty, OWL.NamedIndividual)
    found = {URIRef(str(s)) for kind in kinds for s in graph.subjects(RDF.type, kind) if isinstance(s, URIRef)}
    return sorted(term for term in found if str(term).startswith(str(NXL)))


# --- the source article -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", SEED_STATEMENTS)
def test_each_statement_of_the_seed_is_carried_or_left_out_with_a_reason(graph: Graph, statement: str) -> None:
    carriers = {URIRef(str(s)) for s in graph.subjects(NXL.seedStatement, Literal(statement))}
    assert carriers
    for carrier in carriers:
        if (carrier, RDF.type, NXL.OmittedStatement) in graph:
            assert len(carriers) == 1, "it is carried as well as left out"
            assert str(graph.value(carrier, NXL.omissionReason)).endswith(".")


def test_nothing_claims_a_statement_that_the_seed_does_not_have(graph: Graph) -> None:
    assert {str(o) for o in graph.objects(None, NXL.seedStatement)} == set(SEED_STATEMENTS)


def test_few_statements_of_the_seed_are_left_out(graph: Graph) -> None:
    assert len(set(graph.subjects(RDF.type, NXL.OmittedStatement))) <= 10


# --- statements ---------------------------------------------------------------------------------------------------


def test_every_statement_can_be_shown_and_traced(authored: Knowledge) -> None:
    graph = authored.graph
    lacking = []
    for statement in authored.statements.values():
        sources_exist = statement.source and all((s, RDF.type, NXL.Reference) in graph for s in statement.source)
        reviewed = (statement.review_status, RDF.type, NXL.ReviewStatus) in graph
        checks = {
            "text": statement.text.clinician.endswith("."),
            "lay text": (statement.iri, NXL.layStatement, None) in graph and statement.text.patient.endswith("."),
            "source": sources_exist,
            "locator": statement.locator,
            "review status": reviewed,
            "label": statement.label,
        }
        lacking += [f"{local_name(statement.iri)} lacks {name}" for name, held in checks.items() if not held]
    assert not lacking


def test_every_contraindication_says_how_strict_it_is_and_where(authored: Knowledge) -> None:
    graph = authored.graph
    found = authored.statements_below(NXL.ContraindicatedOption)
    assert len(found) > 50
    for statement in found:
        assert (statement.severity, RDF.type, NXL.Severity) in graph, statement.label
        assert statement.jurisdictions, statement.label
        assert all((j, RDF.type, NXL.Jurisdiction) in graph for j in statement.jurisdictions), statement.label


def test_every_indication_has_a_line_and_a_guideline(authored: Knowledge) -> None:
    for guideline in authored.guidelines.values():
        defined = [s for s in authored.statements_below(guideline.indicated) if s.groups]
        assert defined
        for statement in defined:
            assert statement.guideline == guideline.iri
            assert statement.therapy_kind in (NXL.Monotherapy, NXL.CombinationTherapy)
            assert authored.individual_code(statement.line), statement.label
            assert authored.individual_code(statement.strength), statement.label


def test_what_a_guideline_on_safety_says_holds_beside_every_guideline(graph: Graph) -> None:
    said = set(graph.subjects(NXL.ofSafetyGuideline, None))
    assert said
    assert not [s for s in said if (s, NXL.guideline, None) in graph]


def test_each_guideline_carries_its_disclaimer(authored: Knowledge) -> None:
    assert all(len(guideline.disclaimer) > 40 for guideline in authored.guidelines.values())


# --- terms --------------------------------------------------------------------------------------------------------


def test_every_term_has_one_label_and_one_definition(graph: Graph, own_terms: list[URIRef]) -> None:
    lacking = []
    for term in own_terms:
        labels = [v for v in graph.objects(term, RDFS.label) if isinstance(v, Literal) and v.language == "en"]
        definitions = list(graph.objects(term, IAO_DEFINITION))
        if len(labels) != 1:
            lacking.append(f"{local_name(term)} has {len(labels)} English labels")
        if len(definitions) != 1 or not str(definitions[0]).endswith("."):
            lacking.append(f"{local_name(term)} has {len(definitions)} definitions, or one without a full stop")
    assert not lacking


def test_labels_are_unique(graph: Graph, own_terms: list[URIRef]) -> None:
    by_label: dict[str, list[str]] = {}
    for term in own_terms:
        by_label.setdefault(str(label_of(graph, term)).casefold(), []).append(local_name(term))
    assert not {label: terms for label, terms in by_label.items() if len(terms) > 1}


def is_in(value: Node, language: str) -> bool:
    """Whether a value is a text in a language."""
    return isinstance(value, Literal) and value.language == language


def test_options_and_what_they_use_have_a_name_in_each_language(authored: Knowledge) -> None:
    """Unique in its language, and marked as a translation that no clinician has reviewed."""
    graph = authored.graph
    terms = {t.iri for t in authored.therapies} | (authored.stated.below(NXL.Intervention) - {NXL.Intervention})
    for language in ("en", "fr", "es"):
        labels = [v for t in terms for v in graph.objects(t, RDFS.label) if is_in(v, language)]
        assert len(labels) == len(terms), language
        assert len({str(v).casefold() for v in labels}) == len(terms), language
    assert all((t, NXL.translationStatus, NXL.unverified) in graph for t in terms)


def test_findings_and_quantities_have_a_name_in_each_language(authored: Knowledge) -> None:
    """Unique in its language, and marked as a translation that no clinician has reviewed; classes of patients too."""
    graph = authored.graph
    named = read_module(ONTOLOGY / "findings.ttl").graph
    concerned = authored.findings | set(authored.quantities) | authored.stated.below(NXL.Patient)
    terms = {t for t in concerned if (t, RDFS.label, None) in named}
    for language in ("fr", "es"):
        labels = [str(v).casefold() for t in terms for v in graph.objects(t, RDFS.label) if is_in(v, language)]
        assert len(labels) == len(set(labels)) == len(terms), language
    assert all((t, NXL.translationStatus, NXL.unverified) in graph for t in terms)


def test_a_question_is_asked_of_what_has_one_for_patients_too(authored: Knowledge) -> None:
    """Where no question stands, one is made from the label; a quantity always has its own, since its label is a verb."""
    graph = authored.graph
    for property_ in (NXL.question, NXL.layQuestion):
        for term, text in graph.subject_objects(property_):
            assert str(text).endswith("?") and is_in(text, "en"), term
            assert term in authored.findings or term in authored.quantities, term
    asked = set(graph.subjects(NXL.question)) & set(graph.subjects(NXL.layQuestion))
    assert set(authored.quantities) <= asked


def test_dosing_advice_says_what_the_therapy_says(authored: Knowledge) -> None:
    """The advice that an answer shows and the doses that queries find on the therapy are the same."""
    graph = authored.graph
    said = (
        NXL.startingDose,
        NXL.titration,
        NXL.targetDose,
        NXL.maximumDose,
        NXL.minimumTrial,
        NXL.renalLimit,
        NXL.hepaticLimit,
        NXL.doseForm,
        NXL.route,
    )
    dosed = sorted(URIRef(str(t)) for t in graph.subjects(NXL.route, None))
    assert len(dosed) == 35
    for therapy in dosed:
        advice = NXL[local_name(therapy).removesuffix("Therapy") + "Dosing"]
        text = str(graph.value(advice, NXL.statement))
        assert not [str(v) for p in said for v in graph.objects(therapy, p) if str(v) not in text], advice
        for same in (DCTERMS.source, NXL.reviewStatus, NXL.researchRow):
            assert set(graph.objects(advice, same)) == set(graph.objects(therapy, same)), advice


def test_what_a_patient_may_read_has_a_lay_label(authored: Knowledge) -> None:
    therapies = {therapy.iri for therapy in authored.therapies}
    terms = therapies | authored.findings | (authored.stated.below(NXL.Intervention) - {NXL.Intervention})
    lacking = sorted(local_name(t) for t in terms if (t, NXL.layLabel, None) not in authored.graph)
    assert not lacking


def test_every_class_has_a_stated_parent(authored: Knowledge) -> None:
    """Only the few roots of the vocabulary stand alone."""
    foreign = {c for c in authored.stated.roots if not str(c).startswith(str(NXL))}
    assert not foreign
    assert len(authored.stated.roots) < 25


def test_nothing_is_equated_with_a_foreign_term(graph: Graph) -> None:
    for predicate in (OWL.equivalentClass, OWL.equivalentProperty, OWL.sameAs):
        for subject, target in graph.subject_objects(predicate):
            assert all(not isinstance(t, URIRef) or str(t).startswith(str(NXL)) for t in (subject, target))


def test_foreign_terms_are_named_by_their_codes_only(graph: Graph) -> None:
    """SNOMED CT and others allow their identifiers to be used, and not their terms."""
    mapped = {
        o for p in (SKOS.exactMatch, SKOS.closeMatch, SKOS.narrowMatch, SKOS.broadMatch) for o in graph.objects(None, p)
    }
    assert len(mapped) > 50
    assert not [term for term in mapped if (term, None, None) in graph]


def test_no_axiom_is_annotated_and_no_construct_is_used_that_hermit_or_protege_trip_over(graph: Graph) -> None:
    for kind in (OWL.Axiom, URIRef("http://www.w3.org/2003/11/swrl#Imp")):
        assert (None, RDF.type, kind) not in graph
    assert (None, OWL.hasKey, None) not in graph
    classes = set(graph.subjects(RDF.type, OWL.Class))
    assert not classes & set(graph.subjects(RDF.type, OWL.NamedIndividual)), "punning"


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_each_module_has_a_header_that_a_registry_can_read(path: Path) -> None:
    module = read_module(path)
    header = {p: set(module.graph.objects(module.iri, p)) for p in set(module.graph.predicates(module.iri))}
    assert header[DCTERMS.license] == {URIRef("https://creativecommons.org/licenses/by/4.0/")}
    assert header[DCTERMS.creator] == {Literal("The Nextline project", lang="en")}
    assert len(header[DCTERMS.title]) == len(header[DCTERMS.description]) == 1
    if module.iri != CLOSURE_IRI:  # generated, and versioned by the hash of its sources
        assert header[VANN.preferredNamespacePrefix] == {Literal("nxl")}
        assert header[VANN.preferredNamespaceUri] == {Literal(str(NXL))}
        version = str(next(iter(header[OWL.versionInfo])))
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert f"/{version}" in str(next(iter(header[OWL.versionIRI])))


def test_every_module_is_reached_from_the_root(sources: Sources) -> None:
    reached = {module.path.name for module in sources.modules}
    assert reached == {path.name for path in MODULES} - {closure.FILE_NAME}


def test_modules_are_imported_one_way(sources: Sources) -> None:
    waiting: dict[URIRef, Module] = {module.iri: module for module in sources.modules}
    while waiting:
        free = {iri for iri, module in waiting.items() if not set(module.imports) & waiting.keys()}
        assert free, f"a cycle among {sorted(waiting)}"
        waiting = {iri: module for iri, module in waiting.items() if iri not in free}


def test_a_module_names_only_what_it_imports(sources: Sources) -> None:
    """Else Protégé shows a term without its label, or an undeclared one, when the module is opened alone."""
    imports = {module.iri: set(module.imports) for module in sources.modules}
    declared = {module.iri: set(module.graph.subjects(RDF.type, None)) for module in sources.modules}
    for module in sources.modules:
        reach, waiting = {module.iri}, [module.iri]
        while waiting:
            new = imports[waiting.pop()] - reach
            reach |= new
            waiting += new
        known = {term for iri in reach for term in declared[iri]}
        used = {t for triple in module.graph for t in triple if isinstance(t, URIRef) and str(t).startswith(str(NXL))}
        ontologies = set(imports) | {CLOSURE_IRI}
        versions = {t for t in used if "/releases/" in t}
        unknown = used - known - ontologies - versions - {URIRef(str(NXL))}
        assert not sorted(unknown), module.path.name


@pytest.mark.parametrize("folder", [ONTOLOGY, ONTOLOGY / "examples"], ids=lambda folder: folder.name)
def test_the_catalog_resolves_every_import_offline_and_is_left_alone_by_protege(folder: Path) -> None:
    catalog = read_catalog(folder)
    imported = {iri for path in folder.glob("*.ttl") for iri in read_module(path).imports}
    assert imported <= catalog.keys()
    for iri, path in catalog.items():
        assert read_module(path).iri == iri
    groups = [e for e in ElementTree.parse(folder / CATALOG).iter() if e.tag.endswith("group")]
    assert groups
    assert all("Auto-Update=false" in group.attrib["id"] for group in groups)


def test_the_committed_closure_is_current(sources: Sources) -> None:
    closure.check(sources)
    assert (sources.folder / closure.FILE_NAME).read_text(encoding="utf-8") == closure.generate(sources)


@pytest.mark.parametrize("example", read_examples(ONTOLOGY), ids=lambda example: example.id)
def test_each_example_file_is_what_its_request_gives(authored: Knowledge, ontology: Path, example: Example) -> None:
    written = read_module(ontology / "examples" / f"{example.id}.ttl").graph
    expected = example_axioms(authored, example).serialize(format="turtle")
    assert written.isomorphic(Graph().parse(data=expected, format="turtle")), "run `nextline examples`"


def test_there_are_enough_examples() -> None:
    assert len(read_examples(ONTOLOGY)) >= 12


# --- the research tables, where they are at hand ------------------------------------------------------------------


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def left_out_rows() -> list[dict[str, str]]:
    return [*rows(LEFT_OUT), *rows(LEFT_OUT_OF_GUIDELINES)]


def test_what_is_left_out_has_a_reason(graph: Graph) -> None:
    left_out = left_out_rows()
    assert all(row["reason"].endswith(".") for row in left_out)
    assert len({row["row_id"] for row in left_out}) == len(left_out), "a row is left out twice"
    carried = {str(o) for o in graph.objects(None, NXL.researchRow)}
    assert not {row["row_id"] for row in left_out} & carried


@pytest.mark.parametrize(
    ("table", "number"), [("guideline_lines", 168), ("contraindications", 209), ("interactions", 60)]
)
@pytest.mark.skipif(
    not (SHARED / "facts").is_dir(), reason="the research tables are not here; NEXTLINE_SHARED names them"
)
def test_every_row_of_the_research_is_carried_or_left_out_with_a_reason(graph: Graph, table: str, number: int) -> None:
    known = [row["row_id"] for row in rows(SHARED / "facts" / f"{table}.csv")]
    assert len(known) == number
    carried = {str(o) for o in graph.objects(None, NXL.researchRow)}
    left_out = {row["row_id"] for row in left_out_rows()}
    assert sorted(set(known) - carried - left_out) == []


@pytest.mark.skipif(
    not (SHARED / "facts").is_dir(), reason="the research tables are not here; NEXTLINE_SHARED names them"
)
def test_nothing_claims_a_row_that_the_research_does_not_have(graph: Graph) -> None:
    known = {next(iter(row.values())) for path in (SHARED / "facts").glob("*.csv") for row in rows(path)}
    assert sorted({str(o) for o in graph.objects(None, NXL.researchRow)} - known) == []


@pytest.mark.skipif(
    not (SHARED / "facts").is_dir(), reason="the research tables are not here; NEXTLINE_SHARED names them"
)
def test_the_seed_has_exactly_these_statements() -> None:
    assert [row["id"] for row in rows(SHARED / "facts" / "seed_statements.csv")] == SEED_STATEMENTS
