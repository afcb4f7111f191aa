"""Which classes of options a fact can touch: so that an evaluation looks only at what the record speaks of.

Sets of classes are kept as whole numbers, a bit for each class in the order in which answers list them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from rdflib import URIRef

from kg.case import AGE
from kg.expressions import Expression, walk
from kg.facts import PatientFacts
from kg.hierarchy import Hierarchy
from kg.knowledge import Knowledge
from kg.namespaces import NXL
from kg.program import Program


class OptionIndex:
    """The classes of options of a program by position, with the sets that verdicts are read from.

    `concerned` tells per therapy the classes whose intervention side it meets, `of_guideline` per guideline code what it
    says itself, `of_all` what holds for every guideline, `general` the classes that ask for no intervention. `linked` are
    the classes that rest on earlier trials or judgements of the option, `always` those that silence may make true.
    """

    def __init__(self, knowledge: Knowledge, program: Program, hierarchy: Hierarchy) -> None:
        self._program = program
        self._hierarchy = hierarchy
        self.classes = tuple(sorted(program.options, key=knowledge.display_order))
        self._bit = {iri: 1 << position for position, iri in enumerate(self.classes)}
        self.all = (1 << len(self.classes)) - 1
        self.contraindicated = self.set_of(program.contraindicated)
        self.judged = self.set_of(iri for iri in program.options if iri == str(NXL.JudgedUnsuitableOption))
        self.repeating = self.set_of(iri for iri, option in program.options.items() if option.repeats)
        self.sharing = self.set_of(iri for iri, option in program.options.items() if option.shares)
        self.linked = self.judged | self.repeating | self.sharing
        self.general = self.set_of(i for i, option in program.options.items() if not option.groups and not option.kind)
        self.concerned = {t.iri: self.set_of(program.concerned[str(t.iri)]) for t in knowledge.therapies}
        stated = {iri: knowledge.statements.get(URIRef(iri)) for iri in self.classes}
        told = {iri: statement for iri, statement in stated.items() if statement is not None}
        self.of_all = self.set_of(iri for iri, statement in told.items() if statement.guideline is None)
        self.of_guideline = {
            code: self.set_of(iri for iri, statement in told.items() if statement.guideline == guideline.iri)
            for code, guideline in knowledge.guidelines.items()
        }
        self._inside: dict[str, tuple[Expression, ...]] = {}
        self._asked_groups: dict[str, int] = {}
        self._touched_by, self.always = self._triggers()
        self._medications: dict[URIRef, int] = {}
        self._present: dict[URIRef, int] = {}
        self._absent: dict[URIRef, int] = {}

    def set_of(self, classes: Iterable[str]) -> int:
        """The set of some classes."""
        found = 0
        for iri in classes:
            found |= self._bit[iri]
        return found

    def touched(self, facts: PatientFacts) -> int:
        """The classes whose truth may differ from what it is for a patient of whom nothing is reported."""
        touched_by = self._touched_by
        found = self.always
        for present in facts.present:
            found |= self._by_present(present)
        for possible in facts.possible:
            found |= self._by_present(possible)
        for absent in facts.absent:
            found |= self._by_absent(absent)
        if facts.age_years is not None:
            found |= touched_by.get(AGE, 0)
        for measurement in facts.measurements:
            found |= touched_by.get(str(measurement.quantity), 0)
        if facts.medications_complete:
            found |= touched_by.get("takes", 0)
        else:
            for medication in facts.medications:
                found |= self._by_medication(medication.substance)
            for group in facts.absent_medications:
                found |= self._by_medication(group)
        return found | touched_by.get("courses", 0) if facts.courses else found

    def _by_present(self, finding: URIRef) -> int:
        known = self._present.get(finding)
        if known is None:
            known = self._present[finding] = self._any_of(self._hierarchy.finding(finding).around)
        return known

    def _by_absent(self, finding: URIRef) -> int:
        known = self._absent.get(finding)
        if known is None:
            known = self._absent[finding] = self._any_of(self._hierarchy.finding(finding).below)
        return known

    def _by_medication(self, substance: URIRef) -> int:
        known = self._medications.get(substance)
        if known is None:
            known, relation = 0, self._hierarchy.relation
            for group, classes in self._asked_groups.items():
                if relation(substance, group) is not False or relation(URIRef(group), substance) is not False:
                    known |= classes
            self._medications[substance] = known
        return known

    def _any_of(self, findings: Iterable[str]) -> int:
        found = 0
        for finding in findings:
            found |= self._touched_by.get(finding, 0)
        return found

    def _triggers(self) -> tuple[dict[str, int], int]:
        triggers: dict[str, int] = defaultdict(int)
        always = 0
        for iri, option in self._program.options.items():
            bit = self._bit[iri]
            for expression in self._everything_in(option.patient):
                match expression:
                    case ("finding", term):
                        triggers[term] |= bit
                    case ("quantity", quantity, _):
                        triggers[quantity] |= bit
                    case ("takes", group, _):
                        triggers["takes"] |= bit
                        self._asked_groups[group] = self._asked_groups.get(group, 0) | bit
                    case ("had-course", _):
                        triggers["courses"] |= bit
                    case ("whole", *_) | ("not", _):
                        always |= bit
        return triggers, always

    def _everything_in(self, expression: Expression) -> Iterator[Expression]:
        for inner in walk(expression):
            yield inner
            if inner[0] == "named":
                if inner[1] not in self._inside:
                    self._inside[inner[1]] = tuple(self._everything_in(self._program.classes[inner[1]]))
                yield from self._inside[inner[1]]


def positions(classes: int) -> Iterator[int]:
    """The positions in a set of classes, ascending.

    >>> list(positions(0b10010))
    [1, 4]
    """
    while classes:
        lowest = classes & -classes
        yield lowest.bit_length() - 1
        classes ^= lowest
