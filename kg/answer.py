"""From a request to the answer that an app shows: standings with reasons, sources and what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from typing import Any

from rdflib import URIRef

from kg.abox import Reading
from kg.catalogue import Catalogue, Placement, Row
from kg.compiled import CompiledEngine, CompiledEvaluation, Marks
from kg.errors import UnknownGuideline
from kg.explanation import Explainer, Fact, FactKind, Gap, Missing, Proof, WholeClasses
from kg.facts import Course
from kg.guidelines import Guideline
from kg.index import positions
from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.reading import ReadRecord, read_record
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
        self.whole = WholeClasses(engine)
        self.catalogues = {lay: Catalogue(engine, self.whole, lay=lay) for lay in (False, True)}
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

    def read(self, request: EligibilityRequest, today: date) -> ReadRecord:
        """The facts of a record; errors as for read_record."""
        return read_record(self.knowledge, self.vocabulary, request, today)

    def answer(self, request: EligibilityRequest, *, today: date, explain_as_tree: bool = False) -> dict[str, Any]:
        """Answer a request; the result is ready for JSON and shares rows with other answers, so it must not be changed.

        `today` is the as-of date when the request gives none. Raises InvalidRecord and its kinds for a request that cannot
        be answered.
        """
        guidelines = self.guidelines(request.guidelines)
        read = self.read(request, today)
        evaluation = self.engine.evaluate(read.facts, request.unreported_findings, guidelines)
        return _Writer(self, request, read, evaluation, guidelines, explain_as_tree).answer()


def input_hash(request: EligibilityRequest) -> str:
    """SHA-256 of a request, whatever the order of its fields, as hexadecimal digits."""
    canonical = json.dumps(request.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


class _Writer:
    """Writes one answer."""

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
        self.index = self.engine.index
        self.request = request
        self.read = read
        self.facts = read.facts
        self.evaluation = evaluation
        self.guidelines = guidelines
        self.tree = tree
        self.catalogue = answerer.catalogues[request.audience == "patient"]
        self.phrases = self.catalogue.phrases
        self.documented = Explainer(self.engine.logic, evaluation.documented, answerer.whole)
        self.policy = Explainer(self.engine.logic, evaluation.policy, answerer.whole)
        self.reading = evaluation.policy.reading
        self.touched = self.index.touched(self.facts) & self.index.contraindicated
        self.courses = {c.source_index: c for c in self.facts.courses}
        self.current = frozenset(m.substance for m in self.facts.medications if m.days_since_last == 0)
        self.entries: dict[int, Row] = {}
        self.unfulfilled_entries: dict[int, Row] = {}
        self.scopes: dict[str, list[Row]] = {}
        self.waiting: dict[Missing, list[tuple[str, URIRef]]] = {}
        self.conditional: list[tuple[str, URIRef]] = []
        self.deciding_alone: dict[Missing, int] = {}
        self.opening_alone: dict[Missing, int] = {}

    def answer(self) -> dict[str, Any]:
        ranked = [self.option(g, t) for g in self.guidelines for t in self.knowledge.therapies]
        ranked.sort(key=lambda pair: pair[0])
        options = [option for _, option in ranked]
        self.add_alternatives(options)
        return {
            "patient": self.request.patient.id,
            "asOf": self.facts.as_of.isoformat(),
            "unreportedFindings": self.request.unreported_findings.value,
            "audience": self.request.audience,
            "guidelines": [self.catalogue.guideline(g) for g in self.guidelines],
            "options": options,
            "questions": self.questions(),
            "steps": [self.step(s) for g in self.guidelines for s in self.engine.rules[g.code].steps],
            "ledger": [self.ledger(self.courses[position]) for position in sorted(self.courses)],
            "measurements": [self.phrases.measurement(m) for m in self.facts.measurements],
            "inputIssues": [{"kind": i.kind, "place": i.place, "message": i.message} for i in self.read.issues],
            "knowledge": self.answerer.version,
            "engine": self.engine.name,
            "inputHash": input_hash(self.request),
            "notice": " ".join(dict.fromkeys(g.disclaimer for g in self.guidelines)),
        }

    # -- options

    def option(self, guideline: Guideline, therapy: Therapy) -> tuple[tuple[Any, ...], Row]:
        """An option, and where it stands in the answer."""
        key = (guideline.code, therapy.iri)
        standing = self.evaluation.standings[key]
        status = standing.status
        marks, catalogue = self.evaluation.marks[therapy.iri], self.catalogue
        held = marks.true & self.index.of_guideline[guideline.code]
        placements = catalogue.placements[key]
        first: Placement | None = next((p for p in placements if held >> p.position & 1), None)
        first = first or (placements[0] if placements else None)
        judged = self.judged(therapy)
        rank = {
            "reserved": bool(held & catalogue.reserved),
            "judgedUnsuitable": bool(judged),
            "line": first.line_rank if first else None,
            "strength": first.strength_rank if first else None,
            "majorCautions": (held & catalogue.severe).bit_count(),
        }
        name, plain = catalogue.therapies[therapy.iri], catalogue.plain
        row = {
            "therapy": name,
            "status": status.value,
            "inUse": self.current.issuperset(therapy.uses),
            "line": first.line if first else None,
            "guideline": guideline.code,
            "strength": first.strength if first else None,
            "reserved": rank["reserved"],
            "judgedUnsuitable": judged,
            "rank": rank,
            "because": [plain[p] or self.entry(p, therapy) for p in positions(held)],
            "whyNot": self.why_not(guideline, therapy, status, held),
            "unmetSteps": [] if standing.indicated else self.unmet_steps(key),
            "missing": self.missing(guideline, therapy, standing, marks) if status is Status.CONDITIONAL else [],
            "assumedAbsent": self.assumed(therapy, marks),
        }
        last = 1_000_000
        order = [last if value is None else value for value in rank.values()]
        return (status.order, *order, name["label"], guideline.code), row

    def judged(self, therapy: Therapy) -> list[str]:
        """The reasons for which a clinician judged something that the therapy uses unsuitable."""
        if not self.facts.judgements:
            return []
        is_a = self.knowledge.interventions.is_a
        return [j.reason for j in self.facts.judgements if any(is_a(used, j.intervention) for used in therapy.uses)]

    def add_alternatives(self, options: list[Row]) -> None:
        """Beside a reserved option, every other option of any line that the same guideline leaves open."""
        found: dict[str, list[str]] = {}
        for option in options:
            if option["status"] == "eligible" and not option["reserved"]:
                found.setdefault(option["guideline"], []).append(option["therapy"]["id"])
        for option in options:
            option["alternatives"] = found.get(option["guideline"], []) if option["reserved"] else []

    # -- statements and their facts

    def entry(self, position: int, therapy: Therapy) -> Row:
        """A statement with the facts for which it holds."""
        if self.index.linked >> position & 1:
            return self.with_facts(position, self.link_facts(position, therapy))
        known = self.entries.get(position)
        if known is None:
            forbids = self.index.contraindicated >> position & 1
            explainer = self.policy if forbids else self.documented
            proof = explainer.proof(self.catalogue.conditions[position])
            known = self.entries[position] = self.with_facts(position, proof.facts)
            if self.tree:
                known["explanation"] = self.explanation(proof)
        return known

    def with_facts(self, position: int, facts: Iterable[Fact]) -> Row:
        return (self.catalogue.statements[position] or {}) | {"facts": self.cite(facts)}

    def link_facts(self, position: int, therapy: Therapy) -> frozenset[Fact]:
        """The earlier trials and judgements of a therapy for which a class of its option holds."""
        iri = self.index.classes[position]
        option, case, logic = self.engine.program.options[iri], self.evaluation.documented, self.engine.logic
        found: set[Fact] = set()
        if self.index.judged >> position & 1:
            for reason in self.answerer.whole.reasons(case, therapy, (iri,)):
                found |= reason.facts
        for condition in option.repeats:
            test = logic.course(condition)
            fitting = [c for c in case.courses_of.get(therapy.iri, ()) if test(case, c) is True]
            proofs = [self.documented.course_proof(course, condition) for course in fitting]
            found |= min(proofs, key=lambda p: len(p.facts)).facts
        for condition in option.shares:
            part_test = logic.part(condition)
            shared = [pair for used in therapy.uses for pair in case.parts_of.get(used, ())]
            # Certain of a part, or of one of several, whichever it was.
            certain = [course for course, part in shared if part_test(case, course, part) is True]
            blamed = [course for course, _ in shared if course.some_part_was_not_tolerated]
            found.add(Fact(FactKind.COURSE, "", (certain or blamed)[0].source_index))
        return frozenset(found) | self.documented.proof(option.patient).facts

    def cite(self, facts: Iterable[Fact]) -> list[Row]:
        return [self.phrases.fact(fact, self.facts, self.read.places) for fact in sorted(facts)]

    def explanation(self, proof: Proof) -> Row:
        """A proof as a tree: each condition with what it rests on."""
        return {
            "condition": self.phrases.condition(proof.condition),
            "holds": proof.holds,
            "facts": self.cite(proof.facts) if not proof.parts else [],
            "parts": [self.explanation(part) for part in proof.parts],
        }

    # -- why not

    def why_not(self, guideline: Guideline, therapy: Therapy, status: Status, held: int) -> list[Row]:
        sets = self.engine.rules[guideline.code]
        closing = {
            Status.CONTRAINDICATED: self.index.contraindicated,
            Status.RECOMMENDED_AGAINST: sets.recommended_against,
            Status.EXHAUSTED: sets.exhausted,
            Status.IN_USE: sets.in_use,
        }.get(status)
        if closing is not None:
            rows = (self.catalogue.plain[p] or self.entry(p, therapy) for p in positions(held & closing))
            return [{"reason": status.value, **row} for row in rows]
        if status is Status.ELIGIBLE:
            return []
        if status is Status.OUT_OF_SCOPE:
            return self.out_of_scope(guideline)
        if status is Status.CONDITIONAL:
            return [{"reason": "facts are missing that decide; see missing"}]
        placements = self.catalogue.placements[guideline.code, therapy.iri]
        if not placements:
            return [{"reason": "the guideline places this therapy in no line"}]
        return [self.unfulfilled(p.position, status) for p in placements]

    def out_of_scope(self, guideline: Guideline) -> list[Row]:
        """What the scope asks for, with the facts for which the patient does not meet it."""
        if guideline.code not in self.scopes:
            self.scopes[guideline.code] = [
                {
                    "reason": "out of the scope of the guideline",
                    **self.phrases.statement(s),
                    "facts": self.cite(self.documented.proof(("named", str(s.iri)), holds=False).facts),
                }
                for s in self.knowledge.statements_below(guideline.scope)
            ]
        return self.scopes[guideline.code]

    def unfulfilled(self, position: int, status: Status) -> Row:
        """An indication with the facts for which it does not hold."""
        known = self.unfulfilled_entries.get(position)
        if known is None:
            proof = self.documented.proof(self.catalogue.conditions[position], holds=False)
            reason = "not fulfilled" if status is Status.NOT_INDICATED else "steps are unmet"
            known = {"reason": reason, **self.with_facts(position, proof.facts)}
            if self.tree:
                known["explanation"] = self.explanation(proof)
            self.unfulfilled_entries[position] = known
        return known

    # -- steps

    def unmet_steps(self, key: tuple[str, URIRef]) -> list[Row]:
        """The steps that an indication of the therapy asks for and the patient has not taken, and what would take them."""
        steps, patient_is = self.catalogue.steps, self.evaluation.patient_is
        asked = ((step, patient_is(step)) for step in self.catalogue.steps_asked[key])
        return [steps[step].unmet[truth is False] for step, truth in asked if truth is not True]

    def step(self, step: str) -> Row:
        """A step of a guideline and how it was met."""
        known, patient_is = self.catalogue.steps[step], self.evaluation.patient_is
        truth = patient_is(step)
        how = known.smaller if truth is True else []
        for branch, statement in known.branches if truth is True else ():
            if patient_is(branch) is True:
                proof = self.documented.proof(("named", branch))
                row = statement | {"facts": self.cite(proof.facts)}
                how = [*how, row | ({"explanation": self.explanation(proof)} if self.tree else {})]
        return known.row | {"met": truth is True, "unknown": truth is None, "how": how}

    # -- what is missing

    def missing(self, guideline: Guideline, therapy: Therapy, standing: Standing, marks: Marks) -> list[Row]:
        """The facts that decide a conditional option, each with what it decides."""
        key = (guideline.code, therapy.iri)
        self.conditional.append(key)
        waiting = marks.unknown & self.index.contraindicated if standing.contraindicated is None else 0
        others = self.undecided_otherwise(guideline, therapy, standing, marks)
        if not others and not waiting & self.touched:
            rows = list(self.catalogue.missing_rows(self.reading, self.facts.sex, waiting))
            if len(rows) == 1:
                self.count_alone(next(iter(self.gaps_at(next(positions(waiting))))), ("contraindication",))
            return rows
        gathered: dict[Missing, tuple[dict[str, None], list[int]]] = {}
        for decides, gaps in others.items():
            for gap in gaps:
                gathered.setdefault(gap, ({}, []))[0][decides] = None
                self.waiting.setdefault(gap, []).append(key)
        for position in positions(waiting):
            for gap in self.gaps_at(position):
                row = gathered.setdefault(gap, ({}, []))
                row[0]["contraindication"] = None
                row[1].append(position)
        if len(gathered) == 1:
            self.count_alone(next(iter(gathered)), gathered[next(iter(gathered))][0])
        return [self.row(gap, tuple(gathered[gap][0]), tuple(gathered[gap][1])) for gap in sorted(gathered)]

    def count_alone(self, gap: Missing, decides: Iterable[str]) -> None:
        """A fact that alone is missing of an option settles it by either answer; a contraindication is counted elsewhere."""
        self.deciding_alone[gap] = self.deciding_alone.get(gap, 0) + 1
        if list(decides) != ["contraindication"]:
            self.opening_alone[gap] = self.opening_alone.get(gap, 0) + 1

    def gaps_at(self, position: int) -> frozenset[Missing]:
        """What is missing of a contraindication."""
        if self.touched >> position & 1:
            return self.policy.missing(self.catalogue.conditions[position])
        return self.catalogue.gaps(self.reading, self.facts.sex)[position]

    def row(self, gap: Missing, decides: tuple[str, ...], waiting: tuple[int, ...]) -> Row:
        if gap.course < 0:
            return self.catalogue.missing_row(gap, decides, waiting)
        named = self.phrases.missing(gap, self.courses[gap.course])
        return named | {"decides": list(decides), "statements": []}

    def undecided_otherwise(
        self, guideline: Guideline, therapy: Therapy, standing: Standing, marks: Marks
    ) -> dict[str, frozenset[Missing]]:
        """What leaves open the scope, an indication, a recommendation against, or whether the option is exhausted."""
        sets, found = self.engine.rules[guideline.code], dict[str, frozenset[Missing]]()
        if standing.in_scope is None:
            found["scope"] = self.documented.missing(self.engine.program.rules[guideline.code].scope)
        for decides, truth, classes in (
            ("indication", standing.indicated, sets.indicated),
            ("recommendation-against", standing.recommended_against, sets.recommended_against),
            ("exhaustion", standing.exhausted, sets.exhausted),
        ):
            if truth is None:
                open_facts = (self.open_facts(p, therapy) for p in positions(marks.unknown & classes))
                found[decides] = frozenset[Missing]().union(*open_facts)
        return found

    def open_facts(self, position: int, therapy: Therapy) -> frozenset[Missing]:
        """The facts that leave open whether a class of options holds for the option of a therapy."""
        option, case = self.engine.program.options[self.index.classes[position]], self.evaluation.documented
        found = set(self.documented.missing(option.patient))
        for condition in option.repeats:
            for course in case.courses_of.get(therapy.iri, ()):
                found |= self.documented.course_missing(course, condition)
            for course in case.vague:
                if self.engine.may_have_been(course, therapy):
                    found.add(Missing(Gap.UNSPECIFIED, "", course.source_index, "substances"))
        for condition in option.shares:
            for course, part in (pair for used in therapy.uses for pair in case.parts_of.get(used, ())):
                found |= self.documented.part_missing(course, part, condition)
            for course in case.vague:
                if any(self.engine.may_share(part, therapy) for part in course.parts):
                    found.add(Missing(Gap.UNSPECIFIED, "", course.source_index, "substances"))
        return frozenset(found)

    def assumed(self, therapy: Therapy, marks: Marks) -> list[Row]:
        """What the policy reads as absent although nothing is reported of it."""
        forbidding = self.index.contraindicated & self.index.concerned[therapy.iri]
        if self.reading is Reading.OPEN or marks.true & forbidding:
            return []
        terms, rows = self.catalogue.silent_rows(self.facts.sex, forbidding & ~self.touched)
        more = frozenset(t for p in positions(forbidding & self.touched) for t in self.silent_terms(p)) - terms
        return list(self.catalogue.assumed_rows(terms | more) if more else rows)

    @cached_property
    def undecided(self) -> Explainer:
        return Explainer(self.engine.logic, self.evaluation.undecided, self.answerer.whole)

    def silent_terms(self, position: int) -> frozenset[str]:
        """The terms of a contraindication that would be unreported if silence were not read as absence."""
        condition = self.catalogue.conditions[position]
        assumed = self.undecided.missing(condition) - self.policy.missing(condition)
        return frozenset(m.term for m in assumed if m.gap is Gap.UNREPORTED)

    # -- the patient

    def questions(self) -> list[Row]:
        """What to ask, by how many options an answer would settle."""
        asked = {gap: set(keys) for gap, keys in self.waiting.items()}
        closing: dict[Missing, set[tuple[str, URIRef]]] = {}
        by_position: dict[int, list[tuple[str, URIRef]]] = {}
        for key in self.conditional:
            if self.evaluation.standings[key].contraindicated is None:
                for position in positions(self.evaluation.marks[key[1]].unknown & self.index.contraindicated):
                    by_position.setdefault(position, []).append(key)
        for position, keys in by_position.items():
            gaps = self.gaps_at(position)
            enough = self.catalogue.enough[position]
            for gap in gaps:
                asked.setdefault(gap, set()).update(keys)
                if len(gaps) == 1 or gap.term in enough:  # the answer yes is enough for the contraindication
                    closing.setdefault(gap, set()).update(keys)
        rows = []
        for gap, who in asked.items():
            course = self.courses.get(gap.course)
            if_present = len(closing.get(gap, ())) + self.opening_alone.get(gap, 0)
            if_absent = self.deciding_alone.get(gap, 0)
            order = (-max(if_present, if_absent), -len(who), gap)
            settles = {"ifPresent": if_present, "ifAbsent": if_absent}
            row = {"question": self.phrases.question(gap, course), **self.phrases.missing(gap, course)}
            rows.append((order, row | {"settles": settles, "options": len(who)}))
        rows.sort(key=lambda pair: pair[0])
        return [row for _, row in rows]

    def ledger(self, course: Course) -> Row:
        """A course as it was judged by the rules of the guidelines, with what is missing to judge it."""
        rules: list[Row] = []
        missing: set[Missing] = set()
        chosen = {g.iri for g in self.guidelines} | {None}
        for iri in self.answerer.course_statements:
            statement = self.knowledge.statements[iri]
            if statement.guideline not in chosen:
                continue
            truth = self.evaluation.course_is(course, str(iri))
            if truth is True:
                rules.append(self.phrases.statement(statement))
            elif truth is None:
                missing |= self.documented.course_missing(course, ("named", str(iri)))
        return {
            "place": f"patient.courses.{course.source_index}",
            "substances": [self.phrases.label(p.substance) for p in course.parts],
            "days": course.duration_days,
            "daysAtTherapeuticDose": course.days_at_therapeutic_dose,
            "outcome": course.outcome or "unknown",
            "ongoing": course.is_ongoing,
            "judgements": rules,
            "missing": sorted({m.field or self.phrases.term_id(m.term) for m in missing}),
        }
