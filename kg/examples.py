"""The example patients: a request each, the same patient as OWL for Protégé, and the verdicts that the reasoner gives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rdflib import DCTERMS, OWL, RDF, RDFS, Graph, Literal, URIRef

from kg.abox import Reading, patient_axioms
from kg.canonical import content_hash
from kg.compiled import CompiledEngine
from kg.errors import InvalidRecord, NotWritable
from kg.knowledge import Knowledge
from kg.namespaces import CLOSURE_IRI, NXL, ROOT_IRI, local_name
from kg.reading import read_record
from kg.request import EligibilityRequest, parse_request
from kg.sources import Sources, read_module
from kg.verdicts import Status
from kg.vocabulary import Vocabulary

# Examples state their as-of date; this stands in where one does not, so that the files never depend on the day.
_DAY = date(2026, 1, 1)


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


def example_graph(ontology: Path) -> Graph:
    """The axioms of all example files, without verdicts."""
    graph = Graph()
    for path in sorted((ontology / "examples").glob("*.ttl")):
        graph += read_module(path).graph
    return graph


def example_verdicts(engine: CompiledEngine, ontology: Path) -> Graph:
    """The status of every option of every example, the statements that hold for it, and the steps of the patient."""
    graph = Graph()
    knowledge = engine.knowledge
    vocabulary, told = Vocabulary(knowledge), knowledge.statements.keys()
    for example in read_examples(ontology):
        facts = read_record(knowledge, vocabulary, example.request, _DAY).facts
        chosen = [knowledge.guidelines[c] for c in (example.request.guidelines or tuple(knowledge.guidelines))]
        evaluation = engine.evaluate(facts, example.request.unreported_findings, chosen)
        for therapy in knowledge.therapies:
            name = local_name(therapy.iri)
            option = URIRef(f"{example.base}option-{name}")
            graph += ((option, RDF.type, statement) for statement in evaluation.held(therapy) & told)
            for guideline in chosen:
                status = evaluation.standing(guideline.code, therapy.iri).status
                standing = URIRef(f"{example.base}standing-{guideline.code}-{name}")
                graph.add((option, NXL.standing, standing))
                graph.add((standing, NXL.guideline, guideline.iri))
                graph.add((standing, NXL.status, Literal(status.value)))
                if status is Status.ELIGIBLE:
                    graph.add((option, RDF.type, guideline.eligible))
        patient = URIRef(f"{example.base}patient")
        for name in engine.program.classes.keys() & map(str, knowledge.statements):
            if knowledge.stated.is_a(URIRef(name), NXL.Patient) and evaluation.patient_is(name):
                graph.add((patient, RDF.type, URIRef(name)))
    return graph


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotWritable(
            str(path), f"cannot be written ({error.strerror}).", "Give the folder write permission."
        ) from None
