"""The example patients: a request each, the same patient as OWL for Protégé, and the verdicts that the reasoner gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rdflib import DCTERMS, OWL, RDF, RDFS, Graph, Literal, URIRef

from kg.abox import Reading, patient_axioms
from kg.canonical import content_hash
from kg.errors import InvalidRecord, NotWritable
from kg.knowledge import Knowledge
from kg.namespaces import CLOSURE_IRI, NXL, ROOT_IRI
from kg.reading import read_record
from kg.reference import ReferenceEngine
from kg.request import EligibilityRequest, parse_request
from kg.sources import Sources, read_module
from kg.vocabulary import Vocabulary

VERDICTS = "verdicts.ttl"
_VERDICTS_IRI = URIRef("https://w3id.org/nextline/examples/verdicts")
# Examples state their as-of date; this stands in where one does not, so that the files never depend on the day.
_DAY = date(2026, 1, 1)
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Example:
    """A ready-made request with its title."""

    id: str
    title: str
    request: EligibilityRequest

    @property
    def base(self) -> str:
        """The namespace of the individuals of the example."""
        return f"https://w3id.org/nextline/examples/{self.id}/"


def read_examples(ontology: Path) -> tuple[Example, ...]:
    """The examples in `ontology/examples`, by id. Raises InvalidRecord naming the file."""
    examples = []
    for path in sorted((ontology / "examples").glob("*.json")):
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            examples.append(Example(path.stem, str(document["title"]), parse_request(json.dumps(document["request"]))))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidRecord(
                str(path), f"the example cannot be read ({error}).", 'Give it a "title" and a "request".'
            ) from None
        except InvalidRecord as error:
            raise InvalidRecord(f"{path}: {error.place}", error.problem, error.mend) from None
    return tuple(examples)


def example_axioms(knowledge: Knowledge, example: Example) -> Graph:
    """The example as an ontology of its own: the patient under the policy of the request, importing root and closure."""
    read = read_record(knowledge, Vocabulary(knowledge), example.request, _DAY)
    reading = Reading.of(example.request.unreported_findings)
    axioms = patient_axioms(knowledge, read.facts, reading, base=example.base)
    graph = axioms.graph
    graph.add((axioms.patient, RDFS.label, Literal(example.title, lang="en")))
    iri = URIRef(example.base.rstrip("/"))
    graph.add((iri, RDF.type, OWL.Ontology))
    graph.add((iri, OWL.imports, ROOT_IRI))
    graph.add((iri, OWL.imports, CLOSURE_IRI))
    graph.add((iri, DCTERMS.title, Literal(example.title, lang="en")))
    return graph


def write_examples(sources: Sources) -> tuple[Path, ...]:
    """Write the OWL file of every example whose meaning changed, and return those files. Raises NotWritable, InvalidRecord."""
    knowledge = Knowledge(sources.graph)
    written = []
    for example in read_examples(sources.folder):
        path = sources.folder / "examples" / f"{example.id}.ttl"
        text = example_axioms(knowledge, example).serialize(format="turtle")
        meaning = content_hash(Graph().parse(data=text, format="turtle"))
        if not path.is_file() or content_hash(read_module(path).graph) != meaning:
            _write(path, text)
            written.append(path)
    return tuple(written)


def write_verdicts(engine: ReferenceEngine, ontology: Path, source_hash: str, report: Report) -> Path:
    """Evaluate every example and write what was inferred, with the hash of the sources. Raises NotWritable."""
    graph = example_verdicts(engine, ontology, report)
    graph.bind("nxl", NXL)
    graph.add((_VERDICTS_IRI, RDF.type, OWL.Ontology))
    graph.add((_VERDICTS_IRI, NXL.sourceHash, Literal(source_hash)))
    path = ontology / "examples" / VERDICTS
    _write(path, graph.serialize(format="turtle"))
    return path


def examples_hash(ontology: Path) -> str:
    """SHA-256 over the files of the examples, so that a build knows when it is out of date."""
    digest = hashlib.sha256()
    for path in sorted((ontology / "examples").glob("*.ttl")):
        digest.update(path.name.encode("utf-8") + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def example_graph(ontology: Path) -> Graph:
    """The axioms of all example files, without verdicts."""
    graph = Graph()
    for path in sorted((ontology / "examples").glob("*.ttl")):
        if path.name != VERDICTS:
            graph += read_module(path).graph
    return graph


def stored_verdicts(ontology: Path, source_hash: str) -> Graph | None:
    """The committed verdicts if they were made from sources with this hash, else None."""
    path = ontology / "examples" / VERDICTS
    if not path.is_file():
        return None
    graph = read_module(path).graph
    return graph if (_VERDICTS_IRI, NXL.sourceHash, Literal(source_hash)) in graph else None


def example_verdicts(engine: ReferenceEngine, ontology: Path, report: Report) -> Graph:
    """The status and the inferred statements of every option of every example."""
    graph = Graph()
    knowledge = engine.knowledge
    examples = read_examples(ontology)
    for number, example in enumerate(examples, 1):
        report(f"evaluating example {number} of {len(examples)}: {example.title}")
        read = read_record(knowledge, engine.vocabulary, example.request, _DAY)
        chosen = [knowledge.guidelines[c] for c in (example.request.guidelines or tuple(knowledge.guidelines))]
        evaluation = engine.evaluate(read.facts, example.request.unreported_findings, chosen)
        for (code, therapy), standing in evaluation.standings.items():
            option = URIRef(f"{example.base}option-{str(therapy).rsplit('/', 1)[-1]}")
            graph.add((option, NXL.status, Literal(standing.status.value)))
            if standing.status.value == "eligible":
                graph.add((option, RDF.type, knowledge.guidelines[code].eligible))
            inferred = evaluation.option_types[therapy]
            for statement in knowledge.taxonomy.most_specific(inferred & knowledge.statements.keys()):
                graph.add((option, RDF.type, statement))
        patient = URIRef(f"{example.base}patient")
        for step in evaluation.patient_types & knowledge.statements.keys():
            graph.add((patient, RDF.type, step))
    return graph


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotWritable(
            str(path), f"cannot be written ({error.strerror}).", "Give the folder write permission."
        ) from None
