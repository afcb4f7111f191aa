"""From a request to the answer that an app shows: standings with reasons, sources and what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from rdflib import DCTERMS, RDFS, URIRef

from kg.conditions import Conditions, Judged, Missing
from kg.errors import UnknownGuideline
from kg.facts import PatientFacts, Policy
from kg.gaps import CourseGap, course_gaps, unspecified_findings
from kg.guidelines import Guideline
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.reading import InputIssue, read_record
from kg.reference import ENGINE_NAME, Evaluation, ReferenceEngine
from kg.request import EligibilityRequest
from kg.statements import Statement
from kg.therapies import Therapy
from kg.verdicts import Standing, Status

_KIND_ORDER = (
    "contraindication",
    "recommendation-against",
    "exhaustion",
    "indication",
    "reservation",
    "interaction",
    "dose-adjustment",
    "caution",
    "limited-efficacy",
    "prerequisite",
    "dosing",
)


def evaluate(engine: ReferenceEngine, request: EligibilityRequest, *, today: date) -> dict[str, Any]:
    """Answer a request; the result is ready for JSON. `today` is the as-of date when the request gives none.

    Raises InvalidRecord and its kinds for a request that cannot be answered, ReasonerTimeout, ReasonerFailure.
    """
    knowledge = engine.knowledge
    guidelines = _guidelines(knowledge, request.guidelines)
    read = read_record(knowledge, engine.vocabulary, request, today)
    policy = request.unreported_findings
    evaluation = engine.evaluate(read.facts, policy, guidelines)
    writer = _AnswerWriter(knowledge, read.facts, policy, evaluation, request.audience)
    options = [writer.option(g, t) for g in guidelines for t in knowledge.therapies]
    options.sort(key=lambda o: o.pop("_order"))
    _name_alternatives(options)
    return {
        "patient": request.patient.id,
        "asOf": read.facts.as_of.isoformat(),
        "unreportedFindings": policy.value,
        "audience": request.audience,
        "guidelines": [{"code": g.code, "id": str(g.iri), "label": g.label} for g in guidelines],
        "options": options,
        "steps": [step for g in guidelines for step in writer.steps(g)],
        "ledger": writer.ledger(),
        "inputIssues": [_issue(i) for i in read.issues],
        "knowledge": engine.version,
        "engine": ENGINE_NAME,
        "inputHash": _hash(request),
        "notice": " ".join(dict.fromkeys(g.disclaimer for g in guidelines)),
    }


def _guidelines(knowledge: Knowledge, codes: Iterable[str]) -> tuple[Guideline, ...]:
    known = knowledge.guidelines
    chosen = tuple(dict.fromkeys(codes)) or tuple(known)
    for index, code in enumerate(chosen):
        if code not in known:
            raise UnknownGuideline(
                f"guidelines.{index}", f"the guideline '{code}' is not known.", f"Known guidelines: {', '.join(known)}."
            )
    return tuple(known[code] for code in chosen)


def _name_alternatives(options: list[dict[str, Any]]) -> None:
    """Beside each reserved option, every other option of any line that the same guideline leaves open."""
    for option in options:
        option["alternatives"] = [
            other["therapy"]["id"]
            for other in options
            if option["reserved"]
            and not other["reserved"]
            and other["status"] == Status.ELIGIBLE.value
            and other["guideline"] == option["guideline"]
        ]


def _issue(issue: InputIssue) -> dict[str, str]:
    return {"kind": issue.kind, "place": issue.place, "message": issue.message}


def _hash(request: EligibilityRequest) -> str:
    canonical = json.dumps(request.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


class _AnswerWriter:
    def __init__(
        self, knowledge: Knowledge, facts: PatientFacts, policy: Policy, evaluation: Evaluation, audience: str
    ) -> None:
        self.knowledge = knowledge
        self.facts = facts
        self.policy = policy
        self.evaluation = evaluation
        self.lay = audience == "patient"
        self.course_gaps = course_gaps(knowledge, facts)
        self.open_conditions = Conditions(knowledge, facts, Policy.UNKNOWN)
        self.current = frozenset(m.substance for m in facts.medications if m.days_since_last == 0)

    def label(self, term: URIRef) -> str:
        lay = self.knowledge.graph.value(term, NXL.layLabel) if self.lay else None
        return str(lay) if lay is not None else self.knowledge.label(term)

    def option(self, guideline: Guideline, therapy: Therapy) -> dict[str, Any]:
        standing = self.evaluation.standings[guideline.code, therapy.iri]
        status = standing.status
        held = self._held(guideline, therapy)
        placed = self._placed(guideline, therapy)
        indications = [s for s in held if self.knowledge.stated.is_a(s.iri, guideline.indicated)] or list(placed)
        indications.sort(key=lambda s: self.knowledge.individual_rank(s.line))
        first = indications[0] if indications else None
        line = first.line if first else None
        is_a = self.knowledge.interventions.is_a
        judged = [j.reason for j in self.facts.judgements if any(is_a(used, j.intervention) for used in therapy.uses)]
        reserved = any(self.knowledge.stated.is_a(s.iri, NXL.ReservedOption) for s in held)
        return {
            "therapy": {"id": local_name(therapy.iri), "iri": str(therapy.iri), "label": self.label(therapy.iri)},
            "status": status.value,
            "inUse": all(used in self.current for used in therapy.uses),
            "line": self.knowledge.individual_code(line),
            "guideline": guideline.code,
            "strength": self.knowledge.individual_code(first.strength) if first else None,
            "reserved": reserved,
            "judgedUnsuitable": judged,
            "because": [self._statement(s) for s in held],
            "whyNot": self._why_not(guideline, therapy, standing, placed),
            "missing": self._missing(guideline, therapy, standing) if status is Status.CONDITIONAL else [],
            "assumedAbsent": self._assumed(therapy),
            "_order": (
                status.order,
                bool(judged),
                reserved,
                self.knowledge.individual_rank(line),
                self.knowledge.individual_rank(first.strength if first else None),
                self.label(therapy.iri),
                guideline.code,
            ),
        }

    def _held(self, guideline: Guideline, therapy: Therapy) -> list[Statement]:
        types = self.evaluation.option_types[therapy.iri]
        statements = [
            s for iri, s in self.knowledge.statements.items() if iri in types and s.guideline in (None, guideline.iri)
        ]
        return sorted(statements, key=lambda s: (self._kind_rank(s), self.knowledge.individual_rank(s.severity), s.iri))

    def _placed(self, guideline: Guideline, therapy: Therapy) -> tuple[Statement, ...]:
        """The indications that concern the therapy, whether or not the patient meets them."""
        below = self.knowledge.statements_below(guideline.indicated)
        return tuple(s for s in below if s.concerns(therapy, self.knowledge.taxonomy))

    def _kind_rank(self, statement: Statement) -> int:
        code = self.knowledge.graph.value(statement.kind, NXL.kindCode) if statement.kind else None
        return _KIND_ORDER.index(str(code)) if str(code) in _KIND_ORDER else len(_KIND_ORDER)

    def _statement(self, statement: Statement) -> dict[str, Any]:
        knowledge = self.knowledge
        kind = knowledge.graph.value(statement.kind, NXL.kindCode) if statement.kind else None
        return {
            "statement": str(statement.iri),
            "label": statement.label,
            "kind": None if kind is None else str(kind),
            "text": statement.text.patient if self.lay else statement.text.clinician,
            "severity": knowledge.individual_code(statement.severity),
            "strength": knowledge.individual_code(statement.strength),
            "jurisdiction": [c for j in statement.jurisdictions if (c := knowledge.individual_code(j))],
            "source": [self._source(s) for s in statement.source],
            "locator": statement.locator or None,
            "rationale": statement.rationale or None,
            "reviewStatus": knowledge.individual_code(statement.review_status),
            "guideline": local_name(statement.guideline) if statement.guideline else None,
            "editorialNotes": list(statement.editorial_notes),
        }

    def _source(self, source: URIRef) -> dict[str, str | None]:
        graph = self.knowledge.graph
        title = graph.value(source, DCTERMS.title) or graph.value(source, RDFS.label)
        link = graph.value(source, RDFS.seeAlso)
        return {
            "id": local_name(source),
            "title": str(title or local_name(source)),
            "url": None if link is None else str(link),
        }

    # -- why not, and what is missing

    def _why_not(
        self, guideline: Guideline, therapy: Therapy, standing: Standing, placed: tuple[Statement, ...]
    ) -> list[dict[str, Any]]:
        status = standing.status
        if status is Status.OUT_OF_SCOPE:
            scope = self.knowledge.statements_below(guideline.scope)
            return [{"reason": "out of the scope of the guideline", **self._statement(s)} for s in scope]
        if status is Status.NOT_INDICATED:
            if not placed:
                return [{"reason": "the guideline places this therapy in no line"}]
            return [{"reason": "not fulfilled", **self._statement(s)} for s in placed]
        tops = {
            Status.CONTRAINDICATED: NXL.ContraindicatedOption,
            Status.RECOMMENDED_AGAINST: guideline.recommended_against,
            Status.EXHAUSTED: guideline.exhausted,
        }
        top = tops.get(status)
        held = self._held(guideline, therapy) if top is not None else []
        return [
            {"reason": status.value, **self._statement(s)}
            for s in held
            if top is not None and self.knowledge.stated.is_a(s.iri, top)
        ]

    def _missing(self, guideline: Guideline, therapy: Therapy, standing: Standing) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        if standing.in_scope is None and self.facts.age_years is None:
            rows.append(self._row("unreported", NXL.ageInYears, "scope", ()))
        if standing.in_scope is None or standing.indicated is None:
            for missing in sorted(unspecified_findings(self.knowledge, self.facts, guideline)):
                rows.append(self._row(missing.gap.value, missing.term, "scope or indication", ()))
        if None in (standing.indicated, standing.exhausted, standing.recommended_against):
            rows += [self._course_row(gap) for gap in self.course_gaps]
        if standing.contraindicated is None:
            rows += self._contraindication_rows(therapy, self.evaluation.contraindication[therapy.iri])
        return rows

    def _contraindication_rows(self, therapy: Therapy, judged: Judged) -> list[dict[str, Any]]:
        conditions = Conditions(self.knowledge, self.facts, self.policy)
        deciding: dict[Missing, list[Statement]] = {}
        for statement in self.knowledge.contraindications_of(therapy):
            for missing in conditions.statement(statement).missing:
                deciding.setdefault(missing, []).append(statement)
        return [
            self._row(m.gap.value, m.term, "contraindication", tuple(deciding[m]))
            for m in sorted(judged.missing)
            if m in deciding
        ]

    def _row(self, gap: str, term: URIRef, decides: str, statements: tuple[Statement, ...]) -> dict[str, Any]:
        return {
            "type": gap,
            "fact": {"id": local_name(term), "label": self.label(term)},
            "decides": decides,
            "statements": [{"statement": str(s.iri), "label": s.label} for s in statements],
        }

    def _course_row(self, gap: CourseGap) -> dict[str, Any]:
        return {
            "type": gap.gap.value,
            "fact": {
                "id": f"patient.courses.{gap.source_index}",
                "label": f"course of {' with '.join(self.label(s) for s in gap.substances)}: {', '.join(gap.fields)}",
            },
            "decides": "trial",
            "statements": [],
        }

    def _assumed(self, therapy: Therapy) -> list[dict[str, str]]:
        """What the policy reads as absent although nothing is reported of it."""
        if self.policy is Policy.UNKNOWN or self.evaluation.contraindication[therapy.iri].truth is True:
            return []
        open_missing = {
            m for s in self.knowledge.contraindications_of(therapy) for m in self.open_conditions.statement(s).missing
        }
        assumed = open_missing - self.evaluation.contraindication[therapy.iri].missing
        return [{"id": local_name(m.term), "label": self.label(m.term)} for m in sorted(assumed)]

    # -- the patient

    def steps(self, guideline: Guideline) -> list[dict[str, Any]]:
        """The steps of a guideline and how each was met."""
        rows = []
        for step in guideline.steps:
            met = step in self.evaluation.patient_types
            stated = self.knowledge.stated
            branches = stated.most_specific(stated.below(step) & self.evaluation.patient_types)
            how = [
                self._statement(self.knowledge.statements[b])
                for b in sorted(branches)
                if b in self.knowledge.statements
            ]
            rows.append(
                {
                    "step": str(step),
                    "label": self.label(step),
                    "guideline": guideline.code,
                    "met": met,
                    "how": how if met else [],
                }
            )
        return rows

    def ledger(self) -> list[dict[str, Any]]:
        """Each course as the reasoner judged it, in the order of the request."""
        rows = []
        pairs = zip(self.facts.courses, self.evaluation.course_types, strict=True)
        for course, types in sorted(pairs, key=lambda pair: pair[0].source_index):
            rules = [s for iri, s in sorted(self.knowledge.statements.items()) if iri in types]
            gaps = [g for g in self.course_gaps if g.source_index == course.source_index]
            rows.append(
                {
                    "place": f"patient.courses.{course.source_index}",
                    "substances": [self.label(p.substance) for p in course.parts],
                    "days": course.duration_days,
                    "daysAtTherapeuticDose": course.days_at_therapeutic_dose,
                    "outcome": course.outcome or "unknown",
                    "judgements": [self._statement(s) for s in rules],
                    "missing": [field for g in gaps for field in g.fields],
                }
            )
        return rows
