"""The build: load, check, classify, close, and write the graphs that the server opens. A pure function of the sources."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rdflib import OWL, RDF, RDFS, Graph, URIRef

from kg import closure
from kg.build_folder import Manifest, classified, open_build, publish
from kg.canonical import canonical_lines, content_hash
from kg.checks import check_statements
from kg.clashes import consistency_error, unsatisfiable_error
from kg.compiled import CompiledEngine
from kg.compiler import compile_program
from kg.examples import example_graph, example_verdicts
from kg.flat import flat_graph
from kg.knowledge import Knowledge
from kg.meta import meta_graph
from kg.namespaces import GRAPH, ROOT_IRI
from kg.program import FILE_NAME as PROGRAM
from kg.queries import list_queries
from kg.query_examples import queries_graph
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
    queries: Path | None = None,
    deadline_seconds: float = 120,
    report: Report = silent,
) -> Manifest:
    """Build the knowledge graph and the program of `ontology` into the folder `target`, with the canned `queries`.

    Raises BrokenQuery, the ontology errors of kg.errors (syntax, imports, stale closure, unsupported axiom,
    inconsistency, unsatisfiable class), ReasonerTimeout, and NotWritable.
    """
    published = _published(queries)
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
        "flat": flat_graph(knowledge, program),
        "examples": example_graph(ontology) + example_verdicts(CompiledEngine(knowledge, program), ontology),
    }
    about = {
        "version_iri": str(asserted.value(ROOT_IRI, OWL.versionIRI)),
        "content_hash": content_hash(asserted),
        "sources_hash": hash_of_files,
        "software_version": software_version(),
        "queries_hash": queries_hash(queries),
    }
    graphs["meta"] = meta_graph(about["content_hash"], about["software_version"], graphs)
    graphs["queries"] = published
    counts = {str(GRAPH[name]): len(graph) for name, graph in graphs.items()}
    report(f"writing {target}")
    written = {**graphs, "closure": closure.closure_of(asserted)}
    files = {f"{name}.nt": _lines(graph) for name, graph in written.items()}
    return publish(target, {**files, PROGRAM: program.to_json()}, {**about, "graphs": counts})


def renew_queries(target: Path, queries: Path, *, report: Report = silent) -> Manifest:
    """Publish the build in `target` anew with other canned queries, all else unchanged.

    Raises BrokenQuery, BuildNotFound and NotWritable.
    """
    published, current = _published(queries), open_build(target)
    report(f"publishing {queries}")
    files = {name: (current.folder / name).read_text(encoding="utf-8") for name in current.manifest.files}
    about = {
        name: value for name, value in asdict(current.manifest).items() if name not in ("format", "files", "folder")
    }
    about |= {
        "queries_hash": queries_hash(queries),
        "graphs": {**current.manifest.graphs, str(GRAPH.queries): len(published)},
    }
    return publish(target, {**files, "queries.nt": _lines(published)}, about)


def queries_hash(queries: Path | None) -> str:
    """SHA-256 over the files of the canned queries, by which a build knows that it holds others; empty without any."""
    return "" if queries is None else _hash_of(queries, sorted(queries.glob("*.rq")))


def sources_hash(ontology: Path) -> str:
    """SHA-256 over the files of an ontology folder and its examples, by which a build knows that it is out of date."""
    return _hash_of(
        ontology, sorted([*ontology.glob("*.ttl"), *ontology.glob("*.xml"), *(ontology / "examples").glob("*.*")])
    )


def _hash_of(folder: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(folder).as_posix().encode("utf-8") + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _published(queries: Path | None) -> Graph:
    return queries_graph(list_queries(queries) if queries is not None else ())


def _lines(graph: Graph) -> str:
    return "".join(canonical_lines(graph))


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
