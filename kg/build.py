"""The build: load, check, classify, close, and write the graphs that the server opens. A pure function of the sources."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rdflib import DCTERMS, OWL, RDF, RDFS, VOID, XSD, Graph, Literal, URIRef

from kg import closure
from kg.build_folder import Manifest, classified, publish
from kg.canonical import canonical_lines, content_hash
from kg.checks import check_statements
from kg.clashes import consistency_error, unsatisfiable_error
from kg.compiled import CompiledEngine
from kg.compiler import compile_program
from kg.examples import example_graph, example_verdicts
from kg.knowledge import Knowledge
from kg.namespaces import GRAPH, ROOT_IRI
from kg.program import FILE_NAME as PROGRAM
from kg.reasoner import Inference, logical, reason
from kg.sources import Sources, load_sources
from kg.taxonomy import Taxonomy

_NOTHING = str(OWL.Nothing)
Report = Callable[[str], None]


def silent(_: str) -> None:
    """Report nothing."""


def software_version() -> str:
    """The version of the installed package."""
    try:
        return version("nextline")
    except PackageNotFoundError:
        return "unknown"


def build(
    ontology: Path,
    target: Path,
    *,
    deadline_seconds: float = 120,
    report: Report = silent,
) -> Manifest:
    """Build the knowledge graph and the program of `ontology` into the folder `target`.

    Raises the ontology errors of kg.errors (syntax, imports, stale closure, unsupported axiom, inconsistency,
    unsatisfiable class), ReasonerTimeout, and NotWritable.
    """
    report(f"loading {ontology}")
    hash_of_files = sources_hash(ontology)  # before they are read: an edit meanwhile makes the build out of date
    sources = load_sources(ontology)
    asserted = sources.graph
    report(f"checking {len(sources.modules)} modules with {len(asserted)} triples")
    closure.check(sources)
    check_statements(sources)
    report("classifying with HermiT")
    inferred = classify(sources, asserted, deadline_seconds)
    report("compiling the program")
    knowledge = Knowledge(asserted, classified(asserted, inferred))
    program = compile_program(
        knowledge, {term: module.path.name for module in sources.modules for term in module.terms}
    )
    report("evaluating the example patients")
    graphs = {
        "asserted": asserted,
        "inferred": inferred,
        "examples": example_graph(ontology) + example_verdicts(CompiledEngine(knowledge, program), ontology),
    }
    about = {
        "version_iri": str(asserted.value(ROOT_IRI, OWL.versionIRI)),
        "content_hash": content_hash(asserted),
        "sources_hash": hash_of_files,
        "software_version": software_version(),
    }
    meta = _meta(about["version_iri"], about["content_hash"], graphs)
    counts = {str(GRAPH[name]): len(graph) for name, graph in {**graphs, "meta": meta}.items()}
    report(f"writing {target}")
    written = {**graphs, "meta": meta, "closure": closure.closure_of(asserted)}
    files = {f"{name}.nt": "".join(canonical_lines(graph)) for name, graph in written.items()}
    return publish(target, {**files, PROGRAM: program.to_json()}, {**about, "graphs": counts})


def sources_hash(ontology: Path) -> str:
    """SHA-256 over the files of an ontology folder and its examples, by which a build knows that it is out of date."""
    digest = hashlib.sha256()
    for path in sorted([*ontology.glob("*.ttl"), *ontology.glob("*.xml"), *(ontology / "examples").glob("*.*")]):
        digest.update(path.relative_to(ontology).as_posix().encode("utf-8") + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def classify(sources: Sources, asserted: Graph, deadline_seconds: float) -> Graph:
    """The subsumptions and equivalences that HermiT adds to the authored modules.

    Raises InconsistentOntology or UnsatisfiableClass, naming what clashes by label and module.
    """
    inference = reason(logical(asserted), deadline_seconds=deadline_seconds)
    if not inference.consistent:
        raise consistency_error(sources, deadline_seconds)
    impossible = sorted({s for s, _, o in inference.triples if o == _NOTHING and s != _NOTHING})
    if impossible:
        raise unsatisfiable_error(sources, [URIRef(c) for c in impossible])
    return _inferred(inference, Taxonomy.of(asserted))


def _inferred(inference: Inference, stated: Taxonomy) -> Graph:
    """What was inferred, told in one way: the reasoner names any one of several equivalent classes, we name them all."""
    hierarchy = stated.extended(Taxonomy.edges_of(inference.triples))
    graph = Graph()
    for term in stated.classes:
        equals = (hierarchy.above(term) & hierarchy.below(term)) - {term}
        direct = hierarchy.most_specific(hierarchy.above(term) - equals - {term})
        graph += ((term, OWL.equivalentClass, c) for c in equals)
        graph += ((term, RDFS.subClassOf, c) for c in direct if not stated.is_a(term, c))
    for individual, predicate, target in inference.triples:
        if predicate == str(RDF.type):
            types = (c for c in hierarchy.above(URIRef(target)) if c != OWL.Thing)
            graph += ((URIRef(individual), RDF.type, c) for c in types)
    return graph


def _meta(version_iri: str, ontology_hash: str, graphs: Mapping[str, Graph]) -> Graph:
    graph = Graph()
    graph.add((ROOT_IRI, RDF.type, VOID.Dataset))
    graph.add((ROOT_IRI, OWL.versionIRI, URIRef(version_iri)))
    graph.add((ROOT_IRI, DCTERMS.identifier, Literal(f"sha256:{ontology_hash}")))
    graph.add((ROOT_IRI, DCTERMS.license, URIRef("https://creativecommons.org/licenses/by/4.0/")))
    for name, part in graphs.items():
        graph.add((ROOT_IRI, VOID.subset, GRAPH[name]))
        graph.add((GRAPH[name], RDF.type, VOID.Dataset))
        graph.add((GRAPH[name], VOID.triples, Literal(len(part), datatype=XSD.integer)))
    return graph
