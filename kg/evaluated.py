"""One record as it was read and evaluated, with what explains it in the words of its audience."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from kg.catalogue import Catalogue, Row
from kg.compiled import CompiledEngine, CompiledEvaluation
from kg.explanation import Explainer, Fact, Gap, Missing, Proof, WholeClasses
from kg.reading import ReadRecord
from kg.request import EligibilityRequest
from kg.selection import Selection


class Evaluated:
    """What the parts of an answer are written from.

    `touched` are the contraindications of which the record says something, `courses` the past courses by their place in
    the request, `documented` and `policy` explain the two readings of silence.
    """

    def __init__(
        self,
        engine: CompiledEngine,
        whole: WholeClasses,
        request: EligibilityRequest,
        read: ReadRecord,
        evaluation: CompiledEvaluation,
        selection: Selection,
        catalogue: Catalogue,
        *,
        tree: bool,
    ) -> None:
        self.engine = engine
        self.whole = whole
        self.knowledge = engine.knowledge
        self.index = engine.index
        self.request = request
        self.read = read
        self.facts = read.facts
        self.evaluation = evaluation
        self.guidelines = selection.guidelines
        self.selection = selection
        self.tree = tree
        self.catalogue = catalogue
        self.phrases = catalogue.phrases
        self.documented = Explainer(engine.logic, evaluation.documented, whole)
        self.policy = Explainer(engine.logic, evaluation.policy, whole)
        self.reading = evaluation.policy.reading
        self.forbidding = self.index.contraindicated & ~selection.left_out
        self.touched = self.index.touched(self.facts) & self.forbidding
        self.courses = {c.source_index: c for c in self.facts.courses}
        self._cited: dict[Fact, Row] = {}
        self._rank_of_course = {c.source_index: rank for rank, c in enumerate(self.facts.courses)}

    @cached_property
    def undecided(self) -> Explainer:
        """Explains what silence leaves open, whatever the request reads it as."""
        return Explainer(self.engine.logic, self.evaluation.undecided, self.whole)

    def cite(self, facts: Iterable[Fact]) -> list[Row]:
        """Facts of the record as answers cite them."""
        return [self._cite(fact) for fact in sorted(facts, key=self._order_of_fact)]

    def _order_of_fact(self, fact: Fact) -> tuple[object, ...]:
        """Where a fact is listed among others: by what it is, not by where it was sent."""
        return (fact.kind, fact.term, self._rank_of_course.get(fact.position, fact.position))

    def _cite(self, fact: Fact) -> Row:
        known = self._cited.get(fact)
        if known is None:
            known = self._cited[fact] = self.phrases.fact(fact, self.facts, self.read.places)
        return known

    def explanation(self, proof: Proof) -> Row:
        """A proof as a tree: each condition with what it rests on."""
        return {
            "condition": self.phrases.condition(proof.condition),
            "holds": proof.holds,
            "facts": self.cite(proof.facts) if not proof.parts else [],
            "parts": [self.explanation(part) for part in proof.parts],
        }

    def gaps_at(self, position: int) -> frozenset[Missing]:
        """What is missing of a contraindication."""
        if self.touched >> position & 1:
            return self.policy.missing(self.catalogue.conditions[position])
        return self.catalogue.gaps(self.reading, self.facts.sex)[position]

    def order_of(self, gap: Missing) -> tuple[object, ...]:
        """Where a missing fact is listed among others; the order in which courses were sent never matters."""
        return (gap.gap, gap.term, self._rank_of_course.get(gap.course, -1), gap.field)

    def missing(self, gap: Missing) -> Row:
        """A missing fact as answers name it; of a stop that nobody knows, also the course that it is missing of."""
        row = self.phrases.missing(gap, self.courses.get(gap.course))
        place = self._unknown_stops.get(gap.term) if gap.gap is Gap.INCOMPLETE and gap.course < 0 else None
        return row if place is None else row | {"fact": {**row["fact"], "place": place, "field": "end"}}

    @cached_property
    def _unknown_stops(self) -> dict[str, str]:
        """The places of the courses of which nobody knows when they ended, by the substance taken."""
        return {
            str(m.substance): place
            for m in self.facts.medications
            if m.days_since_last is None
            and (place := self.read.places.get(("medication", (str(m.substance), None, m.at_most_days))))
        }
