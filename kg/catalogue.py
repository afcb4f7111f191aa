"""What an answer says of options whoever the patient is: worked out once for a build and an audience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rdflib import URIRef

from kg.abox import Reading
from kg.case import Case
from kg.compiled import CompiledEngine
from kg.explanation import Explainer, Gap, Missing, WholeClasses
from kg.expressions import EVERYTHING, Expression, walk
from kg.facts import PatientFacts, Sex
from kg.guidelines import Guideline
from kg.index import positions
from kg.namespaces import NXL, local_name
from kg.phrases import Phrases
from kg.statements import Statement
from kg.therapies import Therapy

Row = dict[str, Any]
_WARNINGS = ("caution", "interaction", "limited-efficacy")
_SEVERE = ("absolute", "major")
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Placement:
    """An indication that concerns a therapy: its position, and where it puts the therapy."""

    position: int
    line: str | None
    line_rank: int
    strength: str | None
    strength_rank: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a guideline: its row, the ways to meet it with their statements, and the steps that it is made of.

    `unmet` has the row that tells how to meet it, by whether it is known to be unmet.
    """

    row: Row
    branches: tuple[tuple[str, Row], ...]
    unmet: Mapping[bool, Row]
    smaller: list[Row]


class Catalogue:
    """The rows of answers that do not depend on the patient, in the words for one audience.

    Rows are shared between answers and must not be changed.
    """

    def __init__(self, engine: CompiledEngine, whole: WholeClasses, *, lay: bool, lang: str = "en") -> None:
        self.engine = engine
        self.phrases = Phrases(engine.knowledge, lay=lay, lang=lang)
        self._whole = whole
        knowledge, index = engine.knowledge, engine.index
        known = [knowledge.statements.get(URIRef(iri)) for iri in index.classes]
        self.statements: list[Row | None] = [None if s is None else self.phrases.statement(s) for s in known]
        self.reserved = self.severe = 0
        for position, statement in enumerate(known):
            if statement is None:
                continue
            self.reserved |= knowledge.stated.is_a(statement.iri, NXL.ReservedOption) << position
            warns = knowledge.kind_code(statement.iri) in _WARNINGS
            severe = knowledge.individual_code(statement.severity) in _SEVERE
            self.severe |= (warns and severe) << position
        self.conditions = [engine.program.options[iri].patient for iri in index.classes]
        self.enough = [self._enough(condition) for condition in self.conditions]
        unconditional = [self.conditions[p] == EVERYTHING and not index.linked & (1 << p) for p in range(len(known))]
        self.plain: list[Row | None] = [
            row | {"facts": []} if row is not None and always else None
            for row, always in zip(self.statements, unconditional, strict=True)
        ]
        self.therapies = {
            t.iri: {"id": local_name(t.iri), "iri": str(t.iri), "label": self.phrases.label(t.iri)}
            for t in knowledge.therapies
        }
        is_procedure = engine.knowledge.interventions.is_a
        self._procedures = frozenset(
            t.iri for t in knowledge.therapies if all(is_procedure(u, NXL.Procedure) for u in t.uses)
        )
        self.placements = {
            (code, t.iri): self._placements(code, t) for code in knowledge.guidelines for t in knowledge.therapies
        }
        self.placing = {
            is_procedure: frozenset(
                code
                for (code, iri), placed in self.placements.items()
                if placed and (iri in self._procedures) is is_procedure
            )
            for is_procedure in (False, True)
        }
        self.speaks = {
            (code, t.iri): self._speaks(code, t) for code in knowledge.guidelines for t in knowledge.therapies
        }
        self.steps_asked = {key: self._steps_asked(key[0], placements) for key, placements in self.placements.items()}
        self.steps = {
            str(step): self._step(code, str(step))
            for code, guideline in knowledge.guidelines.items()
            for step in guideline.steps
        }
        is_a = knowledge.stated.is_a
        self.course_statements = tuple(i for i in sorted(knowledge.statements) if is_a(i, NXL.TherapyCourse))
        self.missing_row = lru_cache(_REMEMBERED)(self._missing_row)
        self.missing_rows = lru_cache(_REMEMBERED)(self._missing_rows)
        self.silent_rows = lru_cache(_REMEMBERED)(self._silent_rows)
        self._gaps: dict[tuple[Reading, Sex], dict[int, frozenset[Missing]]] = {}

    def _enough(self, condition: Expression) -> frozenset[str]:
        """The findings each of which alone is enough for a condition."""
        match condition:
            case ("any", *parts):
                return frozenset[str]().union(*(self._enough(part) for part in parts))
            case ("named", name):
                return self._enough(self.engine.program.classes[name])
            case ("finding", term):
                return frozenset({term})
        return frozenset()

    # -- what guidelines say

    def _speaks(self, code: str, therapy: Therapy) -> int:
        """What a guideline itself says of a therapy: not what it says of every therapy, or of whatever was tried."""
        index, rules = self.engine.index, self.engine.rules[code]
        own = index.of_guideline[code] | rules.indicated | rules.recommended_against
        return index.concerned[therapy.iri] & own & ~(rules.exhausted | rules.in_use | index.general)

    def placing_alike(self, therapy: Therapy) -> frozenset[str]:
        """The guidelines that place therapies of the same kind: medicines, or procedures."""
        return self.placing[therapy.iri in self._procedures]

    def left_out(self, statement: Statement) -> Row:
        """A statement that a request did not want to hear, as answers name it."""
        row = self.phrases.statement(statement)
        return {key: row[key] for key in ("statement", "label", "kind", "guideline", "jurisdiction", "reviewStatus")}

    def _placements(self, code: str, therapy: Therapy) -> tuple[Placement, ...]:
        knowledge, engine = self.engine.knowledge, self.engine
        found = []
        for position in positions(engine.rules[code].indicated & engine.index.concerned[therapy.iri]):
            statement = knowledge.statements.get(URIRef(engine.index.classes[position]))
            if statement is not None:
                found.append(
                    Placement(
                        position,
                        knowledge.individual_code(statement.line),
                        knowledge.individual_rank(statement.line),
                        knowledge.individual_code(statement.strength),
                        knowledge.individual_rank(statement.strength),
                    )
                )
        return tuple(sorted(found, key=lambda p: (p.line_rank, p.position)))

    def _steps_asked(self, code: str, placements: tuple[Placement, ...]) -> tuple[str, ...]:
        steps = self.engine.program.rules[code].steps
        asked: dict[str, None] = {}
        for placement in placements:
            asked |= dict.fromkeys(self.steps_in(self.conditions[placement.position], steps))
        return tuple(asked)

    def steps_in(self, expression: Expression, steps: Mapping[str, Any]) -> list[str]:
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

    def _step(self, code: str, step: str) -> Step:
        expression, statements = self.engine.program.classes[step], self.engine.knowledge.statements
        parts = expression[1:] if expression[0] == "any" else ()
        names = dict.fromkeys(e[1] for e in parts if e[0] == "named")
        if not names and not self.is_sum(step):
            names = {step: None}  # the step is one condition, and tells itself what meets it
        stated = [(name, statements[URIRef(name)]) for name in names if URIRef(name) in statements]
        branches = tuple((name, self.phrases.statement(statement)) for name, statement in stated)
        met_by = [{k: row[k] for k in ("statement", "label")} for _, row in branches]
        smaller = self.steps_in(expression, self.engine.program.rules[code].steps) if self.is_sum(step) else []
        row = {"step": step, "label": self.phrases.label(step)}
        return Step(
            row={**row, "guideline": code, "metBy": met_by},
            branches=branches,
            unmet={known: {**row, "known": known, "metBy": met_by} for known in (True, False)},
            smaller=[{"step": s, "label": self.phrases.label(s)} for s in smaller],
        )

    # -- what nobody said anything about

    def gaps(self, reading: Reading, sex: Sex) -> Mapping[int, frozenset[Missing]]:
        """What is missing of each contraindication, by position, when no more than the sex is reported."""
        if (reading, sex) not in self._gaps:
            nobody = Case(self.engine.hierarchy, PatientFacts.of_nobody(sex), reading)
            explainer = Explainer(self.engine.logic, nobody, self._whole)
            self._gaps[reading, sex] = {
                p: explainer.missing(self.conditions[p]) for p in positions(self.engine.index.contraindicated)
            }
        return self._gaps[reading, sex]

    def _missing_rows(self, reading: Reading, sex: Sex, waiting: int) -> tuple[Row, ...]:
        """The rows for contraindications that wait for facts of which nobody said anything."""
        gaps = self.gaps(reading, sex)
        by_gap: dict[Missing, list[int]] = {}
        for position in positions(waiting):
            for gap in gaps[position]:
                by_gap.setdefault(gap, []).append(position)
        return tuple(self.missing_row(gap, ("contraindication",), tuple(by_gap[gap])) for gap in sorted(by_gap))

    def _missing_row(self, gap: Missing, decides: tuple[str, ...], waiting: tuple[int, ...]) -> Row:
        """A missing fact with what it decides and the contraindications that wait for it."""
        classes = self.engine.index.classes
        return self.phrases.missing(gap) | {
            "decides": list(decides),
            "statements": [{"statement": classes[p], "label": self.phrases.label(classes[p])} for p in waiting],
        }

    def silent_terms(self, sex: Sex, position: int) -> frozenset[str]:
        """What is read as absent for a contraindication of which nobody said anything."""
        left_open = self.gaps(Reading.ASSUMED, sex)[position]
        return frozenset(m.term for m in self.gaps(Reading.OPEN, sex)[position] - left_open if m.gap is Gap.UNREPORTED)

    def _silent_rows(self, sex: Sex, untouched: int) -> tuple[frozenset[str], tuple[Row, ...]]:
        terms = frozenset(t for p in positions(untouched) for t in self.silent_terms(sex, p))
        return terms, self.assumed_rows(terms)

    def assumed_rows(self, terms: frozenset[str]) -> tuple[Row, ...]:
        """What is assumed absent, as answers list it."""
        return tuple(self.phrases.term(term) for term in sorted(terms))

    # -- guidelines

    def guideline(self, guideline: Guideline) -> Row:
        """A guideline as answers name it."""
        return {"code": guideline.code, "id": str(guideline.iri), "label": guideline.label}

    @staticmethod
    def notice(guidelines: tuple[Guideline, ...]) -> str:
        """What every answer by some guidelines has to say of itself."""
        return " ".join(dict.fromkeys(g.disclaimer for g in guidelines))
