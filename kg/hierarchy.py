"""The classified hierarchy in the form that the compiled engine looks things up in: sets of IRIs, made once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from rdflib import URIRef

from kg.knowledge import Knowledge
from kg.program import Denial


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a finding implies and leaves open.

    `above` holds it and what subsumes it, `below` it and what it subsumes, `around` everything above something below:
    of these the finding tells no more than that they may be there.
    """

    above: frozenset[str]
    below: frozenset[str]
    around: frozenset[str]


class Hierarchy:
    """Findings and interventions by IRI."""

    def __init__(self, knowledge: Knowledge, denials: Iterable[Denial]) -> None:
        self._knowledge = knowledge
        taxonomy = knowledge.taxonomy
        self.never_assumed_absent = frozenset(
            str(a) for kept in knowledge.never_assumed_absent for a in taxonomy.above(kept)
        )
        self._findings: dict[str, Surroundings] = {}
        self._relations: dict[URIRef, dict[str, bool | None]] = {}
        self._leaves: dict[URIRef, bool] = {}
        denied: dict[str, set[str]] = defaultdict(set)
        for denial in denials:
            denied[denial.of] |= self.finding(URIRef(denial.finding)).below
        self._denied = {of: frozenset(findings) for of, findings in denied.items()}

    def finding(self, term: URIRef | str) -> Surroundings:
        """The surroundings of a finding."""
        known = self._findings.get(term)
        if known is None:
            taxonomy = self._knowledge.taxonomy
            above, below = taxonomy.above(URIRef(term)), taxonomy.below(URIRef(term))
            around = {str(a) for narrower in below for a in taxonomy.above(narrower)}
            known = Surroundings(frozenset(map(str, above)), frozenset(map(str, below)), frozenset(around))
            self._findings[term] = known
        return known

    def left_open(self, finding: Surroundings, denied: frozenset[str]) -> frozenset[str]:
        """What a finding leaves open: everything above something below it that is not denied."""
        if denied.isdisjoint(finding.below):
            return finding.around
        return frozenset[str]().union(*(self.finding(n).above for n in finding.below - denied))

    def denied_by(self, patient_class: str) -> frozenset[str]:
        """The findings that patients of a class never have."""
        return self._denied.get(patient_class, frozenset())

    def wash_out_days(self, group: URIRef) -> int:
        """The longest time since the last intake that the ontology asks about for a group, in days."""
        return self._knowledge.wash_out_days(group)

    def is_leaf(self, substance: URIRef) -> bool:
        """Whether nothing is more specific than an intervention."""
        known = self._leaves.get(substance)
        if known is None:
            known = self._leaves[substance] = self._knowledge.interventions.is_leaf(substance)
        return known

    def relation(self, substance: URIRef, group: str) -> bool | None:
        """Whether a substance or class of substances is of a group: true, false (never), or None (a member may be)."""
        relations = self._relations.get(substance)
        if relations is None:
            relations = self._relations[substance] = {}
        if group not in relations:
            other = URIRef(group)
            if self._knowledge.interventions.is_a(substance, other):
                relations[group] = True
            else:
                relations[group] = False if self._knowledge.are_disjoint(substance, other) else None
        return relations[group]
