"""What answers cost: against HermiT on the same patients, and against the size of the ontology. Figures of one run."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

from rdflib import OWL, RDF, RDFS, BNode, Graph, Literal, URIRef
from rdflib.collection import Collection

from kg.answer import Answerer
from kg.compiled import CompiledEngine
from kg.compiler import compile_program
from kg.errors import InvalidRecord, ReasonerTimeout
from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.patients import AS_OF, Patients, Record
from kg.reference import ReferenceEngine
from kg.request import EligibilityRequest, parse_request

_REPEATED = 5


@dataclass(frozen=True, slots=True)
class Costs:
    """Medians over patients, in seconds: a full answer with explanations, and the statuses alone."""

    patients: int
    answer: float
    statuses: float


@dataclass(frozen=True, slots=True)
class Growth:
    """The costs with a number of statements."""

    statements: int
    costs: Costs


def records(answerer: Answerer, number: int, seed: int) -> tuple[Record, ...]:
    """Invented patients that do not contradict themselves."""
    return tuple(islice(_answerable(answerer, seed), number))


def _answerable(answerer: Answerer, seed: int) -> Iterator[Record]:
    for record in Patients(answerer.knowledge, answerer.engine.program).generate(seed):
        del record["guidelines"]  # all of them
        try:
            answerer.read(_parsed(record), AS_OF)
        except InvalidRecord:
            continue
        yield record


def _parsed(record: Record) -> EligibilityRequest:
    return parse_request(json.dumps(record))


def costs(answerer: Answerer, asked: Iterable[Record]) -> Costs:
    """Time each patient several times and take the best, so that what else the machine does counts little."""
    full, statuses = [], []
    gc.collect()
    gc.freeze()
    for request in map(_parsed, asked):
        facts = answerer.read(request, AS_OF).facts
        guidelines = answerer.guidelines(request.guidelines)
        policy = request.unreported_findings
        full.append(_best(partial(answerer.answer, today=AS_OF), request))
        statuses.append(_best(partial(answerer.engine.evaluate, policy=policy, guidelines=guidelines), facts))
    gc.unfreeze()
    return Costs(len(full), median(full), median(statuses))


def _best(work: Callable[[Any], object], argument: object) -> float:
    times = []
    for _ in range(_REPEATED):
        start = time.perf_counter()
        work(argument)
        times.append(time.perf_counter() - start)
    return min(times)


def reasoner_seconds(
    answerer: Answerer, reference: ReferenceEngine, asked: Iterable[Record], report: Callable[[str], None]
) -> float:
    """The median of what HermiT takes to derive the verdicts of the same patients; a time-out counts as its deadline."""
    times = []
    for number, request in enumerate(map(_parsed, asked), 1):
        facts = answerer.read(request, AS_OF).facts
        start = time.perf_counter()
        try:
            for guideline in answerer.guidelines(request.guidelines):
                reference.narrowed(guideline).evaluate(facts, request.unreported_findings, [guideline])
        except ReasonerTimeout:
            report(f"patient {number}: HermiT gave no answer in time")
        times.append(time.perf_counter() - start)
        report(f"patient {number}: HermiT took {times[-1]:.1f} s")
    return median(times)


def growth(knowledge: Knowledge, factors: Iterable[int], patients: int, seed: int) -> list[Growth]:
    """The costs for the same patients with so many times the statements: contraindications of invented findings."""
    plain = Answerer(CompiledEngine(knowledge, compile_program(knowledge)), {})
    asked = records(plain, patients, seed)
    found = []
    for factor in factors:
        graph = Graph()
        graph += knowledge.graph
        _enlarge(graph, knowledge, factor)
        larger = Knowledge(graph)
        answerer = Answerer(CompiledEngine(larger, compile_program(larger)), {})
        found.append(Growth(len(larger.statements), costs(answerer, asked)))
    return found


def _enlarge(graph: Graph, knowledge: Knowledge, factor: int) -> None:
    """Add contraindications until there are `factor` times the statements, each of an intervention in turn."""
    used = sorted({u for t in knowledge.therapies for u in t.uses})
    for number in range((factor - 1) * len(knowledge.statements)):
        finding, statement = NXL[f"InventedFinding{number}"], NXL[f"InventedContraindication{number}"]
        for term, parent in ((finding, NXL.Finding), (statement, NXL.ContraindicatedOption)):
            graph.add((term, RDF.type, OWL.Class))
            graph.add((term, RDFS.subClassOf, parent))
            graph.add((term, RDFS.label, Literal(f"invented {number}", lang="en")))
        graph.add((statement, NXL.statement, Literal("An invented statement.", lang="en")))
        patient = _some(graph, NXL.forPatient, _some(graph, NXL.hasFinding, finding))
        parts = [NXL.TherapyOption, _some(graph, NXL.uses, used[number % len(used)]), patient]
        definition, head = BNode(), BNode()
        Collection(graph, head, list(parts))
        graph.add((definition, OWL.intersectionOf, head))
        graph.add((statement, OWL.equivalentClass, definition))


def _some(graph: Graph, property_: URIRef, filler: URIRef | BNode) -> BNode:
    node = BNode()
    graph.add((node, OWL.onProperty, property_))
    graph.add((node, OWL.someValuesFrom, filler))
    return node
