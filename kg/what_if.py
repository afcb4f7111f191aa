"""What would be otherwise if a record were changed: the two answers compared, and only what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import Field

from kg.answer import Answerer
from kg.changes import Change, ChangedRequest, apply_changes, unchanged
from kg.errors import InvalidRecord
from kg.request import EligibilityRequest, Model, read_json, validated

Entry = dict[str, Any]
Changes = Annotated[tuple[Change, ...], Field(max_length=50)]


class WhatIfRequest(Model):
    """A request for eligibility, and the changes that are supposed, in their order."""

    request: EligibilityRequest
    changes: Changes


class _ChangeList(Model):
    changes: Changes


def parse_what_if(data: bytes | str) -> WhatIfRequest:
    """Read a request with changes from JSON; errors as for `parse_request`."""
    document = read_json(data)
    if not isinstance(document, dict):
        raise InvalidRecord("body", "the body is not a JSON object.", 'Send an object with "request" and "changes".')
    return validated(WhatIfRequest, document)


def parse_changes(data: bytes | str) -> tuple[Change, ...]:
    """Read a JSON list of changes; errors as for `parse_request`."""
    document = read_json(data)
    if not isinstance(document, list):
        raise InvalidRecord(
            "changes", "the changes are not a JSON list.", "Give a list with an object for each change."
        )
    return validated(_ChangeList, {"changes": document}).changes


def what_if(
    answerer: Answerer, request: EligibilityRequest, changes: tuple[Change, ...], *, today: date
) -> dict[str, Any]:
    """What the changes make of the answer to a request; ready for JSON. `today` as for `Answerer.answer`.

    Places are paths of what was given: `request.patient.findings.0`, `changes.1.addFinding`. Raises InvalidRecord and
    its kinds for a request that cannot be answered, before or after the changes, and for a change that cannot be made.
    """
    before = _Side(answerer, unchanged(request), today)
    after = _Side(answerer, apply_changes(request, changes, answerer.vocabulary), today)
    options = {option["therapy"]["id"]: option for option in before.answer["options"]}
    steps = {_step_key(step): step for step in before.answer["steps"]}
    compared = _Comparison(before, after)
    return {
        "asOf": after.answer["asOf"],
        "before": {"inputHash": before.answer["inputHash"]},
        "after": {"inputHash": after.answer["inputHash"]},
        "guidelines": _scopes(before.answer, after.answer),
        "changes": [c for o in after.answer["options"] if (c := compared.option(options[o["therapy"]["id"]], o))],
        "steps": [c for s in after.answer["steps"] if (c := compared.step(steps[_step_key(s)], s))],
        "inputIssues": [after.told(issue) for issue in after.answer["inputIssues"]],
        "knowledge": after.answer["knowledge"],
        "engine": after.answer["engine"],
        "notice": after.answer["notice"],
    }


class _Side:
    """One of the two records with its answer; `told` gives an entry with its places as they were given."""

    def __init__(self, answerer: Answerer, changed: ChangedRequest, today: date) -> None:
        self._changed = changed
        try:
            self.answer = answerer.answer(changed.request, today=today)
        except InvalidRecord as error:
            raise changed.error(error) from None

    def told(self, entry: Mapping[str, Any]) -> Entry:
        """A copy of an entry of the answer."""
        found = dict(entry)
        for key in ("place", "message", "id"):
            if isinstance(found.get(key), str):
                found[key] = self._changed.origin(found[key])
        if isinstance(found.get("facts"), list):
            found["facts"] = [self.told(fact) for fact in found["facts"]]
        if isinstance(found.get("fact"), Mapping):
            found["fact"] = self.told(found["fact"])
        return found


class _Comparison:
    def __init__(self, before: _Side, after: _Side) -> None:
        self.before = before
        self.after = after

    def option(self, before: Entry, after: Entry) -> Entry | None:
        """What differs about an option, of labels and by each guideline, or None."""
        before_rows = {row["guideline"]: row for row in before["guidelines"]}
        rows = [c for row in after["guidelines"] if (c := self.by_guideline(before_rows[row["guideline"]], row))]
        told = {
            "statements": self.lists(before["because"], after["because"], lambda reason: reason["statement"]),
            "missing": self.lists(before["missing"], after["missing"], _missing_key),
            "assumedAbsent": self.lists(before["assumedAbsent"], after["assumedAbsent"], lambda term: term["id"]),
        }
        same = all(before[key] == after[key] for key in ("status", "agreement", "inUse"))
        if same and not rows and not _any_in(told):
            return None
        compared = ("status", "agreement", "inUse")
        return {
            "therapy": after["therapy"],
            **{key: {"before": before[key], "after": after[key]} for key in compared},
            **told,
            "guidelines": rows,
        }

    def by_guideline(self, before: Entry, after: Entry) -> Entry | None:
        """What differs about an option by one guideline, or None."""
        told = {
            "statements": self.lists(before["because"], after["because"], lambda reason: reason["statement"]),
            "missing": self.lists(before["missing"], after["missing"], _missing_key),
            "unmetSteps": self.lists(before["unmetSteps"], after["unmetSteps"], lambda step: step["step"]),
        }
        if before["status"] == after["status"] and not _any_in(told):
            return None
        status = {"before": before["status"], "after": after["status"]}
        return {"guideline": after["guideline"], "status": status, **told}

    def step(self, before: Entry, after: Entry) -> Entry | None:
        """What differs about a step, or None."""
        how = self.lists(before["how"], after["how"], lambda way: way.get("statement") or way["step"])
        same = all(before[key] == after[key] for key in ("met", "unknown"))
        if same and not how["gained"] and not how["lost"]:
            return None
        return {
            "step": after["step"],
            "label": after["label"],
            "guideline": after["guideline"],
            "met": {"before": before["met"], "after": after["met"]},
            "unknown": {"before": before["unknown"], "after": after["unknown"]},
            "how": how,
        }

    def lists(self, before: list[Entry], after: list[Entry], key: Callable[[Entry], object]) -> dict[str, list[Entry]]:
        """The entries that only the one or only the other list has."""
        old, new = ([side.told(e) for e in part] for side, part in ((self.before, before), (self.after, after)))
        known, now = {key(entry) for entry in old}, {key(entry) for entry in new}
        return {
            "gained": [entry for entry in new if key(entry) not in known],
            "lost": [entry for entry in old if key(entry) not in now],
        }


def _scopes(before: Entry, after: Entry) -> list[Entry]:
    """The guidelines that speak to the patient only before or only after the changes, or of which that is known."""
    was = {g["code"]: g["inScope"] for g in before["guidelines"]}
    return [
        {"guideline": g["code"], "label": g["label"], "inScope": {"before": was[g["code"]], "after": g["inScope"]}}
        for g in after["guidelines"]
        if was[g["code"]] is not g["inScope"]
    ]


def _any_in(told: Mapping[str, Mapping[str, list[Entry]]]) -> bool:
    return any(part for found in told.values() for part in found.values())


def _step_key(step: Entry) -> tuple[str, str]:
    return step["guideline"], step["step"]


def _missing_key(missing: Entry) -> tuple[str, str, str | None]:
    return missing["type"], missing["fact"]["id"], missing["fact"].get("field")
