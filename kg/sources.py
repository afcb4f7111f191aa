"""The import closure of the ontology, resolved offline from its catalog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rdflib import OWL, RDF, Graph, URIRef
from rdflib.exceptions import ParserError
from rdflib.plugins.parsers.notation3 import BadSyntax

from kg.errors import ImportNotFound, OntologyNotFound, OntologySyntaxError
from kg.namespaces import CLOSURE_IRI, ROOT_IRI

CATALOG = "catalog-v001.xml"
_CATALOG_NAMESPACE = "{urn:oasis:names:tc:entity:xmlns:xml:catalog}"


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the ontology: its ontology IRI, the IRIs that it imports, its path and its triples."""

    iri: URIRef
    imports: tuple[URIRef, ...]
    path: Path
    graph: Graph

    @property
    def terms(self) -> frozenset[URIRef]:
        """The terms that the module declares."""
        return frozenset(s for s in self.graph.subjects(RDF.type, None) if isinstance(s, URIRef))


@dataclass(frozen=True, slots=True)
class Sources:
    """The authored modules of the ontology, ordered by IRI; the generated closure module is not among them."""

    folder: Path
    modules: tuple[Module, ...]

    @property
    def graph(self) -> Graph:
        """All triples of all modules in a new graph."""
        merged = Graph()
        for module in self.modules:
            merged += module.graph
            for prefix, namespace in module.graph.namespaces():
                merged.bind(prefix, namespace)
        return merged

    def module_of(self, term: URIRef) -> Module | None:
        """The module that declares `term`, or None."""
        for module in self.modules:
            if (term, RDF.type, None) in module.graph:
                return module
        return None


def read_catalog(folder: Path) -> dict[URIRef, Path]:
    """Map ontology IRIs to files as `catalog-v001.xml` in `folder` says.

    Raises OntologyNotFound if there is no catalog, OntologySyntaxError if it is no XML.
    """
    path = folder / CATALOG
    if not path.is_file():
        raise OntologyNotFound(
            str(path), "there is no catalog here.", "Give the folder that holds the Turtle modules and their catalog."
        )
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise OntologySyntaxError(str(path), f"the catalog is not well-formed XML ({error}).", "Restore it.") from None
    return {
        URIRef(entry.attrib["name"]): folder / entry.attrib["uri"]
        for entry in root.iter(f"{_CATALOG_NAMESPACE}uri")
        if "name" in entry.attrib and "uri" in entry.attrib
    }


def read_module(path: Path) -> Module:
    """Parse one Turtle file. Raises OntologySyntaxError naming the file and line, OntologyNotFound if it is missing."""
    graph = Graph()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise OntologyNotFound(str(path), "the file does not exist.", "Restore it or mend the catalog.") from None
    except UnicodeDecodeError as error:
        raise OntologySyntaxError(str(path), f"the file is not UTF-8 ({error}).", "Save it as UTF-8 Turtle.") from None
    try:
        graph.parse(data=text, format="turtle")
    except BadSyntax as error:
        line = _line(error)
        raise OntologySyntaxError(
            f"{path}:{line}",
            f"the file is not valid Turtle ({_reason(error)}).",
            "Mend the line, or undo the last edit.",
        ) from None
    except (ParserError, ValueError) as error:
        raise OntologySyntaxError(str(path), f"the file cannot be read as Turtle ({error}).", "Mend it.") from None
    ontologies = list(graph.subjects(RDF.type, OWL.Ontology))
    if len(ontologies) != 1 or not isinstance(ontologies[0], URIRef):
        raise OntologySyntaxError(
            str(path),
            f"the file declares {len(ontologies)} ontologies.",
            "Declare exactly one owl:Ontology with an IRI.",
        )
    imports = tuple(sorted(URIRef(str(o)) for o in graph.objects(ontologies[0], OWL.imports)))
    return Module(URIRef(str(ontologies[0])), imports, path, graph)


def load_sources(folder: Path, root: URIRef = ROOT_IRI) -> Sources:
    """Load the module `root` and everything it imports, using only the catalog in `folder`.

    Raises OntologyNotFound, OntologySyntaxError or ImportNotFound; the network is never asked.
    """
    if not folder.is_dir():
        raise OntologyNotFound(str(folder), "there is no such folder.", "Give the folder of the ontology.")
    catalog = read_catalog(folder)
    modules: dict[URIRef, Module] = {}
    waiting: list[tuple[URIRef, Path]] = [(root, folder / CATALOG)]
    while waiting:
        iri, importer = waiting.pop()
        if iri in modules or iri == CLOSURE_IRI:
            continue
        path = catalog.get(iri)
        if path is None or not path.is_file():
            missing = "is not in the catalog" if path is None else f"is expected at {path}, which does not exist"
            raise ImportNotFound(
                str(importer),
                f"the imported ontology <{iri}> {missing}.",
                f"Add it to {folder / CATALOG}, or drop the import.",
            )
        module = read_module(path)
        if module.iri != iri:
            raise ImportNotFound(
                str(path),
                f"the file declares <{module.iri}>, but the catalog lists it as <{iri}>.",
                "Make the two agree.",
            )
        modules[iri] = module
        waiting.extend((imported, path) for imported in module.imports)
    return Sources(folder, tuple(modules[iri] for iri in sorted(modules)))


def _line(error: BadSyntax) -> int:
    """The line of a syntax error, from 1; the parser's own count is off once it has looked ahead."""
    text: bytes = getattr(error, "_str", b"")
    offset: int = getattr(error, "_i", 0)  # in characters
    return text.decode("utf-8", "replace")[:offset].count("\n") + 1


def _reason(error: BadSyntax) -> str:
    message = str(getattr(error, "_why", "") or error)
    return " ".join(message.split())[:200]
