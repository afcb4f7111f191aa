"""The options of an answer: for each therapy what labels say of it, and its standing by each guideline, with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kg.catalogue import Placement, Row
from kg.compiled import Marks
from kg.evaluated import Evaluated
from kg.explanation import Fact, FactKind, Gap, Missing
from kg.guidelines import Guideline
from kg.index import positions
from kg.policies import Verdict, agreement, overall
from kg.questions import Waiting
from kg.therapies import Therapy
from kg.verdicts import Standing, Status

_LAST = 1_000_000


class OptionWriter:
    """Writes the options of one evaluated record; `waiting` gathers what conditional options wait for."""

    def __init__(self, record: Evaluated) -> None:
        self.record = record
        self.engine = record.engine
        self.knowledge = record.knowledge
        self.index = record.index
        self.facts = record.facts
        self.evaluation = record.evaluation
        self.catalogue = record.catalogue
        self.waiting = Waiting(record)
        self._current = frozenset(m.substance for m in self.facts.medications if m.days_since_last == 0)
        self._entries: dict[int, Row] = {}
        self._unfulfilled: dict[int, Row] = {}
        self._kept = ~record.selection.left_out

    def options(self) -> list[Row]:
        """One row a therapy, those most open first."""
        ranked = [self._option(therapy) for therapy in self.knowledge.therapies]
        ranked.sort(key=lambda pair: pair[0])
        options = [option for _, option in ranked]
        self._add_alternatives(options)
        return options

    def _option(self, therapy: Therapy) -> tuple[tuple[Any, ...], Row]:
        """An option, and where it stands in the answer."""
        record, index, catalogue = self.record, self.index, self.catalogue
        marks = self.evaluation.marks[therapy.iri]
        held = marks.true & index.of_all & self._kept
        forbidden = held & index.contraindicated
        judged = self._judged(therapy)
        verdicts: dict[str, Verdict] = {}
        rows: list[tuple[tuple[Any, ...], Row]] = []
        silent = []
        for guideline in record.guidelines:
            if catalogue.speaks[guideline.code, therapy.iri]:
                standing = self.evaluation.standing(guideline.code, therapy.iri)
                verdicts[guideline.code] = Verdict.of(standing)
                rows.append(self._by_guideline(guideline, therapy, standing, marks, judged))
            else:
                silent.append(guideline.code)
        is_conditional = any(row["status"] == "conditional" for _, row in rows)
        status, decided_by = overall(
            record.request.policy,
            record.guidelines,
            catalogue.placing_alike(therapy),
            verdicts,
            self.evaluation.in_scope,
        )
        if forbidden:
            status, decided_by = Status.CONTRAINDICATED, []
        name = catalogue.therapies[therapy.iri]
        option = {
            "therapy": name,
            "status": None if status is None else status.value,
            "decidedBy": decided_by,
            "agreement": agreement(verdicts.values()),
            "inUse": self._current.issuperset(therapy.uses),
            "judgedUnsuitable": judged,
            "because": self._reasons(held, therapy),
            "whyNot": [{"reason": "contraindicated", **row} for row in self._reasons(forbidden, therapy)],
            "missing": self._missing_of_labels(therapy, marks) if is_conditional else [],
            "assumedAbsent": self._assumed(therapy, marks),
            "guidelines": [row for _, row in rows],
            "silent": silent,
        }
        best = min((order for order, _ in rows), default=(_LAST,))
        mine = best[0] if status is None else status.order
        return (bool(forbidden), mine, best, name["label"]), option

    def _judged(self, therapy: Therapy) -> list[str]:
        """The reasons for which a clinician judged something that the therapy uses unsuitable."""
        if not self.facts.judgements:
            return []
        is_a = self.knowledge.interventions.is_a
        found = (j.reason for j in self.facts.judgements if any(is_a(used, j.intervention) for used in therapy.uses))
        return list(dict.fromkeys(found))

    @staticmethod
    def _add_alternatives(options: list[Row]) -> None:
        """Beside a reserved option, every other option of any line that the same guideline leaves open."""
        found: dict[str, list[str]] = {}
        rows = [(option, row) for option in options for row in option["guidelines"]]
        for option, row in rows:
            if row["status"] == "eligible" and not row["reserved"]:
                found.setdefault(row["guideline"], []).append(option["therapy"]["id"])
        for _, row in rows:
            row["alternatives"] = found.get(row["guideline"], []) if row["reserved"] else []

    # -- one guideline

    def _by_guideline(
        self, guideline: Guideline, therapy: Therapy, standing: Standing, marks: Marks, judged: list[str]
    ) -> tuple[tuple[Any, ...], Row]:
        """What a guideline makes of a therapy, and where that stands among its options."""
        index, catalogue = self.index, self.catalogue
        key, status = (guideline.code, therapy.iri), standing.status
        told = marks.true & self._kept
        held = told & index.of_guideline[guideline.code]
        placements = [p for p in catalogue.placements[key] if self._kept >> p.position & 1]
        first: Placement | None = next((p for p in placements if held >> p.position & 1), None)
        first = first or (placements[0] if placements else None)
        rank = {
            "reserved": bool(held & catalogue.reserved),
            "judgedUnsuitable": bool(judged),
            "line": first.line_rank if first else None,
            "strength": first.strength_rank if first else None,
            "majorCautions": ((held | told & index.of_all) & catalogue.severe).bit_count(),
        }
        row = {
            "guideline": guideline.code,
            "status": status.value,
            "line": first.line if first else None,
            "strength": first.strength if first else None,
            "reserved": rank["reserved"],
            "rank": rank,
            "because": self._reasons(held, therapy),
            "whyNot": self._why_not(guideline, therapy, status, told, placements),
            "unmetSteps": [] if standing.indicated else self._unmet_steps(key),
            "missing": self._missing(guideline, therapy, standing, marks) if status is Status.CONDITIONAL else [],
        }
        order = [_LAST if value is None else value for value in rank.values()]
        return (status.order, *order), row

    def _why_not(
        self, guideline: Guideline, therapy: Therapy, status: Status, told: int, placements: list[Placement]
    ) -> list[Row]:
        sets = self.engine.rules[guideline.code]
        closing = {
            Status.RECOMMENDED_AGAINST: sets.recommended_against,
            Status.EXHAUSTED: sets.exhausted,
            Status.IN_USE: sets.in_use,
        }.get(status)
        if closing is not None:
            stated = self.index.of_all | self.index.of_guideline[guideline.code]
            return [{"reason": status.value, **row} for row in self._reasons(told & closing & stated, therapy)]
        if status in (Status.ELIGIBLE, Status.CONTRAINDICATED):
            return []  # what labels forbid is told once, of the option
        if status is Status.OUT_OF_SCOPE:
            return [{"reason": "the patient is out of the scope of the guideline"}]
        if status is Status.CONDITIONAL:
            return [{"reason": "facts are missing that decide; see missing"}]
        if not placements:
            places = self.catalogue.placements[guideline.code, therapy.iri]
            reason = (
                "the indications are left out for want of review"
                if places
                else "the guideline places this therapy in no line"
            )
            return [{"reason": reason}]
        return [self._unfulfilled_indication(p.position, status) for p in placements]

    def _unfulfilled_indication(self, position: int, status: Status) -> Row:
        """An indication with the facts for which it does not hold."""
        known = self._unfulfilled.get(position)
        if known is None:
            proof = self.record.documented.proof(self.catalogue.conditions[position], holds=False)
            reason = "not fulfilled" if status is Status.NOT_INDICATED else "steps are unmet"
            known = {"reason": reason, **self._with_facts(position, proof.facts)}
            if self.record.tree:
                known["explanation"] = self.record.explanation(proof)
            self._unfulfilled[position] = known
        return known

    def _unmet_steps(self, key: tuple[str, Any]) -> list[Row]:
        """The steps that an indication of the therapy asks for and the patient has not taken, and what would take them."""
        steps, patient_is = self.catalogue.steps, self.evaluation.patient_is
        asked = ((step, patient_is(step)) for step in self.catalogue.steps_asked[key])
        return [steps[step].unmet[truth is False] for step, truth in asked if truth is not True]

    # -- statements and their facts

    def _reasons(self, among: int, therapy: Therapy) -> list[Row]:
        plain = self.catalogue.plain
        return [plain[p] or self._entry(p, therapy) for p in positions(among)]

    def _entry(self, position: int, therapy: Therapy) -> Row:
        """A statement with the facts for which it holds."""
        if self.index.linked >> position & 1:
            return self._with_facts(position, self._link_facts(position, therapy))
        known = self._entries.get(position)
        if known is None:
            forbids = self.index.contraindicated >> position & 1
            explainer = self.record.policy if forbids else self.record.documented
            proof = explainer.proof(self.catalogue.conditions[position])
            known = self._entries[position] = self._with_facts(position, proof.facts)
            if self.record.tree:
                known["explanation"] = self.record.explanation(proof)
        return known

    def _with_facts(self, position: int, facts: Iterable[Fact]) -> Row:
        return (self.catalogue.statements[position] or {}) | {"facts": self.record.cite(facts)}

    def _link_facts(self, position: int, therapy: Therapy) -> frozenset[Fact]:
        """The earlier trials and judgements of a therapy for which a class of its option holds."""
        documented, whole = self.record.documented, self.record.whole
        iri = self.index.classes[position]
        option, case, logic = self.engine.program.options[iri], self.evaluation.documented, self.engine.logic
        found: set[Fact] = set()
        if self.index.judged >> position & 1:
            for reason in whole.reasons(case, therapy, (iri,)):
                found |= reason.facts
        for condition in option.repeats:
            test = logic.course(condition)
            fitting = [c for c in case.courses_of.get(therapy.iri, ()) if test(case, c) is True]
            proofs = [documented.course_proof(course, condition) for course in fitting]
            found |= min(proofs, key=lambda p: len(p.facts)).facts
        for condition in option.shares:
            part_test = logic.part(condition)
            shared = [pair for used in therapy.uses for pair in case.parts_of.get(used, ())]
            # Certain of a part, or of one of several, whichever it was.
            certain = [course for course, part in shared if part_test(case, course, part) is True]
            blamed = [course for course, _ in shared if course.some_part_was_not_tolerated]
            found.add(Fact(FactKind.COURSE, "", (certain or blamed)[0].source_index))
        return frozenset(found) | documented.proof(option.patient).facts

    # -- what is missing

    def _missing_of_labels(self, therapy: Therapy, marks: Marks) -> list[Row]:
        """The facts that decide whether labels forbid an option that is otherwise open."""
        record = self.record
        undecided = marks.unknown & record.forbidding
        if marks.true & record.forbidding or not undecided:
            return []
        self.waiting.for_labels(therapy, undecided)
        if not undecided & record.touched:
            return list(self.catalogue.missing_rows(record.reading, self.facts.sex, undecided))
        gathered: dict[Missing, list[int]] = {}
        for position in positions(undecided):
            for gap in record.gaps_at(position):
                gathered.setdefault(gap, []).append(position)
        return [
            self._missing_row(gap, ("contraindication",), tuple(gathered[gap]))
            for gap in sorted(gathered, key=record.order_of)
        ]

    def _missing(self, guideline: Guideline, therapy: Therapy, standing: Standing, marks: Marks) -> list[Row]:
        """The facts that decide a conditional option as far as the guideline goes, each with what it decides."""
        undecided = self._undecided(guideline, therapy, standing, marks)
        self.waiting.for_guideline(guideline, therapy, undecided)
        if not undecided:
            return []
        decided_by: dict[Missing, list[str]] = {}
        for decides, gaps in undecided.items():
            for gap in gaps:
                decided_by.setdefault(gap, []).append(decides)
        return [
            self._missing_row(gap, tuple(decided_by[gap]), ()) for gap in sorted(decided_by, key=self.record.order_of)
        ]

    def _missing_row(self, gap: Missing, decides: tuple[str, ...], waiting: tuple[int, ...]) -> Row:
        """A missing fact with what it decides and the contraindications that wait for it."""
        row = (
            self.catalogue.missing_row(gap, decides, waiting)
            if gap.course < 0
            else {"decides": list(decides), "statements": []}
        )
        return row | self.record.missing(gap) if gap.gap is Gap.INCOMPLETE or gap.course >= 0 else row

    def _undecided(
        self, guideline: Guideline, therapy: Therapy, standing: Standing, marks: Marks
    ) -> dict[str, frozenset[Missing]]:
        """What leaves open the scope, an indication, a recommendation against, or whether the option is exhausted."""
        sets, found = self.engine.rules[guideline.code], dict[str, frozenset[Missing]]()
        if standing.in_scope is None:
            found["scope"] = self.record.documented.missing(self.engine.program.rules[guideline.code].scope)
        for decides, truth, classes in (
            ("indication", standing.indicated, sets.indicated),
            ("recommendation-against", standing.recommended_against, sets.recommended_against),
            ("exhaustion", standing.exhausted, sets.exhausted),
        ):
            if truth is None:
                open_facts = (self._open_facts(p, therapy) for p in positions(marks.unknown & classes))
                found[decides] = frozenset[Missing]().union(*open_facts)
        return found

    def _open_facts(self, position: int, therapy: Therapy) -> frozenset[Missing]:
        """The facts that leave open whether a class of options holds for the option of a therapy."""
        option, case = self.engine.program.options[self.index.classes[position]], self.evaluation.documented
        documented = self.record.documented
        found = set(documented.missing(option.patient))
        for condition in option.repeats:
            for course in case.courses_of.get(therapy.iri, ()):
                found |= documented.course_missing(course, condition)
            for course in case.vague:
                if self.engine.may_have_been(course, therapy):
                    found.add(Missing(Gap.UNSPECIFIED, "", course.source_index, "substances"))
        for condition in option.shares:
            for course, part in (pair for used in therapy.uses for pair in case.parts_of.get(used, ())):
                found |= documented.part_missing(course, part, condition)
            for course in case.vague:
                if any(self.engine.may_share(part, therapy) for part in course.parts):
                    found.add(Missing(Gap.UNSPECIFIED, "", course.source_index, "substances"))
        return frozenset(found)

    # -- what is assumed

    def _assumed(self, therapy: Therapy, marks: Marks) -> list[Row]:
        """What the policy reads as absent although nothing is reported of it."""
        record = self.record
        forbidding = record.forbidding & self.index.concerned[therapy.iri]
        if record.reading.leaves_open or marks.true & forbidding:
            return []
        terms, rows = self.catalogue.silent_rows(self.facts.sex, forbidding & ~record.touched)
        more = frozenset(t for p in positions(forbidding & record.touched) for t in self._silent_terms(p)) - terms
        return list(self.catalogue.assumed_rows(terms | more) if more else rows)

    def _silent_terms(self, position: int) -> frozenset[str]:
        """The terms of a contraindication that would be unreported if silence were not read as absence."""
        condition = self.catalogue.conditions[position]
        assumed = self.record.undecided.missing(condition) - self.record.policy.missing(condition)
        return frozenset(m.term for m in assumed if m.gap is Gap.UNREPORTED)
