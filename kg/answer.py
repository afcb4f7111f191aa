"""From a request to the answer that an app shows: standings with reasons, sources and what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from rdflib import URIRef

from kg.abox import Reading
from kg.compiled import CompiledEngine, CompiledEvaluation
from kg.errors import UnknownGuideline
from kg.explanation import Explainer, Fact, FactKind, Gap, Missing, Proof, WholeClasses
from kg.expressions import Expression, walk
from kg.facts import Course
from kg.guidelines import Guideline
from kg.index import positions
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.phrases import Phrases
from kg.reading import InputIssue, ReadRecord, read_record
from kg.request import EligibilityRequest
from kg.therapies import Therapy
from kg.verdicts import Standing, Status
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
        self.phrases = {lay: Phrases(engine.knowledge, lay=lay) for lay in (False, True)}
        forbidding = frozenset(engine.program.contraindicated)
        self._conditions = {
            iri: {c: engine.program.options[c].patient for c in classes if c in forbidding}
            for iri, classes in engine.program.concerned.items()
        }
        self.whole = WholeClasses(engine.members, self.conditions_of, engine.logic.patient)
        stated = engine.knowledge.stated
        self.course_statements = tuple(
            iri for iri in sorted(engine.knowledge.statements) if stated.is_a(iri, NXL.TherapyCourse)
        )

    def guidelines(self, codes: Iterable[str]) -> tuple[Guideline, ...]:
        """The guidelines that a request names, or all. Raises UnknownGuideline."""
        known = self.knowledge.guidelines
        chosen = tuple(dict.fromkeys(codes)) or tuple(known)
        for index, code in enumerate(chosen):
            if code not in known:
                raise UnknownGuideline(
                    f"guidelines.{index}",
                    f"the guideline '{code}' is not known.",
                    f"Known guidelines: {', '.join(known)}.",
                )
        return tuple(known[code] for code in chosen)

    def conditions_of(self, therapy: Therapy) -> Mapping[str, Expression]:
        """The contraindications that concern a therapy, each with what it asks of the patient."""
        return self._conditions[str(therapy.iri)]

    def read(self, request: EligibilityRequest, today: date) -> ReadRecord:
        """The facts of a record; errors as for read_record."""
        return read_record(self.knowledge, self.vocabulary, request, today)

    def answer(self, request: EligibilityRequest, *, today: date, explain_as_tree: bool = False) -> dict[str, Any]:
        """Answer a request; the result is ready for JSON. `today` is the as-of date when the request gives none.

        Raises InvalidRecord and its kinds for a request that cannot be answered.
        """
        guidelines = self.guidelines(request.guidelines)
        read = self.read(request, today)
        evaluation = self.engine.evaluate(read.facts, request.unreported_findings, guidelines)
        writer = _Writer(self, request, read, evaluation, guidelines, explain_as_tree)
        return writer.answer()


def input_hash(request: EligibilityRequest) -> str:
    """SHA-256 of a request, whatever the order of its fields, as hexadecimal digits."""
    canonical = json.dumps(request.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


class _Writer:
    def __init__(
        self,
        answerer: Answerer,
        request: EligibilityRequest,
        read: ReadRecord,
        evaluation: CompiledEvaluation,
        guidelines: tuple[Guideline, ...],
        tree: bool,
    ) -> None:
        self.answerer = answerer
        self.engine = answerer.engine
        self.knowledge = answerer.knowledge
        self.request = request
        self.read = read
        self.facts = read.facts
        self.evaluation = evaluation
        self.guidelines = guidelines
        self.tree = tree
        self.lay = request.audience == "patient"
        self.phrases = answerer.phrases[self.lay]
        logic, whole = self.engine.logic, answerer.whole
        self.documented = Explainer(logic, evaluation.documented, whole)
        self.policy = Explainer(logic, evaluation.policy, whole)
        self.current = frozenset(m.substance for m in self.facts.medications if m.days_since_last == 0)
        self.entries: dict[tuple[int, str], dict[str, Any]] = {}
        self.gaps: dict[Missing, dict[tuple[str, str], None]] = {}
        self.settled_alone: dict[Missing, int] = {}

    def answer(self) -> dict[str, Any]:
        options = [self.option(g, t) for g in self.guidelines for t in self.knowledge.therapies]
        options.sort(key=lambda o: o.pop("_order"))
        for option in options:
            option["alternatives"] = self.alternatives(option, options)
        return {
            "patient": self.request.patient.id,
            "asOf": self.facts.as_of.isoformat(),
            "unreportedFindings": self.request.unreported_findings.value,
            "audience": self.request.audience,
            "guidelines": [{"code": g.code, "id": str(g.iri), "label": g.label} for g in self.guidelines],
            "options": options,
            "questions": self.questions(),
            "steps": [self.step(g, s) for g in self.guidelines for s in g.steps],
            "ledger": [self.ledger(c) for c in sorted(self.facts.courses, key=lambda c: c.source_index)],
            "measurements": [self.phrases.measurement(m) for m in self.facts.measurements],
            "inputIssues": [_issue(i) for i in self.read.issues],
            "knowledge": self.answerer.version,
            "engine": self.engine.name,
            "inputHash": input_hash(self.request),
            "notice": " ".join(dict.fromkeys(g.disclaimer for g in self.guidelines)),
        }

    # -- options

    def option(self, guideline: Guideline, therapy: Therapy) -> dict[str, Any]:
        standing = self.evaluation.standings[guideline.code, therapy.iri]
        status = standing.status
        index, marks = self.engine.index, self.evaluation.marks[therapy.iri]
        held = [index.classes[p] for p in positions(marks.true & index.of_guideline[guideline.code])]
        placed = self.placed(guideline, therapy)
        statements = self.knowledge.statements
        indications = [s for s in map(URIRef, held) if self.knowledge.stated.is_a(s, guideline.indicated)]
        first = min(
            (statements[s] for s in indications or placed),
            key=lambda s: (self.knowledge.individual_rank(s.line), s.iri),
            default=None,
        )
        is_a = self.knowledge.interventions.is_a
        judged = [j.reason for j in self.facts.judgements if any(is_a(used, j.intervention) for used in therapy.uses)]
        reserved = any(self.knowledge.stated.is_a(URIRef(s), NXL.ReservedOption) for s in held)
        rank = {
            "reserved": reserved,
            "judgedUnsuitable": bool(judged),
            "line": self.knowledge.individual_rank(first.line if first else None),
            "strength": self.knowledge.individual_rank(first.strength if first else None),
            "majorCautions": self.major_cautions(held),
        }
        return {
            "therapy": {"id": local_name(therapy.iri), "iri": str(therapy.iri), "label": self.label(therapy.iri)},
            "status": status.value,
            "inUse": all(used in self.current for used in therapy.uses),
            "line": self.knowledge.individual_code(first.line if first else None),
            "guideline": guideline.code,
            "strength": self.knowledge.individual_code(first.strength if first else None),
            "reserved": reserved,
            "judgedUnsuitable": judged,
            "rank": rank,
            "because": [self.entry(s, therapy) for s in held],
            "whyNot": self.why_not(guideline, therapy, standing, held, placed),
            "unmetSteps": self.unmet_steps(guideline, therapy, standing),
            "missing": self.missing(guideline, therapy) if status is Status.CONDITIONAL else [],
            "assumedAbsent": self.assumed(therapy),
            "_order": (status.order, *rank.values(), self.label(therapy.iri), guideline.code),
        }

    def major_cautions(self, held: list[str]) -> int:
        """How many statements that warn of something severe hold."""
        warned = 0
        for iri in held:
            statement = self.knowledge.statements[URIRef(iri)]
            warns = self.knowledge.kind_code(iri) in ("caution", "interaction", "limited-efficacy")
            warned += warns and self.knowledge.individual_code(statement.severity) in ("absolute", "major")
        return warned

    def placed(self, guideline: Guideline, therapy: Therapy) -> list[URIRef]:
        """The indications that concern the therapy, whether or not the patient meets them."""
        concerned = self.engine.program.concerned[str(therapy.iri)]
        rules = self.engine.program.rules[guideline.code]
        return [URIRef(s) for s in rules.indicated if s in concerned and URIRef(s) in self.knowledge.statements]

    def alternatives(self, option: dict[str, Any], options: list[dict[str, Any]]) -> list[str]:
        """Beside a reserved option, every other option of any line that the same guideline leaves open."""
        if not option["reserved"]:
            return []
        return [
            other["therapy"]["id"]
            for other in options
            if not other["reserved"]
            and other["status"] == Status.ELIGIBLE.value
            and other["guideline"] == option["guideline"]
        ]

    # -- statements and their facts

    def label(self, term: URIRef | str) -> str:
        return self.phrases.label(term)

    def entry(self, iri: str, therapy: Therapy) -> dict[str, Any]:
        """A statement with the facts for which it holds."""
        option = self.engine.program.options[iri]
        if option.repeats or option.shares or iri == str(NXL.JudgedUnsuitableOption):
            return self.statement(URIRef(iri)) | {"facts": self.cite(self.link_facts(iri, therapy))}
        known = self.entries.get((0, iri))
        if known is None:
            explainer = self.policy if iri in self.engine.program.contraindicated else self.documented
            proof = explainer.proof(option.patient)
            known = self.statement(URIRef(iri)) | {"facts": self.cite(proof.facts)}
            if self.tree:
                known["explanation"] = self.explanation(proof)
            self.entries[0, iri] = known
        return known

    def statement(self, iri: URIRef) -> dict[str, Any]:
        return self.phrases.statement(self.knowledge.statements[iri])

    def link_facts(self, iri: str, therapy: Therapy) -> frozenset[Fact]:
        """The earlier trials and judgements of a therapy for which a class of its option holds."""
        option, case, logic = self.engine.program.options[iri], self.evaluation.documented, self.engine.logic
        found: set[Fact] = set()
        if iri == str(NXL.JudgedUnsuitableOption):
            for reason in self.answerer.whole.reasons(case, therapy, (iri,)):
                found |= reason.facts
        for condition in option.repeats:
            courses = [c for c in self.facts.courses if c.therapy == therapy.iri]
            proofs = [
                self.documented.course_proof(c, condition) for c in courses if logic.course(condition)(case, c) is True
            ]
            found |= min(proofs, key=lambda p: len(p.facts)).facts
        for condition in option.shares:
            test = logic.part(condition)
            fitting = (
                c
                for c in self.facts.courses
                for p in c.parts
                if p.substance in therapy.uses and test(case, c, p) is True
            )
            found.add(Fact(FactKind.COURSE, "", next(fitting).source_index))
        return frozenset(found) | self.documented.proof(option.patient).facts

    def cite(self, facts: Iterable[Fact]) -> list[dict[str, Any]]:
        return [self.phrases.fact(fact, self.facts, self.read.places) for fact in sorted(facts)]

    def explanation(self, proof: Proof) -> dict[str, Any]:
        """A proof as a tree: each condition with what it rests on."""
        return {
            "condition": self.phrases.condition(proof.condition),
            "holds": proof.holds,
            "facts": self.cite(proof.facts) if not proof.parts else [],
            "parts": [self.explanation(part) for part in proof.parts],
        }

    # -- why not

    def why_not(
        self, guideline: Guideline, therapy: Therapy, standing: Standing, held: list[str], placed: list[URIRef]
    ) -> list[dict[str, Any]]:
        status = standing.status
        rules = self.engine.program.rules[guideline.code]
        if status is Status.ELIGIBLE:
            return []
        if status is Status.OUT_OF_SCOPE:
            return self.out_of_scope(guideline)
        if status is Status.CONDITIONAL:
            return [{"reason": "facts are missing that decide; see missing"}]
        if status in (Status.NOT_INDICATED, Status.NOT_REACHED):
            if not placed:
                return [{"reason": "the guideline places this therapy in no line"}]
            reason = "not fulfilled" if status is Status.NOT_INDICATED else "steps are unmet"
            return [{"reason": reason, **self.unfulfilled(s)} for s in placed]
        classes = {
            Status.CONTRAINDICATED: self.engine.program.contraindicated,
            Status.RECOMMENDED_AGAINST: rules.recommended_against,
            Status.EXHAUSTED: rules.exhausted,
            Status.IN_USE: rules.in_use,
        }[status]
        return [{"reason": status.value, **self.entry(s, therapy)} for s in held if s in classes]

    def out_of_scope(self, guideline: Guideline) -> list[dict[str, Any]]:
        """What the scope asks for and the patient does not meet, and the boundaries that were met."""
        scope = self.engine.program.rules[guideline.code].scope
        proof = self.documented.proof(scope, holds=False)
        branches = self.knowledge.statements_below(guideline.scope)
        facts = self.cite(proof.facts)
        return [
            {"reason": "out of the scope of the guideline", **self.statement(s.iri), "facts": facts} for s in branches
        ]

    def unfulfilled(self, indication: URIRef) -> dict[str, Any]:
        """An indication with the facts for which it does not hold."""
        proof = self.documented.proof(self.engine.program.options[str(indication)].patient, holds=False)
        found = self.statement(indication) | {"facts": self.cite(proof.facts)}
        return found | ({"explanation": self.explanation(proof)} if self.tree else {})

    # -- steps

    def unmet_steps(self, guideline: Guideline, therapy: Therapy, standing: Standing) -> list[dict[str, Any]]:
        """The steps that an indication of the therapy asks for and the patient has not taken, and what would take them."""
        if standing.indicated is True:
            return []
        rules = self.engine.program.rules[guideline.code]
        asked: dict[str, None] = {}
        for indication in self.placed(guideline, therapy):
            asked |= dict.fromkeys(self.steps_in(self.engine.program.options[str(indication)].patient, rules.steps))
        unmet = [s for s in asked if self.evaluation.patient_is(URIRef(s)) is not True]
        return [self.unmet(URIRef(step)) for step in unmet]

    def steps_in(self, expression: Expression, steps: Mapping[str, Expression]) -> list[str]:
        """The steps that a condition asks for, those made of other steps resolved into these."""
        found: list[str] = []
        for inner in walk(expression):
            if inner[0] == "named" and inner[1] in steps:
                smaller = self.steps_in(self.engine.program.classes[inner[1]], steps) if self.is_sum(inner[1]) else []
                found += smaller or [inner[1]]
        return found

    def is_sum(self, step: str) -> bool:
        """Whether a step only asks for other steps."""
        return bool(self.engine.program.classes[step][0] == "all")

    def unmet(self, step: URIRef) -> dict[str, Any]:
        key = (1, str(step))
        if key not in self.entries:
            branches = [b for b in self.branches(step) if b in self.knowledge.statements]
            self.entries[key] = {
                "step": str(step),
                "label": self.label(step),
                "known": self.evaluation.patient_is(step) is False,
                "metBy": [
                    {"statement": str(b), "label": self.label(b), "text": self.statement(b)["text"]} for b in branches
                ],
            }
        return self.entries[key]

    def branches(self, step: URIRef) -> list[URIRef]:
        """The ways in which a step can be met."""
        expression = self.engine.program.classes[str(step)]
        return [URIRef(e[1]) for e in expression[1:] if e[0] == "named"] if expression[0] == "any" else []

    def step(self, guideline: Guideline, step: URIRef) -> dict[str, Any]:
        """A step of a guideline and how it was met."""
        truth = self.evaluation.patient_is(step)
        how = []
        for branch in self.branches(step):
            if branch in self.knowledge.statements and self.evaluation.patient_is(branch) is True:
                proof = self.documented.proof(("named", str(branch)))
                row = self.statement(branch) | {"facts": self.cite(proof.facts)}
                how.append(row | ({"explanation": self.explanation(proof)} if self.tree else {}))
        if truth is True and self.is_sum(str(step)):
            inner = self.steps_in(self.engine.program.classes[str(step)], dict.fromkeys(map(str, guideline.steps), ()))
            how = [{"step": s, "label": self.label(s)} for s in inner]
        return {
            "step": str(step),
            "label": self.label(step),
            "guideline": guideline.code,
            "met": truth is True,
            "unknown": truth is None,
            "how": how,
        }

    # -- what is missing

    def missing(self, guideline: Guideline, therapy: Therapy) -> list[dict[str, Any]]:
        """The facts that decide a conditional option, each with what it decides."""
        rules, sets = self.engine.program.rules[guideline.code], self.engine.rules[guideline.code]
        index, marks = self.engine.index, self.evaluation.marks[therapy.iri]
        rows: dict[Missing, tuple[dict[str, None], list[str]]] = {}

        def add(missing: Iterable[Missing], decides: str, statement: str | None = None) -> None:
            for gap in missing:
                row = rows.setdefault(gap, ({}, []))
                row[0][decides] = None
                if statement is not None:
                    row[1].append(statement)

        standing = self.evaluation.standings[guideline.code, therapy.iri]
        if standing.in_scope is None:
            add(self.documented.missing(rules.scope), "scope")
        decisive = (
            ("indication", standing.indicated, sets.indicated),
            ("recommendation-against", standing.recommended_against, sets.recommended_against),
            ("exhaustion", standing.exhausted, sets.exhausted),
        )
        for decides, truth, classes in decisive:
            if truth is None:
                for position in positions(marks.unknown & classes):
                    add(self.open_facts(index.classes[position], therapy), decides)
        if standing.contraindicated is None:
            for position in positions(marks.unknown & index.contraindicated):
                iri = index.classes[position]
                add(self.policy.missing(self.engine.program.options[iri].patient), "contraindication", iri)
        for gap in rows:
            self.gaps.setdefault(gap, {})[guideline.code, str(therapy.iri)] = None
        if len(rows) == 1:
            only = next(iter(rows))
            self.settled_alone[only] = self.settled_alone.get(only, 0) + 1
        return [
            self.phrases.missing(gap, self.facts)
            | {"decides": list(decides), "statements": [{"statement": s, "label": self.label(s)} for s in waiting]}
            for gap, (decides, waiting) in sorted(rows.items())
        ]

    def open_facts(self, iri: str, therapy: Therapy) -> frozenset[Missing]:
        """The facts that leave open whether a class of options holds for the option of a therapy."""
        option = self.engine.program.options[iri]
        found = set(self.documented.missing(option.patient))
        for condition in option.repeats:
            for course in self.facts.courses:
                if course.therapy == therapy.iri:
                    found |= self.documented.course_missing(course, condition)
                elif self.engine.may_have_been(course, therapy):
                    found.add(Missing(Gap.UNSPECIFIED, "", course.source_index, "substances"))
        for condition in option.shares:
            for course in self.facts.courses:
                for part in course.parts:
                    if part.substance in therapy.uses:
                        found |= self.documented.part_missing(course, part, condition)
                    elif self.engine.may_share(part, therapy):
                        found.add(Missing(Gap.UNSPECIFIED, "", course.source_index, "substances"))
        return frozenset(found)

    def assumed(self, therapy: Therapy) -> list[dict[str, str]]:
        """What the policy reads as absent although nothing is reported of it."""
        if self.evaluation.policy.reading is Reading.OPEN:
            return []
        if self.evaluation.marks[therapy.iri].true & self.engine.index.contraindicated:
            return []
        silent: set[str] = set()
        for iri in self.answerer.conditions_of(therapy):
            silent |= self.silent(iri)
        return [{"id": self.phrases.term_id(term), "label": self.label(term)} for term in sorted(silent)]

    def silent(self, iri: str) -> frozenset[str]:
        """The terms of a contraindication that would be unreported if silence were not read as absence."""
        key = (2, iri)
        if key not in self.entries:
            case = self.evaluation.undecided
            explainer = Explainer(self.engine.logic, case, self.answerer.whole)
            missing = explainer.missing(self.engine.program.options[iri].patient)
            still = self.policy.missing(self.engine.program.options[iri].patient)
            self.entries[key] = {"terms": frozenset(m.term for m in missing - still if m.gap is Gap.UNREPORTED)}
        terms: frozenset[str] = self.entries[key]["terms"]
        return terms

    # -- the patient

    def questions(self) -> list[dict[str, Any]]:
        """What to ask, by how many options an answer would settle."""
        yes = self.settled_by_yes()
        rows = []
        for gap, options in self.gaps.items():
            alone = self.settled_alone.get(gap, 0)
            row = self.phrases.missing(gap, self.facts)
            rows.append(
                {
                    "question": self.phrases.question(gap, self.facts),
                    **row,
                    "settles": {"ifPresent": yes.get(gap, 0), "ifAbsent": alone},
                    "options": len(options),
                }
            )
        rows.sort(key=lambda r: (-max(r["settles"].values()), -r["options"], r["type"], r["fact"]["id"]))
        return rows

    def settled_by_yes(self) -> dict[Missing, int]:
        """How many conditional options an answer of yes would close: those that a contraindication waits for it alone."""
        index, found = self.engine.index, dict[Missing, set[tuple[str, str]]]()
        waiting = {key for options in self.gaps.values() for key in options}
        for code, therapy in waiting:
            marks = self.evaluation.marks[URIRef(therapy)]
            for position in positions(marks.unknown & index.contraindicated):
                lack = self.policy.missing(self.engine.program.options[index.classes[position]].patient)
                if len(lack) == 1:
                    found.setdefault(next(iter(lack)), set()).add((code, therapy))
        return {gap: len(options) for gap, options in found.items()}

    def ledger(self, course: Course) -> dict[str, Any]:
        """A course as it was judged by the rules of the guidelines, with what is missing to judge it."""
        rules = []
        missing: set[Missing] = set()
        chosen = {g.iri for g in self.guidelines} | {None}
        for iri in self.answerer.course_statements:
            truth = self.evaluation.course_is(course, iri)
            statement = self.knowledge.statements[iri]
            if statement.guideline not in chosen:
                continue
            if truth is True:
                rules.append(self.statement(iri))
            elif truth is None:
                missing |= self.documented.course_missing(course, ("named", str(iri)))
        return {
            "place": f"patient.courses.{course.source_index}",
            "substances": [self.label(p.substance) for p in course.parts],
            "days": course.duration_days,
            "daysAtTherapeuticDose": course.days_at_therapeutic_dose,
            "outcome": course.outcome or "unknown",
            "ongoing": course.is_ongoing,
            "judgements": rules,
            "missing": sorted({m.field or self.phrases.term_id(m.term) for m in missing}),
        }


def _issue(issue: InputIssue) -> dict[str, str]:
    return {"kind": issue.kind, "place": issue.place, "message": issue.message}
