"""The build: load, check, classify, close, and write the graphs that the server opens. A pure function of the sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rdflib import DCTERMS, OWL, RDF, RDFS, VOID, XSD, Graph, Literal, URIRef

from kg import closure
from kg.answer import Answerer
from kg.canonical import canonical_lines, content_hash
from kg.checks import check_statements
from kg.clashes import consistency_error, unsatisfiable_error
from kg.compiled import CompiledEngine
from kg.compiler import compile_program
from kg.errors import BuildNotFound, NotWritable
from kg.examples import example_graph, example_verdicts, examples_hash
from kg.knowledge import Knowledge
from kg.namespaces import GRAPH, ROOT_IRI
from kg.program import read_program, write_program
from kg.reasoner import Inference, reason
from kg.reference import ReferenceEngine
from kg.sources import Sources, load_sources
from kg.taxonomy import Taxonomy

FORMAT = 4
MANIFEST = "manifest.json"
_NOTHING = str(OWL.Nothing)
Report = Callable[[str], None]


def silent(_: str) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a build was made from: version IRI of the ontology, hash of its content, triples by graph IRI."""

    format: int
    version_iri: str
    content_hash: str
    examples_hash: str
    software_version: str
    graphs: dict[str, int]


@dataclass(frozen=True)
class Build:
    """A finished build, opened read-only."""

    folder: Path
    manifest: Manifest
    deadline_seconds: float = 120

    @property
    def graph_files(self) -> dict[str, Path]:
        """The file of each named graph, by graph IRI."""
        return {iri: self.folder / f"{iri.rsplit('/', 1)[-1]}.nt" for iri in self.manifest.graphs}

    @cached_property
    def knowledge(self) -> Knowledge:
        """The authored modules with their classified hierarchy."""
        asserted = _read(self.folder / "asserted.nt")
        inferred = _read(self.folder / "inferred.nt")
        return Knowledge(asserted, classified(asserted, inferred))

    @cached_property
    def answerer(self) -> Answerer:
        """What answers requests from this build, by its compiled program."""
        version = {"versionIri": self.manifest.version_iri, "contentHash": self.manifest.content_hash}
        return Answerer(CompiledEngine(self.knowledge, read_program(self.folder)), version)

    @cached_property
    def reference(self) -> ReferenceEngine:
        """The reference engine over this build, with the deadline that the build was opened with."""
        closed = _read(self.folder / "closure.nt")
        return ReferenceEngine(self.knowledge, closed, deadline_seconds=self.deadline_seconds)


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
    sources = load_sources(ontology)
    asserted = sources.graph
    report(f"checking {len(sources.modules)} modules with {len(asserted)} triples")
    closure.check(sources)
    check_statements(sources)
    _make_folder(target)
    report("classifying with HermiT")
    inferred = classify(sources, asserted, deadline_seconds)
    report("compiling the program")
    knowledge = Knowledge(asserted, classified(asserted, inferred))
    program = compile_program(
        knowledge, {term: module.path.name for module in sources.modules for term in module.terms}
    )
    report("evaluating the example patients")
    examples = example_graph(ontology) + example_verdicts(CompiledEngine(knowledge, program), ontology)
    source_hash = content_hash(asserted)
    manifest = Manifest(
        FORMAT,
        str(asserted.value(ROOT_IRI, OWL.versionIRI)),
        source_hash,
        examples_hash(ontology),
        software_version(),
        {
            str(GRAPH[name]): len(graph)
            for name, graph in (("asserted", asserted), ("inferred", inferred), ("examples", examples))
        },
    )
    meta = _meta(manifest)
    manifest.graphs[str(GRAPH.meta)] = len(meta)
    report(f"writing {target}")
    for name, graph in (
        ("asserted", asserted),
        ("inferred", inferred),
        ("examples", examples),
        ("meta", meta),
        ("closure", closure.generate_graph(sources)),
    ):
        _write(target / f"{name}.nt", "".join(canonical_lines(graph)))
    write_program(program, target)
    _write(target / MANIFEST, json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n")
    return manifest


def is_current(ontology: Path, target: Path) -> bool:
    """Whether `target` holds a finished build of exactly these sources, by this version of the software."""
    try:
        manifest = open_build(target).manifest
    except BuildNotFound:
        return False
    return (
        manifest.content_hash == content_hash(load_sources(ontology).graph)
        and manifest.examples_hash == examples_hash(ontology)
        and manifest.software_version == software_version()
    )


def open_build(target: Path, *, deadline_seconds: float = 120) -> Build:
    """Open a finished build; the deadline is that of each reasoner call of its engine. Raises BuildNotFound."""
    path = target / MANIFEST
    mend = "Run `nextline build`."
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BuildNotFound(str(target), "there is no finished build here.", mend) from None
    except (ValueError, TypeError):
        raise BuildNotFound(str(path), "the manifest cannot be read.", mend) from None
    if manifest.format != FORMAT:
        raise BuildNotFound(str(path), f"the build has format {manifest.format}, not {FORMAT}.", mend)
    return Build(target, manifest, deadline_seconds)


def classify(sources: Sources, asserted: Graph, deadline_seconds: float) -> Graph:
    """The subsumptions and equivalences that HermiT adds to the authored modules.

    Raises InconsistentOntology or UnsatisfiableClass, naming what clashes by label and module.
    """
    inference = reason(asserted, deadline_seconds=deadline_seconds)
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


def classified(asserted: Graph, inferred: Graph) -> Taxonomy:
    """The hierarchy with what HermiT added to it."""
    stated = Taxonomy.of(asserted)
    return stated.extended(Taxonomy.edges_of((str(s), str(p), str(o)) for s, p, o in inferred))


def _meta(manifest: Manifest) -> Graph:
    graph = Graph()
    graph.add((ROOT_IRI, RDF.type, VOID.Dataset))
    graph.add((ROOT_IRI, OWL.versionIRI, URIRef(manifest.version_iri)))
    graph.add((ROOT_IRI, DCTERMS.identifier, Literal(f"sha256:{manifest.content_hash}")))
    graph.add((ROOT_IRI, DCTERMS.license, URIRef("https://creativecommons.org/licenses/by/4.0/")))
    for iri, triples in manifest.graphs.items():
        graph.add((ROOT_IRI, VOID.subset, URIRef(iri)))
        graph.add((URIRef(iri), RDF.type, VOID.Dataset))
        graph.add((URIRef(iri), VOID.triples, Literal(triples, datatype=XSD.integer)))
    return graph


def _read(path: Path) -> Graph:
    try:
        return Graph().parse(path, format="nt")
    except FileNotFoundError:
        raise BuildNotFound(str(path), "a file of the build is missing.", "Run `nextline build`.") from None


def _make_folder(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable(str(target), f"cannot be made ({error.strerror}).", "Choose a folder with --build.") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotWritable(
            str(path), f"cannot be written ({error.strerror}).", "Choose a folder with --build."
        ) from None
