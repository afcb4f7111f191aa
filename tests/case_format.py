"""The patients of `tests/cases`: how a clinician writes them, and the request that is meant.

A course is one line: what was taken, then what is known of it, separated by commas.

    duloxetine 60 mg, 10 weeks, until 2026-03-20, inadequate relief
    gabapentin 1800 mg with amitriptyline 25 mg, 8 weeks, amitriptyline not tolerated
    morphine 60 mg, since 2026-08-01, ongoing, therapeutic dose reached, 10 weeks at dose, effective

Names are labels of the ontology (or its local names). An option goes by what it uses: `morphine`, `gabapentin with *`.

`because` and `not because` name the statements, of any kind and with any status of the option, that are given for it:

    because:
      duloxetine: [DuloxetineInBipolarDisorder]
    not because:
      gabapentin: [GabapentinInModerateRenalImpairment]

A case is about the seed guideline unless it names another one; or it compares several, with the expectations of each:

    guideline: neupsig2015

    guidelines:
      seed: {expect: {eligible: [pregabalin]}}
      french2020: {expect: {not-reached: [pregabalin]}}

`everything else: not-reached` is said of the options that the guideline has a place for. Those of which it never speaks
are expected to be `not-indicated` then; they are also left out of `only these: [not-indicated]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from kg.guidelines import Guideline
from kg.knowledge import Knowledge
from kg.namespaces import local_name
from kg.therapies import Therapy

_OUTCOMES = {
    "inadequate relief": "inadequate-relief",
    "not tolerated": "not-tolerated",
    "lost effect": "lost-effect",
    "effective": "effective",
    "outcome unknown": "unknown",
}
_FLAGS = {
    "ongoing": ("ongoing", True),
    "therapeutic dose reached": ("reachedTherapeuticDose", True),
    "therapeutic dose not reached": ("reachedTherapeuticDose", False),
    "highest tolerated dose": ("maximumToleratedDose", True),
}
_DAY = r"\d{4}-\d{2}-\d{2}"


class Names:
    """Local names by the label that a clinician reads."""

    def __init__(self, knowledge: Knowledge) -> None:
        terms = {*knowledge.findings, *knowledge.interventions.classes}
        self._terms = {knowledge.label(t).casefold(): local_name(t) for t in terms}
        self._terms |= {local_name(t).casefold(): local_name(t) for t in terms}
        self._options = {
            knowledge.label(t.iri).removesuffix(" monotherapy").removesuffix(" as treatment"): local_name(t.iri)
            for t in knowledge.therapies
        }
        self.has_no_place = {
            code: {local_name(t.iri) for t in knowledge.therapies if not _has_a_place(knowledge, guideline, t)}
            for code, guideline in knowledge.guidelines.items()
        }

    def term(self, text: str) -> str:
        """The local name of a finding, substance or group."""
        if text.casefold() not in self._terms:
            raise ValueError(f"no term is called '{text}'")
        return self._terms[text.casefold()]

    def options(self, patterns: Iterable[str]) -> set[str]:
        """The therapies meant by names such as `morphine` or `gabapentin with *`."""
        found = set()
        for pattern in patterns:
            matching = {name for label, name in self._options.items() if fnmatchcase(label, pattern)}
            if not matching:
                raise ValueError(f"no option is called '{pattern}'")
            found |= matching
        return found


def _has_a_place(knowledge: Knowledge, guideline: Guideline, therapy: Therapy) -> bool:
    """Whether some indication of the guideline is about the therapy, for whatever patient."""
    indications = [s for s in knowledge.statements_below(guideline.indicated) if s.groups]
    return any(s.concerns(therapy, knowledge.stated) for s in indications)


def request_of(case: dict[str, Any], names: Names) -> dict[str, Any]:
    """The request for the patient of a case. Raises ValueError naming a line that is not understood."""
    given = case["patient"]
    patient: dict[str, Any] = {
        "findings": [
            *({"code": names.term(f)} for f in given["findings"]),
            *({"code": names.term(f), "status": "absent"} for f in given.get("not", ())),
        ],
        "measurements": [_lab(line) for line in given.get("labs", ())],
        "medications": [_medication(line, names) for line in given.get("medications", ())],
        "medicationsComplete": given.get("medications complete", False),
        "courses": [_course(line, names) for line in given.get("courses", ())],
        "judgedUnsuitable": [
            {"class": names.term(group), "reason": reason}
            for group, reason in given.get("judged unsuitable", {}).items()
        ],
    }
    patient |= {
        key: given[name]
        for name, key in (("age", "ageYears"), ("sex", "sex"), ("pregnant", "pregnant"))
        if name in given
    }
    return {
        "asOf": str(case["asOf"]),
        "unreportedFindings": case["unreported"],
        "guidelines": list(guidelines_of(case)),
        "patient": patient,
    }


def guidelines_of(case: dict[str, Any]) -> tuple[str, ...]:
    """The codes of the guidelines that answer: the one that the case is about, then those that it compares with it."""
    compared = case.get("guidelines", {})
    named = case.get("guideline", None if compared else "seed")
    return tuple(dict.fromkeys([*([named] if named else []), *compared]))


def expectations_of(case: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a case expects of each guideline's answer, by the guideline's code."""
    first = guidelines_of(case)[0]
    compared: dict[str, dict[str, Any]] = case.get("guidelines", {})
    return {code: (case if code == first else {}) | compared.get(code, {}) for code in guidelines_of(case)}


def _lab(line: str) -> dict[str, Any]:
    code, value, unit, *date = line.replace(" on ", " ").split()
    return {"code": code, "value": float(value), "unit": unit} | ({"date": date[0]} if date else {})


def _medication(line: str, names: Names) -> dict[str, Any]:
    name, *phrases = line.split(", ")
    if name.startswith("no "):
        return {"code": names.term(name.removeprefix("no ")), "status": "absent"}
    dates = dict(phrase.split(" ") for phrase in phrases)
    return {"code": names.term(name)} | {
        {"since": "started", "stopped": "stopped"}[word]: day for word, day in dates.items()
    }


def _course(line: str, names: Names) -> dict[str, Any]:
    taken, *phrases = line.split(", ")
    course: dict[str, Any] = {"substances": [], "dailyDoseMg": {}}
    for part in taken.split(" with "):
        found = re.fullmatch(r"(.+?)(?: ([\d.]+) mg)?", part)
        name = names.term(found[1]) if found else part
        course["substances"].append(name)
        if found and found[2]:
            course["dailyDoseMg"][name] = float(found[2])
    for phrase in phrases:
        course |= _fact(phrase, names, line)
    return course


def _fact(phrase: str, names: Names, line: str) -> dict[str, Any]:
    if phrase in _OUTCOMES:
        return {"outcome": _OUTCOMES[phrase]}
    if phrase in _FLAGS:
        return dict([_FLAGS[phrase]])
    if phrase.startswith("stopped for "):
        return {"outcome": "stopped-other-reason"}
    if found := re.fullmatch(rf"(since|until) ({_DAY})", phrase):
        return {{"since": "start", "until": "end"}[found[1]]: found[2]}
    if found := re.fullmatch(r"([\d.]+) weeks?( at dose)?", phrase):
        return {"weeksAtDose" if found[2] else "weeks": float(found[1])}
    if found := re.fullmatch(r"(.+) not tolerated", phrase):
        return {"outcome": "not-tolerated", "notTolerated": [names.term(n) for n in found[1].split(" and ")]}
    raise ValueError(f"'{phrase}' in '{line}' is not understood")
