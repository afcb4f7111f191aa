"""What the compiled engine finds of single contraindications, for tests that look below the answer."""

from __future__ import annotations

from dataclasses import dataclass

from rdflib import URIRef

from kg.answer import Answerer
from kg.compiled import CompiledEngine
from kg.compiler import compile_program
from kg.explanation import Explainer, Missing
from kg.expressions import Truth
from kg.facts import PatientFacts, Policy
from kg.index import positions
from kg.knowledge import Knowledge
from kg.therapies import Therapy


@dataclass(frozen=True, slots=True)
class Judged:
    """A truth value and, while it is unknown, what would decide it."""

    truth: Truth
    missing: frozenset[Missing]


def answerer_of(knowledge: Knowledge) -> Answerer:
    """An answerer for an ontology as it is authored, without a build."""
    return Answerer(CompiledEngine(knowledge, compile_program(knowledge)), {})


def judge_statement(answerer: Answerer, facts: PatientFacts, policy: Policy, statement: URIRef) -> Judged:
    """Whether a contraindication holds for a patient."""
    engine = answerer.engine
    case = engine.evaluate(facts, policy, ()).policy
    condition = engine.program.options[str(statement)].patient
    explainer = Explainer(engine.logic, case, answerer.whole)
    return Judged(engine.logic.patient(condition)(case), explainer.missing(condition))


def judge_therapies(answerer: Answerer, facts: PatientFacts, policy: Policy) -> dict[Therapy, Judged]:
    """Whether each therapy is contraindicated for a patient."""
    engine = answerer.engine
    evaluation = engine.evaluate(facts, policy, ())
    explainer = Explainer(engine.logic, evaluation.policy, answerer.whole)
    found = {}
    for therapy in engine.knowledge.therapies:
        marks = evaluation.marks[therapy.iri]
        truth = marks.among(engine.index.contraindicated)
        missing: frozenset[Missing] = frozenset()
        if truth is None:
            for position in positions(marks.unknown & engine.index.contraindicated):
                missing |= explainer.missing(engine.program.options[engine.index.classes[position]].patient)
        found[therapy] = Judged(truth, missing)
    return found
