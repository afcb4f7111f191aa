"""What one fact alone rules out: contraindications carried down the hierarchies of both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from rdflib import URIRef

from kg.circumstances import Circumstance, Circumstances
from kg.expressions import Expression
from kg.knowledge import Knowledge
from kg.program import Program
from kg.taxonomy import Taxonomy


class Sort(Enum):
    """What sort of fact rules something out."""

    FINDING = "Finding"
    SUBSTANCE = "Substance"
    BAND = "Band"


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A therapy or intervention (`subject`), a fact that alone rules it out (`reason`), and the statement that says so.

    `broader` are the terms that the statement names where the reason is narrower than each of them, `groups` the
    interventions that it names where the subject only stands below them; both are empty when the statement names both
    itself. `intakes` are the groups with their bounds in days, when the reason is a substance.
    """

    subject: URIRef
    sort: Sort
    reason: URIRef
    statement: URIRef
    broader: tuple[URIRef, ...]
    groups: tuple[URIRef, ...]
    intakes: tuple[tuple[str, Expression], ...]

    @property
    def is_inherited(self) -> bool:
        """Whether it holds because of something broader, on either side."""
        return bool(self.broader or self.groups)


@dataclass(frozen=True, slots=True)
class _Reason:
    sort: Sort
    term: URIRef
    broader: tuple[URIRef, ...]
    intakes: tuple[tuple[str, Expression], ...]


def exclusions(knowledge: Knowledge, program: Program, circumstances: Circumstances) -> Iterator[Exclusion]:
    """Every therapy with every finding, substance or band that alone rules it out, by each statement."""
    reasons = {s: _reasons(knowledge.taxonomy, circumstances, program, s) for s in program.contraindicated}
    for therapy in knowledge.therapies:
        for statement in program.concerned[str(therapy.iri)]:
            groups = [URIRef(g) for g in program.options[statement].groups]
            above = tuple(g for g in groups if g not in therapy.uses)
            for reason in reasons.get(statement, ()):
                yield _exclusion(therapy.iri, URIRef(statement), reason, above)


def intervention_exclusions(
    knowledge: Knowledge, program: Program, circumstances: Circumstances
) -> Iterator[Exclusion]:
    """Every substance, procedure or class of them, likewise: where a statement asks for one intervention and no more."""
    for statement in program.contraindicated:
        option = program.options[statement]
        if len(option.groups) != 1 or option.kind is not None:
            continue
        group = URIRef(option.groups[0])
        for reason in _reasons(knowledge.taxonomy, circumstances, program, statement):
            for intervention in sorted(knowledge.taxonomy.below(group)):
                yield _exclusion(intervention, URIRef(statement), reason, (group,) if intervention != group else ())


def _exclusion(subject: URIRef, statement: URIRef, reason: _Reason, groups: tuple[URIRef, ...]) -> Exclusion:
    return Exclusion(subject, reason.sort, reason.term, statement, reason.broader, groups, reason.intakes)


def _reasons(taxonomy: Taxonomy, circumstances: Circumstances, program: Program, statement: str) -> tuple[_Reason, ...]:
    """The facts each of which alone makes a statement hold, with the terms that it names.

    Several findings that are needed together are met by one that stands below all of them.
    """
    named: dict[tuple[Sort, URIRef], set[URIRef]] = {}
    intakes: dict[URIRef, set[tuple[str, Expression]]] = {}
    for circumstance in circumstances.of_option(program.options[statement]):
        sort, terms = _alone(circumstances, circumstance)
        if sort is None:
            continue
        for term in frozenset.intersection(*(taxonomy.below(t) for t in terms)):
            named.setdefault((sort, term), set()).update(terms)
            if sort is Sort.SUBSTANCE:
                intakes.setdefault(term, set()).update((e[1], e[2]) for e in circumstance)
    return tuple(
        _Reason(
            sort,
            term,
            () if term in terms else tuple(sorted(terms)),
            tuple(sorted(intakes.get(term, ()), key=repr)) if sort is Sort.SUBSTANCE else (),
        )
        for (sort, term), terms in sorted(named.items(), key=lambda item: (item[0][0].value, item[0][1]))
    )


def _alone(circumstances: Circumstances, circumstance: Circumstance) -> tuple[Sort | None, tuple[URIRef, ...]]:
    """What sort of one fact can meet a circumstance, and the terms that it names; None if no one fact can."""
    if circumstance and all(requirement[0] == "finding" for requirement in circumstance):
        return Sort.FINDING, tuple(URIRef(requirement[1]) for requirement in circumstance)
    if len(circumstance) == 1:
        (requirement,) = circumstance
        if requirement[0] == "takes":
            return Sort.SUBSTANCE, (URIRef(requirement[1]),)
        band = circumstances.band(requirement)
        if band is not None:
            return Sort.BAND, (band.iri,)
    return None, ()
