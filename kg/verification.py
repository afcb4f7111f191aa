"""Holding the two engines against each other: the same patient, every option, everything that a status is read from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product

from rdflib import URIRef

from kg.compiled import CompiledEngine
from kg.facts import PatientFacts, Policy
from kg.guidelines import Guideline
from kg.namespaces import local_name
from kg.reference import ReferenceEngine
from kg.therapies import Therapy
from kg.verdicts import Standing


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the two engines see differently; `aspect` is a field of the standing, or `statements`."""

    guideline: str
    therapy: str
    aspect: str
    compiled: str
    reference: str

    def __str__(self) -> str:
        return f"{self.therapy} by {self.guideline}: {self.aspect} is {self.compiled}, by HermiT {self.reference}"


@dataclass(frozen=True, slots=True)
class Verification:
    """How many options were compared, and what differs."""

    options: int
    differences: tuple[Difference, ...]


def verify(
    compiled: CompiledEngine,
    reference: ReferenceEngine,
    facts: PatientFacts,
    policy: Policy,
    guidelines: tuple[Guideline, ...] = (),
    therapies: tuple[Therapy, ...] = (),
) -> Verification:
    """Let HermiT derive the verdicts of a patient anew and compare them: every truth value, status and statement.

    Without `guidelines` or `therapies`, all of them. Raises ContradictoryRecord, ReasonerTimeout and ReasonerFailure.
    """
    knowledge = compiled.knowledge
    chosen = guidelines or tuple(knowledge.guidelines.values())
    asked = therapies or knowledge.therapies
    ours = compiled.evaluate(facts, policy, chosen)
    theirs = reference.evaluate(facts, policy, chosen, asked)
    differences: list[Difference] = []
    for guideline, therapy in product(chosen, asked):
        one, other = ours.standings[guideline.code, therapy.iri], theirs.standings[guideline.code, therapy.iri]
        name = local_name(therapy.iri)
        differences += [Difference(guideline.code, name, *aspect) for aspect in _different(one, other)]
    for therapy in asked:
        held = ours.held(therapy) & knowledge.statements.keys()
        entailed = theirs.option_types[therapy.iri] & knowledge.statements.keys()
        if held != entailed:
            names = (_names(held - entailed), _names(entailed - held))
            differences.append(Difference("all", local_name(therapy.iri), "statements", *names))
    for guideline in chosen:
        for step in guideline.steps:
            truth = ours.patient_is(str(step)) is True
            if truth is not (step in theirs.patient_types):
                differences.append(Difference(guideline.code, local_name(step), "step", str(truth), str(not truth)))
    return Verification(len(chosen) * len(asked), tuple(differences))


def _different(one: Standing, other: Standing) -> list[tuple[str, str, str]]:
    """Where two standings differ; `in_use` and `but_for_steps` count as far as they are read."""
    found = []
    for field in fields(Standing):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("in_use", "but_for_steps"):
            ours, theirs = ours is True, theirs is True
            if field.name == "but_for_steps" and one.indicated is not False:
                continue
        if ours is not theirs:
            found.append((field.name, str(ours), str(theirs)))
    if one.status is not other.status:
        found.append(("status", one.status.value, other.status.value))
    return found


def _names(terms: frozenset[URIRef]) -> str:
    return ", ".join(sorted(local_name(t) for t in terms)) or "none"
