"""The compiled engine: the verdicts of one patient from the program of a build, without a reasoner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from rdflib import URIRef

from kg.abox import Reading
from kg.case import Case
from kg.expressions import Truth
from kg.facts import Course, CoursePart, PatientFacts, Policy, Sex
from kg.guidelines import Guideline
from kg.hierarchy import Hierarchy
from kg.index import OptionIndex, positions
from kg.knowledge import Knowledge
from kg.logic import Logic, PatientTest, kleene_and, kleene_or, whichever
from kg.namespaces import NXL
from kg.program import Program
from kg.therapies import Therapy
from kg.verdicts import Standing

ENGINE_NAME = "compiled"
CONTRAINDICATED, JUDGED, UNUSABLE = map(
    str, (NXL.ContraindicatedOption, NXL.JudgedUnsuitableOption, NXL.UnusableOption)
)


class Marks:
    """Classes of options that are true, and those that are unknown, as sets of an OptionIndex; all others are false."""

    __slots__ = ("true", "unknown")

    def __init__(self, true: int, unknown: int) -> None:
        self.true = true
        self.unknown = unknown

    def among(self, classes: int) -> Truth:
        """Whether any of some classes holds."""
        if self.true & classes:
            return True
        return None if self.unknown & classes else False


@dataclass(frozen=True, slots=True)
class _RuleSets:
    """What a guideline decides by, as a test and as sets of classes of options."""

    scope: PatientTest
    indicated: int
    recommended_against: int
    exhausted: int
    in_use: int
    steps: tuple[str, ...]


class CompiledEngine:
    """Evaluates patients by a compiled program."""

    name = ENGINE_NAME

    def __init__(self, knowledge: Knowledge, program: Program) -> None:
        self.knowledge = knowledge
        self.program = program
        self.hierarchy = Hierarchy(knowledge, program.denials)
        self.logic = Logic(program.classes, self.hierarchy, self._whole)
        self.index = OptionIndex(knowledge, program, self.hierarchy)
        options = [program.options[iri] for iri in self.index.classes]
        self.tests = [self.logic.patient(option.patient) for option in options]
        self._repeats = [[self.logic.course(c) for c in option.repeats] for option in options]
        self._shares = [[self.logic.part(c) for c in option.shares] for option in options]
        self._members = {str(h.iri): h.members for h in knowledge.whole_class_therapies}
        self._tests_of_kind = {
            CONTRAINDICATED: (self.is_contraindicated,),
            JUDGED: (self.is_judged_unsuitable,),
            UNUSABLE: (self.is_contraindicated, self.is_judged_unsuitable, self.is_not_tolerated),
        }
        self._untouched: dict[tuple[Reading, Sex], Marks] = {}
        self.rules = {
            code: _RuleSets(
                scope=self.logic.patient(rules.scope),
                indicated=self.index.set_of(rules.indicated),
                recommended_against=self.index.set_of(rules.recommended_against),
                exhausted=self.index.set_of(rules.exhausted),
                in_use=self.index.set_of(rules.in_use),
                steps=tuple(rules.steps),
            )
            for code, rules in program.rules.items()
        }

    def evaluate(
        self, facts: PatientFacts, policy: Policy, guidelines: Iterable[Guideline], left_out: int = 0
    ) -> CompiledEvaluation:
        """Decide the standing of every therapy for the patient by each guideline.

        `left_out` is a set of the index: statements that are taken as not made.
        """
        return CompiledEvaluation(self, facts, policy, tuple(guidelines), left_out)

    def marks(self, case: Case, among: int) -> Marks:
        """The truth of the patient side of classes of options."""
        nothing_said = self._of_nobody(case.reading, case.facts.sex)
        among &= ~case.left_out
        touched = self.index.touched(case.facts) & among
        true = nothing_said.true & among & ~touched
        unknown = nothing_said.unknown & among & ~touched
        tests = self.tests
        for position in positions(touched):
            truth = tests[position](case)
            if truth is True:
                true |= 1 << position
            elif truth is None:
                unknown |= 1 << position
        return Marks(true, unknown)

    def _of_nobody(self, reading: Reading, sex: Sex) -> Marks:
        """The marks of a patient of whom no more than the sex is reported."""
        if (reading, sex) not in self._untouched:
            case = Case(self.hierarchy, PatientFacts.of_nobody(sex), reading)
            true = unknown = 0
            for position, test in enumerate(self.tests):
                if not self.index.always & (1 << position):
                    truth = test(case)
                    true |= (truth is True) << position
                    unknown |= (truth is None) << position
            self._untouched[reading, sex] = Marks(true, unknown)
        return self._untouched[reading, sex]

    def linked(self, case: Case, therapy: Therapy, marks: Marks) -> Marks:
        """The marks of the classes that rest on earlier trials of one therapy; `marks` are those of the patient side."""
        index = self.index
        classes = index.concerned[therapy.iri] & index.linked
        repeated = case.courses_of.get(therapy.iri, ())
        vague = any(self.may_have_been(course, therapy) for course in case.vague)
        if not repeated and not vague:
            classes &= ~index.repeating
        shared = [pair for used in therapy.uses for pair in case.parts_of.get(used, ())]
        unclear = any(self.may_share(part, therapy) for course in case.vague for part in course.parts)
        if not shared and not unclear:
            classes &= ~index.sharing
        if not case.facts.judgements:
            classes &= ~index.judged
        true = unknown = 0
        for position in positions(classes):
            bit = 1 << position
            truths = [marks.among(bit)]
            if index.judged & bit:
                truths.append(self.is_judged_unsuitable(case, therapy))
            for test in self._repeats[position]:
                truths.append(kleene_or([test(case, course) for course in repeated] + [None] * vague))
            for part_test in self._shares[position]:
                found = [part_test(case, course, part) for course, part in shared]
                found += [whichever(case, course, part_test) for course in _all_blamed(shared)]
                truths.append(kleene_or(found + [None] * unclear))
            truth = kleene_and(truths)
            if truth is True:
                true |= bit
            elif truth is None:
                unknown |= bit
        return Marks(true, unknown)

    def may_share(self, part: CoursePart, therapy: Therapy) -> bool:
        """Whether a part of unspecified substance, not known to be tolerated, may be of a substance of the therapy."""
        return part.not_tolerated is not False and any(
            used != part.substance and self._is_a(used, part.substance) for used in therapy.uses
        )

    def may_have_been(self, course: Course, therapy: Therapy) -> bool:
        """Whether a course of an unspecified member may have been this therapy."""
        if course.therapy is not None or course.is_combination != therapy.is_combination:
            return False
        substances = [part.substance for part in course.parts]
        return all(any(self._is_a(u, s) for s in substances) for u in therapy.uses) and all(
            any(self._is_a(u, s) for u in therapy.uses) for s in substances
        )

    def _is_a(self, substance: URIRef, group: URIRef) -> bool:
        return self.hierarchy.relation(substance, group) is True

    # -- whole classes

    def _whole(self, case: Case, helper: str, kinds: tuple[str, ...]) -> Truth:
        """Whether kinds of option apply to a class as a whole: to each of its members, by what is documented."""
        members = self._members[helper]
        result: Truth = True if members else None
        for member in members:
            for kind in kinds:
                applies = self.applies(case, member, kind)
                if applies is False:
                    return False
                if applies is None:
                    result = None
        return result

    def applies(self, case: Case, member: Therapy, kind: str) -> Truth:
        """Whether an option of a therapy is contraindicated, judged unsuitable, or unusable for any of these reasons."""
        result: Truth = False
        for test in self._tests_of_kind[kind]:
            found = test(case, member)
            if found is True:
                return True
            if found is None:
                result = None
        return result

    def members(self, helper: str) -> tuple[Therapy, ...]:
        """The therapies that a whole-class therapy stands for."""
        return self._members[helper]

    def contraindications(self, case: Case) -> Marks:
        """The contraindications whose patient side holds in a case, and those of which it is unknown."""
        if case.contraindications is None:
            case.contraindications = self.marks(case, self.index.contraindicated)
        marks: Marks = case.contraindications
        return marks

    def is_contraindicated(self, case: Case, therapy: Therapy) -> Truth:
        """Whether some contraindication of the therapy holds in a case."""
        return self.contraindications(case).among(self.index.concerned[therapy.iri])

    def is_judged_unsuitable(self, case: Case, therapy: Therapy) -> Truth:
        """Whether a clinician judged something that the therapy uses unsuitable."""
        judgements = case.facts.judgements
        return bool(judgements) and any(self._is_a(used, j.intervention) for j in judgements for used in therapy.uses)

    def is_not_tolerated(self, case: Case, therapy: Therapy) -> Truth:
        """Whether a substance of the therapy was not tolerated; an unspecified one may have been it."""
        truths = [part.not_tolerated for used in therapy.uses for _, part in case.parts_of.get(used, ())]
        if any(self.may_share(part, therapy) for course in case.vague for part in course.parts):
            truths.append(None)
        return kleene_or(truths)


def _all_blamed(shared: list[tuple[Course, CoursePart]]) -> list[Course]:
    """The courses of which some part was not tolerated, nobody knows which, and every part is shared."""
    courses = {id(c): c for c, _ in shared if c.some_part_was_not_tolerated}
    return [c for key, c in courses.items() if sum(id(of) == key for of, _ in shared) == len(c.parts)]


class CompiledEvaluation:
    """The verdicts of one patient, and what they were read from.

    `documented` is the case with silence read as absence, `policy` the case as the request reads silence. `marks` holds
    for each therapy the classes of options that hold for it, and those of which it is unknown.
    """

    def __init__(
        self,
        engine: CompiledEngine,
        facts: PatientFacts,
        policy: Policy,
        guidelines: tuple[Guideline, ...],
        left_out: int = 0,
    ) -> None:
        self.engine = engine
        self.documented = Case(engine.hierarchy, facts, Reading.DOCUMENTED, left_out)
        self.policy = self.documented.of_reading(Reading.of(policy))
        self.marks: dict[URIRef, Marks] = {}
        index, documented = engine.index, self.documented
        said = engine.marks(documented, index.all & ~index.contraindicated)
        forbidden = engine.contraindications(self.policy)
        plain = Marks(said.true & ~index.linked | forbidden.true, said.unknown & ~index.linked | forbidden.unknown)
        for therapy in engine.knowledge.therapies:
            concerned = index.concerned[therapy.iri]
            true, unknown = plain.true & concerned, plain.unknown & concerned
            tried = therapy.iri in documented.courses_of or any(used in documented.parts_of for used in therapy.uses)
            if (tried or documented.vague or facts.judgements) and concerned & index.linked:
                linked = engine.linked(documented, therapy, said)
                true, unknown = true | linked.true, unknown | linked.unknown
            self.marks[therapy.iri] = Marks(true, unknown)
        self._scopes = {g.code: engine.rules[g.code].scope(documented) for g in guidelines}
        self._reached: dict[str, Marks] = {}
        self._standings: dict[tuple[str, URIRef], Standing] = {}

    def in_scope(self, guideline: Guideline) -> Truth:
        """Whether the patient is one for whom the guideline speaks."""
        return self._scopes[guideline.code]

    def standing(self, code: str, therapy: URIRef) -> Standing:
        """The standing of a therapy by the guideline with a code; worked out when it is first asked for."""
        key = (code, therapy)
        known = self._standings.get(key)
        if known is None:
            known = self._standings[key] = self._judged(code, therapy)
        return known

    def _judged(self, code: str, therapy: URIRef) -> Standing:
        index, rules, marks = self.engine.index, self.engine.rules[code], self.marks[therapy]
        indicated = marks.among(rules.indicated)
        could_be = index.concerned[therapy] & rules.indicated
        but_for_steps = indicated is False and could_be != 0 and self._with_steps_met(code).among(could_be) is True
        return Standing(
            self._scopes[code],
            indicated,
            marks.among(rules.recommended_against),
            marks.among(index.contraindicated),
            marks.among(rules.exhausted),
            marks.among(rules.in_use),
            but_for_steps,
        )

    def _with_steps_met(self, code: str) -> Marks:
        """The indications of a guideline if all its steps were met."""
        known = self._reached.get(code)
        if known is None:
            rules = self.engine.rules[code]
            case = self.documented.with_classes(rules.steps)
            known = self._reached[code] = self.engine.marks(case, rules.indicated)
        return known

    @cached_property
    def undecided(self) -> Case:
        """The case with silence read as unknown, whatever the request asks for."""
        return self.documented.of_reading(Reading.OPEN)

    def held(self, therapy: Therapy) -> frozenset[URIRef]:
        """The classes of options that hold for the option of a therapy."""
        classes = self.engine.index.classes
        return frozenset(URIRef(classes[p]) for p in positions(self.marks[therapy.iri].true))

    def patient_is(self, patient_class: str) -> Truth:
        """Whether the patient belongs to a class, by what is documented."""
        memo = self.documented.memo
        if patient_class in memo:
            return memo[patient_class]
        return self.engine.logic.patient(("named", patient_class))(self.documented)

    def course_is(self, course: Course, course_class: str) -> Truth:
        """Whether a course of the patient belongs to a class."""
        return self.engine.logic.course(("named", course_class))(self.documented, course)
