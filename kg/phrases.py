"""The words of an answer, for clinicians or for patients: labels, statements, facts, conditions and questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rdflib import DCTERMS, RDFS, URIRef

from kg.explanation import Fact, FactKind, Gap, Missing
from kg.expressions import Expression
from kg.facts import Course, Measurement, PatientFacts
from kg.knowledge import Knowledge
from kg.labels import label_of
from kg.namespaces import NXL, local_name
from kg.statements import Statement

Places = Mapping[tuple[str, object], str]


class Phrases:
    """Words from one ontology for one audience: with `lay`, in the words for patients; labels in `lang` where it has them."""

    def __init__(self, knowledge: Knowledge, *, lay: bool, lang: str = "en") -> None:
        self.knowledge = knowledge
        self.lay = lay
        self.lang = lang
        self._labels: dict[str, str] = {}
        self._statements: dict[URIRef, dict[str, Any]] = {}
        self._terms: dict[str, dict[str, str]] = {}
        self._questions: dict[Missing, str] = {}

    def label(self, term: URIRef | str) -> str:
        """The label of a term, in lay words where the audience and the ontology have them."""
        known = self._labels.get(term)
        if known is None:
            iri = URIRef(term)
            english = self.lay and self.lang == "en"
            lay = label_of(self.knowledge.graph, iri, property_=NXL.layLabel) if english else None
            known = self._labels[term] = lay if lay is not None else self.knowledge.label(iri, self.lang)
        return known

    def term_id(self, term: str) -> str:
        """How requests name a term: the code of a quantity, else the local name."""
        iri = URIRef(term)
        code = self.knowledge.graph.value(iri, NXL.code) if iri in self.knowledge.quantities else None
        return local_name(term) if code is None else str(code)

    def statement(self, statement: Statement) -> dict[str, Any]:
        """A statement with everything that is said about it; shared between answers, so it must not be changed."""
        known = self._statements.get(statement.iri)
        if known is None:
            known = self._statements[statement.iri] = self._statement(statement)
        return known

    def _statement(self, statement: Statement) -> dict[str, Any]:
        knowledge = self.knowledge
        return {
            "statement": str(statement.iri),
            "label": self.label(statement.iri),
            "kind": knowledge.kind_code(statement.iri),
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
        title = graph.value(source, DCTERMS.title) or label_of(graph, source)
        link = graph.value(source, RDFS.seeAlso)
        return {
            "id": local_name(source),
            "title": str(title or local_name(source)),
            "url": None if link is None else str(link),
        }

    # -- facts

    def fact(self, fact: Fact, facts: PatientFacts, places: Places) -> dict[str, Any]:
        """A fact of the record with its place in the request; what silence is read as has no place."""
        row: dict[str, Any] = {"fact": fact.kind.value}
        match fact.kind:
            case FactKind.AGE:
                return row | {"value": float(facts.age_years or 0), "unit": "a", "place": "patient.ageYears"}
            case FactKind.SEX:
                return row | {"value": facts.sex.value, "place": "patient.sex"}
            case FactKind.COURSE:
                course = next(c for c in facts.courses if c.source_index == fact.position)
                return row | {"label": self.course(course), "place": f"patient.courses.{fact.position}"}
            case FactKind.MEASUREMENT:
                measured = next(m for m in facts.measurements if str(m.quantity) == fact.term)
                return row | self.measurement(measured) | {"place": places.get((fact.kind, fact.term))}
            case FactKind.MEDICATION:
                medication = facts.medications[fact.position]
                days = medication.days_since_last
                key: object = (fact.term, days, medication.at_most_days)
                row |= {"id": local_name(fact.term), "label": self.label(fact.term), "daysSinceLast": days}
                return row | {"place": places.get((fact.kind, key))}
            case FactKind.JUDGEMENT:
                judgement = facts.judgements[fact.position]
                row |= {"id": local_name(fact.term), "label": self.label(fact.term), "reason": judgement.reason}
                return row | {"place": places.get((fact.kind, (fact.term, judgement.reason)))}
        return row | self.term(fact.term) | {"place": places.get((fact.kind, fact.term))}

    def measurement(self, measurement: Measurement) -> dict[str, Any]:
        """A measured value with its unit and date; `stale` if it is too old to decide anything."""
        unit = self.knowledge.graph.value(measurement.quantity, NXL.ucumUnit)
        return {
            "id": self.term_id(str(measurement.quantity)),
            "label": self.label(measurement.quantity),
            "value": float(measurement.value),
            "unit": str(unit),
            "date": None if measurement.measured is None else measurement.measured.isoformat(),
            "stale": measurement.is_stale,
        }

    def course(self, course: Course) -> str:
        """What a course was of."""
        return " with ".join(self.label(part.substance) for part in course.parts)

    # -- what is missing

    def term(self, term: str) -> dict[str, str]:
        """A term as answers name it."""
        known = self._terms.get(term)
        if known is None:
            known = self._terms[term] = {"id": self.term_id(term), "label": self.label(term)}
        return known

    def missing(self, missing: Missing, course: Course | None = None) -> dict[str, Any]:
        """A fact that is missing, as answers name it; `course` is the one that it is missing of."""
        if course is None:
            return {"type": missing.gap.value, "fact": self.term(missing.term)}
        fact = {
            "id": f"patient.courses.{missing.course}",
            "label": f"course of {self.course(course)}: {missing.field}",
            "field": missing.field,
        }
        return {"type": missing.gap.value, "fact": fact}

    def question(self, missing: Missing, course: Course | None = None) -> str:
        """How to ask for it."""
        if course is not None:
            asked = _ASKED.get(missing.field, missing.field)
            if missing.field == "notTolerated" and len(course.parts) == 1:
                asked = "was it tolerated"
            return f"About the course of {self.course(course)}: {asked}?"
        known = self._questions.get(missing)
        if known is None:
            known = self._questions[missing] = self._question(missing)
        return known

    def _question(self, missing: Missing) -> str:
        knowledge, iri, label = self.knowledge, URIRef(missing.term), self.label(missing.term)
        asked = label_of(knowledge.graph, iri, property_=NXL.layQuestion if self.lay else NXL.question)
        if asked is not None and (missing.gap is not Gap.INCOMPLETE or iri in knowledge.quantities):
            return asked
        who, has = ("you", "Do you have") if self.lay else ("the patient", "Does the patient have")
        if iri == NXL.ageInYears:
            return f"How old {'are you' if self.lay else 'is the patient'}?"
        if iri in knowledge.quantities:
            unit = knowledge.graph.value(iri, NXL.ucumUnit)
            return f"What is the current {label} ({unit})?"
        if knowledge.taxonomy.is_a(iri, NXL.Intervention):
            if missing.gap is Gap.INCOMPLETE:
                return f"When did {who} last take {label}?"
            return f"{'Do' if self.lay else 'Does'} {who} take any {label}, or did {who} lately?"
        if knowledge.taxonomy.is_a(iri, NXL.Patient):
            return f"Which sex is recorded for {who}?"
        return f"{has} {label}?"

    # -- conditions

    def condition(self, condition: str | Expression) -> str:
        """A condition in words."""
        if isinstance(condition, str):
            return self.label(condition)
        match condition:
            case ("named", name):
                return self.label(name)
            case ("all", *parts):
                return f"all {len(parts)} conditions"
            case ("any", *parts):
                return f"one of {len(parts)} conditions"
            case ("not", ("finding", term)):
                return f"not: {self.label(term)}"
            case ("not", ("named", name)):
                return f"not: {self.label(name)}"
            case ("finding" | "substance" | "uses" | "kind" | "sex", term):
                return self.label(term)
            case ("takes", group, interval):
                return f"{self.label(group)} taken, days since the last intake {_range(interval)}"
            case ("quantity" | "number", quantity, interval):
                return f"{self.label(quantity)} {_range(interval)}"
            case ("value", property_, value):
                return f"{self.label(property_)}: {str(value).lower() if isinstance(value, bool) else value}"
            case ("whole", helper, *kinds):
                return f"{self.label(helper)}: {', '.join(self.label(kind) for kind in kinds)}"
            case ("had-course", _):
                return "a documented course"
            case ("has-part", least, _):
                return "a part of the course" if least == 1 else f"{least} parts of the course"
            case ("of-course" | "of-patient", inner):
                return self.condition(inner)
        return "always"


_ASKED = {
    "outcome": "how did it end, or how does it stand",
    "ongoing or end": "does it go on, or when did it end",
    "weeks": "how long did it last",
    "weeksAtDose": "for how long was the therapeutic dose held",
    "dailyDoseMg or reachedTherapeuticDose": "which daily dose was held, and was it therapeutic",
    "notTolerated": "was it tolerated, and if not, which part of it was not",
    "substances": "which substance was it",
}


def _range(interval: tuple[Any, ...]) -> str:
    """Bounds in words.

    >>> _range((None, False, "30.0", True)), _range(("15.0", False, None, False))
    ('below 30.0', 'at least 15.0')
    """
    low, low_open, high, high_open = interval
    told = []
    if low is not None:
        told.append(f"{'above' if low_open else 'at least'} {low}")
    if high is not None:
        told.append(f"{'below' if high_open else 'at most'} {high}")
    return " and ".join(told) or "of any value"
