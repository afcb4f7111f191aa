"""An answer as RDF: the options as individuals of what was inferred of them, and where the answer comes from (PROV-O)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from rdflib import DCTERMS, OWL, PROV, RDF, RDFS, XSD, Graph, Literal, Namespace, URIRef

from kg.build import software_version
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.store import ResultFormat, write_graph
from kg.verdicts import Status

_ANSWERS = "https://w3id.org/nextline/answers/"
_RECORDS = Namespace("https://w3id.org/nextline/records/")
_SOFTWARE = "https://w3id.org/nextline/software/"
_SAID_OF_STATEMENTS = (
    RDFS.label,
    DCTERMS.source,
    NXL.editorialNote,
    NXL.guideline,
    NXL.jurisdiction,
    NXL.locator,
    NXL.rationale,
    NXL.reviewStatus,
    NXL.severity,
    NXL.strength,
)
_SAID_OF_REFERENCES = (RDFS.label, RDFS.seeAlso, DCTERMS.title)
_PREFIXES = {
    "dcterms": str(DCTERMS),
    "nxl": str(NXL),
    "owl": str(OWL),
    "prov": str(PROV),
    "rdf": str(RDF),
    "rdfs": str(RDFS),
    "xsd": str(XSD),
}


def answer_graph(answer: Mapping[str, Any], knowledge: Knowledge) -> Graph:
    """The graph of an answer that `kg.answer` gave from the same knowledge; it has no blank nodes.

    Everything in it is named after the answer, whose IRI is made from the hash of the request, the as-of date, the
    knowledge and the software: the same question gives the same graph. The record is named by its hash alone.
    """
    return _Writer(answer, knowledge).write()


def serialise_answer(answer: Mapping[str, Any], knowledge: Knowledge, format_: ResultFormat) -> bytes:
    """An answer in a format for graphs; the same answer always gives the same bytes."""
    return write_graph(answer_graph(answer, knowledge).serialize(format="nt", encoding="utf-8"), format_, _PREFIXES)


class _Writer:
    def __init__(self, answer: Mapping[str, Any], knowledge: Knowledge) -> None:
        self.answer = answer
        self.knowledge = knowledge
        self.software = software_version()
        self.graph = Graph()
        version = answer["knowledge"]
        named_by = (answer["inputHash"], answer["asOf"], answer["engine"], self.software, *sorted(version.items()))
        self.iri = URIRef(_ANSWERS + hashlib.sha256(json.dumps(named_by).encode("utf-8")).hexdigest())
        self.patient = self.part("patient")
        self.guidelines = {guideline["code"]: guideline for guideline in answer["guidelines"]}
        self.text = NXL.layStatement if answer["audience"] == "patient" else NXL.statement
        self.lines = self.by_code(NXL.TreatmentLine)
        self.strengths = self.by_code(NXL.StrengthOfRecommendation)
        self.quantities = {str(code): q for q in knowledge.quantities for code in knowledge.graph.objects(q, NXL.code)}

    def by_code(self, kind: URIRef) -> dict[str, URIRef]:
        """The individuals of a class by the code that answers use."""
        graph = self.knowledge.graph
        return {str(graph.value(i, NXL.code)): URIRef(str(i)) for i in graph.subjects(RDF.type, kind)}

    def part(self, *path: str, of: URIRef | None = None) -> URIRef:
        """The name of a part of the answer."""
        return URIRef("/".join([str(of or self.iri), *(quote(step, safe="") for step in path)]))

    def add(self, subject: URIRef, predicate: URIRef, *values: Any) -> None:
        """State something; what is None is not said, and a text without a type is English."""
        for value in values:
            if isinstance(value, str) and not isinstance(value, URIRef | Literal):
                self.graph.add((subject, predicate, Literal(value, lang="en")))
            elif value is not None:
                self.graph.add((subject, predicate, value if isinstance(value, URIRef | Literal) else Literal(value)))

    def term(self, id_: str) -> URIRef:
        """The term that an answer names by its code or local name."""
        return self.quantities.get(id_, NXL[id_])

    def write(self) -> Graph:
        self.provenance()
        self.add(self.patient, RDF.type, NXL.Patient)
        if self.answer["patient"] is not None:
            self.add(self.patient, DCTERMS.identifier, Literal(self.answer["patient"]))
        for position, option in enumerate(self.answer["options"], start=1):
            self.option(option, position)
        for step in self.answer["steps"]:
            self.step(step)
        for issue in self.answer["inputIssues"]:
            self.issue(issue)
        return self.graph

    # -- the answer and where it comes from

    def provenance(self) -> None:
        answer, iri = self.answer, self.iri
        evaluation = self.part("evaluation")
        engine = URIRef(f"{_SOFTWARE}{quote(self.software, safe='')}/{quote(answer['engine'], safe='')}")
        version = URIRef(answer["knowledge"]["versionIri"])
        record = _RECORDS[answer["inputHash"]]
        self.add(iri, RDF.type, PROV.Entity)
        self.add(iri, NXL.asOf, Literal(answer["asOf"], datatype=XSD.date))
        self.add(iri, NXL.disclaimer, answer["notice"])
        self.add(iri, NXL.guideline, *(URIRef(g["id"]) for g in answer["guidelines"]))
        self.add(iri, PROV.wasGeneratedBy, evaluation)
        self.add(iri, PROV.wasAttributedTo, engine)
        self.add(iri, PROV.wasDerivedFrom, record, version)
        self.add(evaluation, RDF.type, PROV.Activity)
        self.add(evaluation, NXL.unreportedFindings, Literal(answer["unreportedFindings"]))
        self.add(evaluation, PROV.used, record, version)
        self.add(evaluation, PROV.wasAssociatedWith, engine)
        self.add(engine, RDF.type, PROV.SoftwareAgent)
        self.add(engine, RDFS.label, f"Nextline, {answer['engine']} engine")
        self.add(engine, OWL.versionInfo, Literal(self.software))
        self.add(version, RDF.type, PROV.Entity)
        self.add(version, DCTERMS.identifier, Literal(f"sha256:{answer['knowledge']['contentHash']}"))
        self.add(record, RDF.type, PROV.Entity)
        self.add(record, DCTERMS.identifier, Literal(f"sha256:{answer['inputHash']}"))

    def statement(self, iri: URIRef) -> None:
        """What the ontology says of a statement that the answer uses, and the references that it rests on."""
        told = self.knowledge.graph
        self.add(iri, RDF.type, OWL.Class)
        known = self.knowledge.statements.get(iri)
        self.add(iri, RDFS.subClassOf, known.kind if known is not None else None)
        for predicate in (*_SAID_OF_STATEMENTS, self.text):
            self.add(iri, predicate, *told.objects(iri, predicate))
        for reference in told.objects(iri, DCTERMS.source):
            source = URIRef(str(reference))
            self.add(self.iri, PROV.wasDerivedFrom, source)
            self.add(source, RDF.type, NXL.Reference, PROV.Entity)
            for predicate in _SAID_OF_REFERENCES:
                self.add(source, predicate, *told.objects(source, predicate))

    # -- options

    def option(self, option: Mapping[str, Any], position: int) -> None:
        iri = self.option_iri(option["therapy"]["id"])
        therapy = URIRef(option["therapy"]["iri"])
        self.add(self.iri, DCTERMS.hasPart, iri)
        self.add(iri, RDF.type, OWL.NamedIndividual, NXL.TherapyOption, therapy)
        self.add(iri, RDFS.label, option["therapy"]["label"])
        self.add(iri, NXL.forPatient, self.patient)
        self.add(iri, NXL.status, None if option["status"] is None else Literal(option["status"]))
        self.add(iri, NXL.agreement, Literal(option["agreement"]))
        self.add(iri, NXL.inUse, option["inUse"])
        self.add(iri, NXL.rank, position)
        self.reasons(iri, iri, option)
        self.add(iri, NXL.assumedAbsent, *(self.term(assumed["id"]) for assumed in option["assumedAbsent"]))
        for standing in option["guidelines"]:
            self.standing(iri, option["therapy"]["id"], standing)

    def standing(self, option: URIRef, therapy: str, standing: Mapping[str, Any]) -> None:
        """What a guideline makes of an option."""
        iri = self.part("standing", standing["guideline"], therapy)
        self.add(option, NXL.standing, iri)
        self.add(iri, NXL.guideline, URIRef(self.guidelines[standing["guideline"]]["id"]))
        self.add(iri, NXL.status, Literal(standing["status"]))
        self.add(iri, NXL.line, self.lines.get(standing["line"]))
        self.add(iri, NXL.strength, self.strengths.get(standing["strength"]))
        if standing["status"] == Status.ELIGIBLE.value:
            self.add(option, RDF.type, self.knowledge.guidelines[standing["guideline"]].eligible)
        self.reasons(iri, option, standing)
        for step in standing["unmetSteps"]:
            self.add(iri, NXL.unmetStep, URIRef(step["step"]))
            self.add(URIRef(step["step"]), RDFS.label, self.knowledge.label(URIRef(step["step"])))
        self.add(iri, NXL.alternative, *(self.option_iri(other) for other in standing["alternatives"]))

    def reasons(self, iri: URIRef, option: URIRef, told: Mapping[str, Any]) -> None:
        """Why an option, or its standing, is what it is: the statements for it, those against it, and what is missing."""
        for reason in told["because"]:
            self.reason(iri, option, reason)
        for reason in told["whyNot"]:
            if "statement" in reason:
                self.add(iri, NXL.rejectedBy, URIRef(reason["statement"]))
                self.statement(URIRef(reason["statement"]))
        for missing in told["missing"]:
            self.missing(iri, missing)

    def option_iri(self, therapy: str) -> URIRef:
        return self.part("option", therapy)

    def reason(self, of: URIRef, option: URIRef, reason: Mapping[str, Any]) -> None:
        """A statement that holds for an option: a class of it, and a reason that names the facts."""
        statement = URIRef(reason["statement"])
        iri = self.part("because", local_name(statement), of=of)
        self.add(option, RDF.type, statement)
        self.add(of, NXL.because, iri)
        self.add(iri, RDF.type, PROV.Entity)
        self.add(iri, NXL.about, statement)
        self.add(iri, PROV.wasDerivedFrom, *self.facts(reason["facts"]))
        self.statement(statement)

    def facts(self, facts: Iterable[Mapping[str, Any]]) -> list[URIRef]:
        return [self.fact(fact) for fact in facts]

    def fact(self, fact: Mapping[str, Any]) -> URIRef:
        place = fact.get("place")
        iri = self.part("fact", fact["fact"], *(str(fact[k]) for k in ("id", "place") if fact.get(k)))
        self.add(iri, RDF.type, PROV.Entity)
        self.add(iri, NXL.kind, Literal(fact["fact"]))
        self.add(iri, RDFS.label, fact.get("label"))
        self.add(iri, RDFS.comment, fact.get("reason"))
        self.add(iri, NXL.about, self.term(fact["id"]) if "id" in fact else None)
        self.add(iri, NXL.locator, None if place is None else Literal(place))
        if "value" in fact:
            self.add(iri, RDF.value, Literal(fact["value"]))
            self.add(iri, NXL.ucumUnit, Literal(fact["unit"]) if "unit" in fact else None)
        if fact.get("date"):
            self.add(iri, DCTERMS.date, Literal(fact["date"], datatype=XSD.date))
        return iri

    def missing(self, option: URIRef, missing: Mapping[str, Any]) -> None:
        fact = missing["fact"]
        field = fact.get("field")
        iri = self.part("missing", missing["type"], fact["id"], *([field] if field else []), of=option)
        self.add(option, NXL.missing, iri)
        self.add(iri, NXL.kind, Literal(missing["type"]))
        self.add(iri, RDFS.label, fact["label"])
        if field is None:
            self.add(iri, NXL.about, self.term(fact["id"]))
        else:
            self.add(iri, NXL.locator, Literal(fact["id"]))
        self.add(iri, NXL.decides, *(Literal(decided) for decided in missing["decides"]))
        self.add(iri, NXL.leavesOpen, *(URIRef(s["statement"]) for s in missing["statements"]))

    # -- the patient

    def step(self, step: Mapping[str, Any]) -> None:
        """A step that is met is a class of the patient, and so is every way in which it was met."""
        if step["met"]:
            self.add(self.patient, RDF.type, URIRef(step["step"]))
            self.add(URIRef(step["step"]), RDFS.label, self.knowledge.label(URIRef(step["step"])))
            for way in step["how"]:
                if "statement" in way:
                    self.add(self.patient, RDF.type, URIRef(way["statement"]))
                    self.statement(URIRef(way["statement"]))

    def issue(self, issue: Mapping[str, str]) -> None:
        iri = self.part("issue", issue["kind"], issue["place"])
        self.add(self.iri, NXL.inputIssue, iri)
        self.add(iri, NXL.kind, Literal(issue["kind"]))
        self.add(iri, NXL.locator, Literal(issue["place"]))
        self.add(iri, RDFS.comment, issue["message"])
