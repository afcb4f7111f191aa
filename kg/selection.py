"""What of the ontology a request wants to hear: which guidelines, which jurisdiction, from which review status on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rdflib import RDF, URIRef

from kg.compiled import CompiledEngine
from kg.errors import InvalidRecord, UnknownGuideline
from kg.guidelines import Guideline
from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.request import EVERY_JURISDICTION, EligibilityRequest
from kg.statements import Statement

# What a review status filters. All else warns or forbids, and applies with its status shown.
_FILTERED = frozenset({"indication", "prerequisite", "dosing"})
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Selection:
    """The guidelines of an answer in their order, and the statements that it takes as not made.

    `left_out` is the same statements as a set of the index of options.
    """

    guidelines: tuple[Guideline, ...]
    statements_left_out: tuple[Statement, ...]
    left_out: int


class Selector:
    """Chooses by the codes that requests use."""

    def __init__(self, engine: CompiledEngine) -> None:
        self._engine = engine
        self._knowledge: Knowledge = engine.knowledge
        self.jurisdictions = self._codes(NXL.Jurisdiction)
        self.review_statuses = self._codes(NXL.ReviewStatus)
        self._left_out = lru_cache(_REMEMBERED)(self._find_left_out)

    def _codes(self, kind: URIRef) -> dict[str, URIRef]:
        """The individuals of a class by their code, in their order."""
        knowledge = self._knowledge
        found = sorted(
            (URIRef(str(i)) for i in knowledge.graph.subjects(RDF.type, kind)),
            key=lambda i: (knowledge.individual_rank(i), i),
        )
        return {code: i for i in found if (code := knowledge.individual_code(i)) is not None}

    def select(self, request: EligibilityRequest) -> Selection:
        """What a request wants. Raises UnknownGuideline and InvalidRecord for a code that is not known."""
        guidelines = self.guidelines(request.guidelines)
        chosen = [g.code for g in guidelines]
        if request.policy not in ("each", "any", "all", "strictest", *chosen):
            raise InvalidRecord(
                "policy",
                f"'{request.policy[:40]}' is neither a policy nor the code of a guideline of this request.",
                f"Use each, any, all, strictest, or one of {', '.join(chosen)}.",
            )
        if request.jurisdiction != EVERY_JURISDICTION:
            self._known("jurisdiction", request.jurisdiction, (EVERY_JURISDICTION, *self.jurisdictions))
        if request.minimum_review_status is not None:
            self._known("minimumReviewStatus", request.minimum_review_status, self.review_statuses)
        statements, classes = self._left_out(request.jurisdiction, request.minimum_review_status)
        return Selection(guidelines, statements, classes)

    def guidelines(self, codes: Iterable[str]) -> tuple[Guideline, ...]:
        """The guidelines with these codes, or all if there are none. Raises UnknownGuideline."""
        known = self._knowledge.guidelines
        chosen = tuple(dict.fromkeys(codes)) or tuple(known)
        for index, code in enumerate(chosen):
            if code not in known:
                raise UnknownGuideline(
                    f"guidelines.{index}",
                    f"the guideline '{code[:40]}' is not known.",
                    f"Known guidelines: {', '.join(known)}.",
                )
        return tuple(known[code] for code in chosen)

    @staticmethod
    def _known(place: str, code: str, codes: Iterable[str]) -> None:
        if code not in codes:
            raise InvalidRecord(place, f"'{code[:40]}' is not known.", f"Use one of {', '.join(codes)}.")

    def _find_left_out(self, jurisdiction: str, status: str | None) -> tuple[tuple[Statement, ...], int]:
        classes = {*self._engine.index.classes}
        found = tuple(
            s
            for iri, s in sorted(self._knowledge.statements.items())
            if str(iri) in classes and (self._is_foreign(s, jurisdiction) or self._is_unreviewed(s, status))
        )
        return found, self._engine.index.set_of(str(s.iri) for s in found)

    def _is_foreign(self, statement: Statement, jurisdiction: str) -> bool:
        """Whether a statement of elsewhere gives way to what the jurisdiction itself says otherwise of the same.

        A label that was read in one jurisdiction alone holds everywhere else too: that nobody read another one is no
        permission.
        """
        if jurisdiction == EVERY_JURISDICTION or statement.guideline is not None or not statement.jurisdictions:
            return False
        wanted = {self.jurisdictions[jurisdiction], NXL.jurisdictionInternational}
        if wanted & set(statement.jurisdictions):
            return False
        graph, known = self._knowledge.graph, self._knowledge.statements
        others = {*graph.objects(statement.iri, NXL.differsFrom), *graph.subjects(NXL.differsFrom, statement.iri)}
        return any(wanted & set(known[URIRef(str(o))].jurisdictions) for o in others if o in known)

    def _is_unreviewed(self, statement: Statement, status: str | None) -> bool:
        """Whether an indication or advice has been reviewed less than a request asks for."""
        if status is None or self._knowledge.kind_code(statement.iri) not in _FILTERED:
            return False
        order = list(self.review_statuses.values())
        if statement.review_status not in order:
            return True
        return order.index(statement.review_status) < order.index(self.review_statuses[status])
