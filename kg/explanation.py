"""Why a condition holds, why it does not, and what is missing to decide it: the facts of the record behind a truth value.

A proof cites as few facts as it can: they are enough for the condition to hold, and none of them can be spared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from kg.case import AGE, SEX_CLASS, Case
from kg.compiled import CONTRAINDICATED, JUDGED, UNUSABLE, CompiledEngine
from kg.expressions import Expression, Truth
from kg.facts import Course, CoursePart
from kg.index import positions
from kg.logic import DOSE, Logic
from kg.namespaces import NXL
from kg.therapies import Therapy


class FactKind(StrEnum):
    """What a cited fact is; `SILENCE` cites that something is not reported and counts as absent."""

    FINDING = "finding"
    ABSENCE = "absence"
    SILENCE = "silence"
    AGE = "age"
    SEX = "sex"
    MEASUREMENT = "measurement"
    MEDICATION = "medication"
    COURSE = "course"
    JUDGEMENT = "judgement"


class Fact(NamedTuple):
    """A fact of the record: its kind, the term it is about, and its position among the facts of that kind."""

    kind: FactKind
    term: str
    position: int = -1


class Gap(StrEnum):
    """Why a fact is missing."""

    UNREPORTED = "unreported"
    UNSPECIFIED = "unspecified"
    INCOMPLETE = "incomplete"


class Missing(NamedTuple):
    """A fact that would decide: the term it is about, why it is missing, and for a course its position and field."""

    gap: Gap
    term: str
    course: int = -1
    field: str = ""


class Proof(NamedTuple):
    """Why a condition has its truth value: the facts, and the conditions inside it that it rests on.

    `condition` is the IRI of a named class, or an expression.
    """

    condition: str | Expression
    holds: bool
    facts: frozenset[Fact]
    parts: tuple[Proof, ...] = ()


_COURSE_FIELDS = {
    str(NXL.courseOutcome): "outcome",
    str(NXL.isOngoing): "ongoing or end",
    str(NXL.durationDays): "weeks",
}
_PART_FIELDS = {
    DOSE: "dailyDoseMg or reachedTherapeuticDose",
    str(NXL.reachedTherapeuticDose): "dailyDoseMg or reachedTherapeuticDose",
    str(NXL.notTolerated): "notTolerated",
}
_NOTHING: frozenset[Missing] = frozenset()
_NOT_TOLERATED = str(NXL.SubstanceNotToleratedOption)
_DAYS_AT_DOSE = str(NXL.daysAtTherapeuticDose)


class Explainer:
    """Explains conditions on one patient under one reading."""

    def __init__(self, logic: Logic, case: Case, whole: WholeClasses) -> None:
        self._logic = logic
        self._case = case
        self._whole = whole
        self._proofs: dict[tuple[object, ...], Proof] = {}
        self._missing: dict[Expression, frozenset[Missing]] = {}

    # -- why

    def proof(self, expression: Expression, holds: bool = True) -> Proof:
        """Why the patient meets a condition or, with `holds` false, why not; the truth value has to be that one."""
        return self._prove(expression, holds, self._logic.patient, ())

    def course_proof(self, course: Course, expression: Expression, holds: bool = True) -> Proof:
        """Why a course meets a condition, or why not."""
        return self._prove(expression, holds, self._logic.course, (course,))

    def _prove(self, expression: Expression, holds: bool, test: Callable[..., Any], of: tuple[Any, ...]) -> Proof:
        match expression:
            case ("everything",) | ("nothing",):
                return Proof(expression, holds, frozenset())
            case ("named", name):
                key = (name, holds, *map(id, of))
                known = self._proofs.get(key)
                if known is None:
                    inner = self._prove(self._logic.classes[name], holds, test, of)
                    known = Proof(name, holds, inner.facts, (inner,) if inner.facts or inner.parts else ())
                    self._proofs[key] = known
                return known
            case ("not", part):
                inner = self._prove(part, not holds, test, of)
                return Proof(expression, holds, inner.facts, (inner,))
            case ("all", *parts) | ("any", *parts):
                if (expression[0] == "all") is holds:
                    proofs = [self._prove(part, holds, test, of) for part in parts]
                    return Proof(expression, holds, frozenset().union(*(p.facts for p in proofs)), tuple(proofs))
                best = self._best(parts, holds, test, of)
                return Proof(expression, holds, best.facts, (best,))
        leaf = (self._prove_patient, self._prove_course, self._prove_part)[len(of)]
        return leaf(expression, holds, *of)

    def _best(self, parts: list[Expression], holds: bool, test: Callable[..., Any], of: tuple[Any, ...]) -> Proof:
        """Of the parts each of which is enough, the proof of one that cites the fewest facts."""
        best: Proof | None = None
        for part in parts:
            if test(part)(self._case, *of) is holds:
                proof = self._prove(part, holds, test, of)
                if best is None or len(proof.facts) < len(best.facts):
                    best = proof
                if len(best.facts) <= 1:
                    break
        assert best is not None, "the truth value of the whole is that of a part"
        return best

    def _prove_patient(self, expression: Expression, holds: bool) -> Proof:
        case, facts = self._case, self._case.facts
        cited: frozenset[Fact] = frozenset()
        match expression:
            case ("finding", term):
                cited = self._finding_facts(term, holds)
            case ("sex", term):
                cited = frozenset({Fact(FactKind.SEX, term)})
            case ("quantity", quantity, _):
                cited = self._quantity_facts(quantity)
            case ("takes", group, _):
                cited = self._medication_facts(expression) if holds else frozenset({Fact(FactKind.SILENCE, group)})
            case ("had-course", condition):
                tests = self._logic.course(condition)
                if holds:
                    proofs = [self.course_proof(c, condition) for c in facts.courses if tests(case, c) is True]
                    return _within(expression, _smallest(proofs))
                return Proof(expression, holds, self._courses(facts.courses))
            case ("whole", helper, *kinds):
                return self._prove_whole(expression, helper, tuple(kinds), holds)
        return Proof(expression, holds, cited)

    def _finding_facts(self, term: str, holds: bool) -> frozenset[Fact]:
        hierarchy, facts = self._case.hierarchy, self._case.facts
        if holds:
            reported = [f for f in facts.present if term in hierarchy.finding(str(f)).above]
            # The most particular one: it is likely to be cited for other parts of the same condition too.
            narrowest = max(reported, key=lambda f: len(hierarchy.finding(str(f)).above))
            return frozenset({Fact(FactKind.FINDING, str(narrowest))})
        for absent in facts.absent:
            if term in hierarchy.finding(str(absent)).below:
                return frozenset({Fact(FactKind.ABSENCE, str(absent))})
        sex = SEX_CLASS.get(facts.sex)
        if sex is not None and term in hierarchy.denied_by(sex):
            return frozenset({Fact(FactKind.SEX, sex)})
        return frozenset({Fact(FactKind.SILENCE, term)})

    def _quantity_facts(self, quantity: str) -> frozenset[Fact]:
        if quantity == AGE:
            return frozenset({Fact(FactKind.AGE, AGE)})
        reported = any(str(m.quantity) == quantity for m in self._case.facts.measurements)
        return frozenset({Fact(FactKind.MEASUREMENT if reported else FactKind.SILENCE, quantity)})

    def _medication_facts(self, expression: Expression) -> frozenset[Fact]:
        for position, medication in enumerate(self._case.facts.medications):
            if self._logic.takes(self._case, medication, expression) is True:
                return frozenset({Fact(FactKind.MEDICATION, str(medication.substance), position)})
        raise AssertionError("a medication that is taken is among the medications")

    def _courses(self, courses: Iterable[Course]) -> frozenset[Fact]:
        return frozenset(Fact(FactKind.COURSE, "", c.source_index) for c in courses)

    def _prove_course(self, expression: Expression, holds: bool, course: Course) -> Proof:
        cited = self._courses([course])
        match expression:
            case ("of-patient", condition):
                inner = self.proof(condition, holds)
                return Proof(expression, holds, cited | inner.facts, (inner,))
            case ("has-part", least, condition) if holds:
                test = self._logic.part(condition)
                fitting = [p for p in course.parts if test(self._case, course, p) is True][:least]
                proofs = [self._prove(condition, True, self._logic.part, (course, p)) for p in fitting]
                return Proof(expression, True, cited.union(*(p.facts for p in proofs)), tuple(proofs))
        return Proof(expression, holds, cited)

    def _prove_part(self, expression: Expression, holds: bool, course: Course, part: CoursePart) -> Proof:
        cited = self._courses([course])
        if expression[0] == "of-course":
            inner = self.course_proof(course, expression[1], holds)
            return Proof(expression, holds, cited | inner.facts, (inner,))
        return Proof(expression, holds, cited)

    def _prove_whole(self, expression: Expression, helper: str, kinds: tuple[str, ...], holds: bool) -> Proof:
        """All members, each by its smallest reason; or the one member to which the kinds do not apply."""
        members, proofs = self._whole.members(helper), []
        if not holds:
            spared = next(m for m in members if self._whole.spares(self._case, m, kinds))
            return Proof(expression, False, frozenset(), (Proof(str(spared.iri), False, frozenset()),))
        for member in members:
            reasons = self._whole.reasons(self._case, member, kinds)
            proofs.append(_smallest([self._reason(member, reason) for reason in reasons]))
        return Proof(expression, holds, frozenset().union(*(p.facts for p in proofs)), tuple(proofs))

    def _reason(self, member: Therapy, reason: Reason) -> Proof:
        if reason.condition is not None:
            inner = self.proof(reason.condition)
            return Proof(str(member.iri), True, inner.facts, (Proof(reason.name, True, inner.facts, (inner,)),))
        return Proof(str(member.iri), True, reason.facts, (Proof(reason.name, True, reason.facts),))

    # -- what is missing

    def missing(self, expression: Expression) -> frozenset[Missing]:
        """The facts that would decide a condition on the patient that is unknown; nothing if it is known."""
        if expression not in self._missing:
            self._missing[expression] = self._lack(expression, self._logic.patient, ())
        return self._missing[expression]

    def course_missing(self, course: Course, expression: Expression) -> frozenset[Missing]:
        """The facts that would decide a condition on a course."""
        return self._lack(expression, self._logic.course, (course,))

    def part_missing(self, course: Course, part: CoursePart, expression: Expression) -> frozenset[Missing]:
        """The facts that would decide a condition on a part of a course."""
        return self._lack(expression, self._logic.part, (course, part))

    def _lack(self, expression: Expression, test: Callable[..., Any], of: tuple[Any, ...]) -> frozenset[Missing]:
        if test(expression)(self._case, *of) is not None:
            return _NOTHING
        match expression:
            case ("named", name):
                inner = self._logic.classes[name]
                return self.missing(inner) if not of else self._lack(inner, test, of)
            case ("not", part):
                return self._lack(part, test, of)
            case ("all", *parts) | ("any", *parts):
                return _NOTHING.union(*(self._lack(part, test, of) for part in parts))
        leaf = (self._lack_of_patient, self._lack_of_course, self._lack_of_part)[len(of)]
        return leaf(expression, *of)

    def _lack_of_patient(self, expression: Expression) -> frozenset[Missing]:
        match expression:
            case ("finding", term):
                return self._missing_findings(term)
            case ("sex", term):
                return frozenset({Missing(Gap.UNREPORTED, term)})
            case ("quantity", quantity, _):
                stale = any(str(m.quantity) == quantity for m in self._case.facts.measurements)
                return frozenset({Missing(Gap.INCOMPLETE if stale else Gap.UNREPORTED, quantity)})
            case ("takes", group, _):
                return self._missing_medications(group, expression)
            case ("had-course", condition):
                return _NOTHING.union(*(self.course_missing(c, condition) for c in self._case.facts.courses))
            case ("whole", helper, *kinds):
                return self._missing_of_whole(helper, tuple(kinds))
        return _NOTHING

    def _missing_findings(self, term: str) -> frozenset[Missing]:
        case, hierarchy = self._case, self._case.hierarchy
        if term not in case.open:
            return frozenset({Missing(Gap.UNREPORTED, term)})
        reported = [hierarchy.finding(str(f)) for f in (*case.facts.present, *case.facts.possible)]
        if any(term in f.below for f in reported):
            return frozenset({Missing(Gap.UNSPECIFIED, term)})
        # Only something narrower than both is open: failed back surgery, and whether its pain is neuropathic.
        below = hierarchy.finding(term).below - case.denied
        shared = {s for f in reported for s in below & f.below}
        top = [s for s in shared if not (hierarchy.finding(s).above - {s}) & shared]
        return frozenset(Missing(Gap.UNSPECIFIED, s) for s in top)

    def _missing_medications(self, group: str, expression: Expression) -> frozenset[Missing]:
        found = set()
        for medication in self._case.facts.medications:
            if self._logic.takes(self._case, medication, expression) is None:
                substance = str(medication.substance)
                known = self._case.hierarchy.relation(medication.substance, group) is True
                found.add(Missing(Gap.INCOMPLETE, substance) if known else Missing(Gap.UNSPECIFIED, group))
        return frozenset(found) or frozenset({Missing(Gap.UNREPORTED, group)})

    def _missing_of_whole(self, helper: str, kinds: tuple[str, ...]) -> frozenset[Missing]:
        found = _NOTHING
        for member in self._whole.members(helper):
            for reason in self._whole.open_reasons(self._case, member, kinds):
                found |= reason.missing if reason.condition is None else self.missing(reason.condition)
        return found

    def _lack_of_course(self, expression: Expression, course: Course) -> frozenset[Missing]:
        position = course.source_index
        match expression:
            case ("of-patient", condition):
                return self.missing(condition)
            case ("number" | "value", property_, *_):
                field = _COURSE_FIELDS.get(property_, "")
                if property_ == _DAYS_AT_DOSE:
                    field = "weeks" if course.duration_days is None else "weeksAtDose"
                return frozenset({Missing(Gap.INCOMPLETE, "", position, field)})
            case ("has-part", _, condition):
                return _NOTHING.union(*(self.part_missing(course, part, condition) for part in course.parts))
        return frozenset({Missing(Gap.UNSPECIFIED, "", position, "substances")})

    def _lack_of_part(self, expression: Expression, course: Course, part: CoursePart) -> frozenset[Missing]:
        match expression:
            case ("of-course", condition):
                return self.course_missing(course, condition)
            case ("number" | "value", property_, *_):
                field = _PART_FIELDS.get(property_, "")
                return frozenset({Missing(Gap.INCOMPLETE, "", course.source_index, field)})
        return frozenset({Missing(Gap.UNSPECIFIED, "", course.source_index, "substances")})


class Reason(NamedTuple):
    """One reason for which a kind of option may apply to a therapy: a condition on the patient, or facts or gaps."""

    name: str
    truth: Truth
    condition: Expression | None = None
    facts: frozenset[Fact] = frozenset()
    missing: frozenset[Missing] = frozenset()


class WholeClasses:
    """What makes the members of whole-class therapies unusable, reason by reason."""

    def __init__(self, engine: CompiledEngine) -> None:
        self._engine = engine
        self._conditions = [engine.program.options[iri].patient for iri in engine.index.classes]

    def members(self, helper: str) -> tuple[Therapy, ...]:
        """The therapies that a whole-class therapy stands for."""
        return self._engine.members(helper)

    def spares(self, case: Case, member: Therapy, kinds: tuple[str, ...]) -> bool:
        """Whether one of the kinds certainly does not apply to a member."""
        return any(self._engine.applies(case, member, kind) is False for kind in kinds)

    def reasons(self, case: Case, member: Therapy, kinds: tuple[str, ...]) -> list[Reason]:
        """The reasons that hold."""
        return [r for r in self._all(case, member, kinds) if r.truth is True]

    def open_reasons(self, case: Case, member: Therapy, kinds: tuple[str, ...]) -> list[Reason]:
        """The reasons of which it is unknown, unless another one holds."""
        everything = self._all(case, member, kinds)
        return [] if any(r.truth is True for r in everything) else [r for r in everything if r.truth is None]

    def _all(self, case: Case, member: Therapy, kinds: tuple[str, ...]) -> list[Reason]:
        found: list[Reason] = []
        unusable = UNUSABLE in kinds
        if unusable or CONTRAINDICATED in kinds:
            marks, index = self._engine.contraindications(case), self._engine.index
            concerned = index.concerned[member.iri]
            for truth, among in ((True, marks.true & concerned), (None, marks.unknown & concerned)):
                found += [Reason(index.classes[p], truth, self._conditions[p]) for p in positions(among)]
        if unusable or JUDGED in kinds:
            found += self._judgements(case, member)
        if unusable:
            found += self._intolerances(case, member)
        return found

    @staticmethod
    def _judgements(case: Case, member: Therapy) -> list[Reason]:
        return [
            Reason(JUDGED, True, facts=frozenset({Fact(FactKind.JUDGEMENT, str(j.intervention), position)}))
            for position, j in enumerate(case.facts.judgements)
            if any(case.hierarchy.relation(used, j.intervention) is True for used in member.uses)
        ]

    @staticmethod
    def _intolerances(case: Case, member: Therapy) -> list[Reason]:
        found = []
        for course in case.facts.courses:
            for part in course.parts:
                if part.not_tolerated is False:
                    continue
                position = course.source_index
                if part.substance in member.uses:
                    cited = frozenset({Fact(FactKind.COURSE, "", position)})
                    lack = frozenset({Missing(Gap.INCOMPLETE, "", position, "notTolerated")})
                    found.append(Reason(_NOT_TOLERATED, part.not_tolerated, facts=cited, missing=lack))
                elif any(case.hierarchy.relation(u, part.substance) is True for u in member.uses):
                    lack = frozenset({Missing(Gap.UNSPECIFIED, "", position, "substances")})
                    found.append(Reason(_NOT_TOLERATED, None, missing=lack))
        return found


def _smallest(proofs: list[Proof]) -> Proof:
    """The proof that cites the fewest facts; the first of equals."""
    return min(proofs, key=lambda proof: len(proof.facts))


def _within(expression: Expression, inner: Proof) -> Proof:
    return Proof(expression, inner.holds, inner.facts, (inner,))
