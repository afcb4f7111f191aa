"""Invented patients over everything that an ontology asks about: the same seed gives the same patients."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from rdflib import URIRef

from kg.expressions import Expression, walk
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.program import Program

Record = dict[str, Any]
AS_OF = date(2026, 1, 1)
_OUTCOMES = ("inadequate-relief", "not-tolerated", "lost-effect", "effective", "stopped-other-reason", "unknown")


class Patients:
    """Requests for invented patients, as apps send them, each to one of the guidelines.

    Findings, substances and bounds are those that some statement of the program asks about, with what stands around
    them in the hierarchies, so that every rule is met, missed by little, and left open.
    """

    def __init__(self, knowledge: Knowledge, program: Program) -> None:
        self._knowledge = knowledge
        conditions = [o.patient for o in program.options.values()]
        conditions += [part for o in program.options.values() for part in (*o.repeats, *o.shares)]
        conditions += [*program.classes.values(), *(r.scope for r in program.rules.values())]
        asked = {inner for condition in conditions for inner in walk(condition)}
        self._findings = self._around(e[1] for e in asked if e[0] == "finding")
        self._groups = self._around(e[1] for e in asked if e[0] in ("takes", "substance", "uses"))
        scopes = [e for r in program.rules.values() for e in self._inside(program, r.scope) if e[0] == "finding"]
        self._pains = sorted({local_name(b) for e in scopes for b in knowledge.taxonomy.below(URIRef(e[1]))})
        doses = {float(b) for e in asked if e[0] == "number" and e[1] == str(NXL.dailyDoseMg) for b in e[2][::2] if b}
        self._doses = sorted({d * share for d in doses for share in (0.5, 1)})
        self._bounds = {
            quantity: sorted(
                float(b) for e in asked if e[0] == "quantity" and e[1] == str(quantity) for b in e[2][::2] if b
            )
            for quantity in (*knowledge.quantities, NXL.ageInYears)
        }
        self._windows = sorted({int(b) for e in asked if e[0] == "takes" for b in e[2][::2] if b})

    def _around(self, terms: Iterable[str]) -> list[str]:
        taxonomy = self._knowledge.taxonomy
        found: set[URIRef] = set()
        for term in terms:
            iri = URIRef(term)
            found |= taxonomy.below(iri) | taxonomy.parents(iri)
        return sorted(local_name(t) for t in found - {NXL.Finding, NXL.Intervention, NXL.Substance, NXL.Procedure})

    @staticmethod
    def _inside(program: Program, expression: Expression) -> Iterator[Expression]:
        for inner in walk(expression):
            yield inner
            if inner[0] == "named":
                yield from Patients._inside(program, program.classes[inner[1]])

    def generate(self, seed: int) -> Iterator[Record]:
        """Endless requests; most patients are adults with a pain in scope and some documented trials."""
        chance = random.Random(seed)  # noqa: S311 - patients are invented, not secret
        while True:
            yield self._request(chance)

    def _request(self, chance: random.Random) -> Record:
        patient: Record = {"findings": self._report(chance)}
        if chance.random() < 0.9:
            age = chance.choice(self._bounds[NXL.ageInYears] or [50.0]) + chance.choice([-1, -0.5, 0, 0.5, 1, 20])
            patient["ageYears"] = age if chance.random() < 0.3 else chance.randint(18, 90)
        patient["sex"] = chance.choice(["female", "male", "unknown"])
        measurements = [self._measurement(chance, q) for q in self._knowledge.quantities if chance.random() < 0.35]
        medications = [self._medication(chance) for _ in range(chance.choice([0, 0, 0, 1, 1, 2]))]
        courses = [self._course(chance) for _ in range(chance.choice([0, 0, 1, 2, 3, 4, 5]))]
        patient |= {"measurements": measurements, "medications": medications, "courses": courses}
        if chance.random() < 0.2:
            patient["medicationsComplete"] = True
        if chance.random() < 0.15:
            patient["judgedUnsuitable"] = [{"class": chance.choice(self._groups), "reason": "judged so"}]
        return {
            "asOf": AS_OF.isoformat(),
            "unreportedFindings": chance.choice(["unknown", "absent"]),
            "guidelines": [chance.choice(tuple(self._knowledge.guidelines))],
            "patient": patient,
        }

    def _report(self, chance: random.Random) -> list[Record]:
        codes = [chance.choice(self._pains)] if chance.random() < 0.9 else []
        codes += [chance.choice(self._findings) for _ in range(chance.choice([0, 0, 1, 1, 2, 3]))]
        found = [{"code": code} for code in dict.fromkeys(codes or [chance.choice(self._findings)])]
        denied = [chance.choice(self._findings) for _ in range(chance.choice([0, 0, 1, 2]))]
        return found + [{"code": code, "status": "absent"} for code in dict.fromkeys(denied) if code not in codes]

    def _measurement(self, chance: random.Random, quantity: URIRef) -> Record:
        graph = self._knowledge.graph
        value = chance.choice(self._bounds[quantity] or [60.0]) + chance.choice([-1, -0.5, 0, 0.5, 40])
        days = chance.choice([3, 30, 2000])
        return {
            "code": str(graph.value(quantity, NXL.code)),
            "value": max(value, 0),
            "unit": str(graph.value(quantity, NXL.ucumUnit)),
            "date": (AS_OF - timedelta(days=days)).isoformat(),
        }

    def _medication(self, chance: random.Random) -> Record:
        entry: Record = {"code": chance.choice(self._groups)}
        if chance.random() < 0.2:
            return entry | {"status": "absent"}
        if chance.random() < 0.5:
            days = max(chance.choice([*self._windows, 400]) + chance.choice([-1, 0, 1]), 0)
            entry["stopped"] = (AS_OF - timedelta(days=days)).isoformat()
        return entry

    def _course(self, chance: random.Random) -> Record:
        therapy = chance.choice(self._knowledge.therapies)
        substances = [local_name(u) for u in therapy.uses]
        if chance.random() < 0.12:
            parents = sorted(self._knowledge.stated.parents(therapy.uses[0]))
            substances[0] = local_name(chance.choice(parents)) if parents else substances[0]
        course: Record = {"substances": list(dict.fromkeys(substances)), "outcome": chance.choice(_OUTCOMES)}
        if chance.random() < 0.85:
            course["weeks"] = chance.choice([1, 2, 3, 4, 6, 12])
        if chance.random() < 0.2:
            course["weeksAtDose"] = min(chance.choice([1, 2, 4]), course.get("weeks", 12))
        manner = chance.random()
        if manner < 0.35:
            course["reachedTherapeuticDose"] = chance.random() < 0.8
        elif manner < 0.75:
            course["dailyDoseMg"] = {s: chance.choice(self._doses) for s in course["substances"]}
        elif manner < 0.85:
            course["maximumToleratedDose"] = True
        when = chance.random()
        if when < 0.2 and course["outcome"] != "stopped-other-reason":
            course["ongoing"] = True
        elif when < 0.7:
            course["end"] = (AS_OF - timedelta(days=chance.choice([0, 5, 13, 14, 60]))).isoformat()
        if course["outcome"] == "not-tolerated" and len(course["substances"]) > 1 and chance.random() < 0.6:
            course["notTolerated"] = [chance.choice(course["substances"])]
        return course
