"""What earlier trials meant: the steps of guidelines that are met, and every past course as it was judged."""

from __future__ import annotations

from kg.catalogue import Row
from kg.evaluated import Evaluated
from kg.explanation import Missing
from kg.facts import Course


def steps(record: Evaluated) -> list[Row]:
    """Each step of the guidelines, whether it is met, and how."""
    return [_step(record, s) for g in record.guidelines for s in record.engine.rules[g.code].steps]


def _step(record: Evaluated, step: str) -> Row:
    known, patient_is = record.catalogue.steps[step], record.evaluation.patient_is
    truth = patient_is(step)
    how = known.smaller if truth is True else []
    for branch, statement in known.branches if truth is True else ():
        if patient_is(branch) is True:
            proof = record.documented.proof(("named", branch))
            row = statement | {"facts": record.cite(proof.facts)}
            how = [*how, row | ({"explanation": record.explanation(proof)} if record.tree else {})]
    return known.row | {"met": truth is True, "unknown": truth is None, "how": how}


def ledger(record: Evaluated) -> list[Row]:
    """Every past course, in the order of the request."""
    return [_judged(record, record.courses[position]) for position in sorted(record.courses)]


def _judged(record: Evaluated, course: Course) -> Row:
    """A course as it was judged by the rules of the guidelines, with what is missing to judge it."""
    rules: list[Row] = []
    missing: set[Missing] = set()
    chosen = {g.iri for g in record.guidelines} | {None}
    for iri in record.answerer.course_statements:
        statement = record.knowledge.statements[iri]
        if statement.guideline not in chosen:
            continue
        truth = record.evaluation.course_is(course, str(iri))
        if truth is True:
            rules.append(record.phrases.statement(statement))
        elif truth is None:
            missing |= record.documented.course_missing(course, ("named", str(iri)))
    return {
        "place": f"patient.courses.{course.source_index}",
        "substances": [record.phrases.label(p.substance) for p in course.parts],
        "days": course.duration_days,
        "daysAtTherapeuticDose": course.days_at_therapeutic_dose,
        "outcome": course.outcome or "unknown",
        "ongoing": course.is_ongoing,
        "judgements": rules,
        "missing": sorted({m.field or record.phrases.term_id(m.term) for m in missing}),
    }
