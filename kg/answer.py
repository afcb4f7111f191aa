"""From a request to the answer that an app shows: standings with reasons, sources and what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from kg.catalogue import Catalogue, Row
from kg.compiled import CompiledEngine
from kg.evaluated import Evaluated
from kg.explanation import WholeClasses
from kg.guidelines import Guideline
from kg.knowledge import Knowledge
from kg.options import OptionWriter
from kg.reading import ReadRecord, read_record
from kg.request import EligibilityRequest
from kg.selection import Selector
from kg.trials import ledger, steps
from kg.vocabulary import Vocabulary


class Answerer:
    """Answers requests from one build: reads the record, evaluates it, and explains.

    `version` names the knowledge in answers.
    """

    def __init__(self, engine: CompiledEngine, version: Mapping[str, str]) -> None:
        self.engine = engine
        self.knowledge: Knowledge = engine.knowledge
        self.vocabulary = Vocabulary(engine.knowledge)
        self.version = dict(version)
        self.whole = WholeClasses(engine)
        self.selector = Selector(engine)
        self._catalogues: dict[tuple[bool, str], Catalogue] = {}

    def guidelines(self, codes: Iterable[str]) -> tuple[Guideline, ...]:
        """The guidelines that a request names, or all. Raises UnknownGuideline."""
        return self.selector.guidelines(codes)

    def catalogue(self, *, lay: bool, lang: str) -> Catalogue:
        """The words and rows for an audience, worked out when they are first asked for."""
        key = (lay, lang)
        if key not in self._catalogues:
            self._catalogues[key] = Catalogue(self.engine, self.whole, lay=lay, lang=lang)
        return self._catalogues[key]

    def read(self, request: EligibilityRequest, today: date) -> ReadRecord:
        """The facts of a record; errors as for read_record."""
        return read_record(self.knowledge, self.vocabulary, request, today)

    def answer(self, request: EligibilityRequest, *, today: date, explain_as_tree: bool = False) -> dict[str, Any]:
        """Answer a request; the result is ready for JSON and shares rows with other answers, so it must not be changed.

        `today` is the as-of date when the request gives none. Raises InvalidRecord and its kinds for a request that cannot
        be answered.
        """
        selection = self.selector.select(request)
        read = self.read(request, today)
        evaluation = self.engine.evaluate(
            read.facts, request.unreported_findings, selection.guidelines, selection.left_out
        )
        catalogue = self.catalogue(lay=request.audience == "patient", lang=request.lang)
        record = Evaluated(
            self.engine, self.whole, request, read, evaluation, selection, catalogue, tree=explain_as_tree
        )
        return self._written(record)

    def _written(self, record: Evaluated) -> dict[str, Any]:
        request, selection = record.request, record.selection
        writer = OptionWriter(record)
        options = writer.options()
        return {
            "patient": request.patient.id,
            "asOf": record.facts.as_of.isoformat(),
            "unreportedFindings": request.unreported_findings.value,
            "audience": request.audience,
            "lang": request.lang,
            "translationStatus": None if request.lang == "en" else "unverified",
            "policy": request.policy,
            "jurisdiction": request.jurisdiction,
            "minimumReviewStatus": request.minimum_review_status,
            "guidelines": [_guideline(record, g) for g in record.guidelines],
            "options": options,
            "leftOut": [record.catalogue.left_out(s) for s in selection.statements_left_out],
            "questions": writer.waiting.questions(),
            "steps": steps(record),
            "ledger": ledger(record),
            "measurements": [record.phrases.measurement(m) for m in record.facts.measurements],
            "inputIssues": [{"kind": i.kind, "place": i.place, "message": i.message} for i in record.read.issues],
            "knowledge": self.version,
            "engine": self.engine.name,
            "inputHash": input_hash(request),
            "notice": record.catalogue.notice(record.guidelines),
        }


def input_hash(request: EligibilityRequest) -> str:
    """SHA-256 of a request, whatever the order of its fields, as hexadecimal digits."""
    canonical = json.dumps(request.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def _guideline(record: Evaluated, guideline: Guideline) -> Row:
    """A guideline and whether it speaks to this patient; if not, what its scope asks for, with the patient's facts."""
    in_scope = record.evaluation.in_scope(guideline)
    row = record.catalogue.guideline(guideline) | {"inScope": in_scope, "whyNot": []}
    if in_scope is False:
        row["whyNot"] = [
            {
                "reason": "out of the scope of the guideline",
                **record.phrases.statement(s),
                "facts": record.cite(record.documented.proof(("named", str(s.iri)), holds=False).facts),
            }
            for s in record.knowledge.statements_below(guideline.scope)
        ]
    return row
