"""When a statement holds, as alternatives: each a set of requirements that have to be met together.

A requirement is an expression of the program that is not taken apart any further: a finding, its absence, an intake, a
quantity, a sex, a course, or a named class of patients that stays as it is, such as a step of a guideline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

from rdflib import URIRef

from kg.expressions import EVERYTHING, NOTHING, Expression, walk
from kg.namespaces import FLAT, local_name
from kg.program import OptionClass, Program

Circumstance: TypeAlias = frozenset[Expression]

_ON_TRIALS = ("had-course", "whole")
_MOST_ALTERNATIVES = 16


@dataclass(frozen=True, slots=True)
class Band:
    """The patients whose value of a quantity lies within bounds: a class of the ontology or, without a name, one of ours."""

    iri: URIRef
    quantity: URIRef
    interval: Expression


class Circumstances:
    """Takes the conditions of one program apart.

    A named class of patients is kept as one requirement when it is a step of a guideline or a band of one quantity, when
    it rests on earlier trials, and when taking it apart would give more than 16 alternatives.
    """

    def __init__(self, program: Program) -> None:
        self._classes: Mapping[str, Expression] = program.classes
        self.steps = frozenset(step for rules in program.rules.values() for step in rules.steps)
        self._known: dict[str, tuple[Circumstance, ...]] = {}

    def of_option(self, option: OptionClass) -> tuple[Circumstance, ...]:
        """The circumstances of a class of options: what it asks of the patient, and of earlier trials of the option."""
        tried = [("repeats", course) for course in option.repeats] + [("shares", part) for part in option.shares]
        return tuple(found | frozenset(tried) for found in self.of(option.patient))

    def of(self, condition: Expression) -> tuple[Circumstance, ...]:
        """The alternatives of a condition on a patient, none of which contains another; none if it is never met.

        >>> program = Program({}, {}, {}, (), (), {})
        >>> [sorted(c) for c in Circumstances(program).of(("any", ("finding", "a"), ("all", ("finding", "b"), ("finding", "c"))))]
        [[('finding', 'a')], [('finding', 'b'), ('finding', 'c')]]
        """
        match condition:
            case ("everything",):
                return (frozenset(),)
            case ("nothing",):
                return ()
            case ("any", *parts):
                return _least(c for part in parts for c in self.of(part))
            case ("all", *parts):
                return _least(frozenset().union(*chosen) for chosen in product(*(self.of(part) for part in parts)))
            case ("named", name):
                return self._of_named(name)
            case ("not", ("any" | "all" as operator, *parts)):
                return self.of(("all" if operator == "any" else "any", *(("not", part) for part in parts)))
            case ("not", ("not", part)):
                return self.of(part)
            case ("not", ("everything",)):
                return self.of(NOTHING)
            case ("not", ("nothing",)):
                return self.of(EVERYTHING)
        return (frozenset({condition}),)

    def band(self, requirement: Expression) -> Band | None:
        """The band that a requirement asks for; None if it asks for something else."""
        match requirement:
            case ("quantity", quantity, interval):
                return Band(FLAT[f"band/{local_name(quantity)}/{short(interval)}"], URIRef(quantity), interval)
            case ("named", name):
                found = self.band(self._classes[name])
                return found and replace(found, iri=URIRef(name))
        return None

    def _of_named(self, name: str) -> tuple[Circumstance, ...]:
        if name not in self._known:
            whole: tuple[Circumstance, ...] = (frozenset({("named", name)}),)
            apart = whole
            if not (name in self.steps or self.band(("named", name)) or self._rests_on_trials(self._classes[name])):
                apart = self.of(self._classes[name])
            self._known[name] = apart if len(apart) <= _MOST_ALTERNATIVES else whole
        return self._known[name]

    def _rests_on_trials(self, condition: Expression) -> bool:
        return any(
            inner[0] in _ON_TRIALS or (inner[0] == "named" and self._rests_on_trials(self._classes[inner[1]]))
            for inner in walk(condition)
        )


def _least(found: Iterable[Circumstance]) -> tuple[Circumstance, ...]:
    """Those that contain no other: what asks for more than another adds nothing. In a fixed order."""
    unique = set(found)
    return tuple(sorted((c for c in unique if not any(o < c for o in unique)), key=lambda c: sorted(map(repr, c))))


def short(expression: Expression) -> str:
    """A name for an expression, which stays the same as long as the expression does."""
    return hashlib.sha256(repr(expression).encode("utf-8")).hexdigest()[:10]
