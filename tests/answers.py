"""Answers as tests read them: what one guideline makes of each therapy, with what labels say of it."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
_SILENT: Row = {
    "line": None,
    "strength": None,
    "reserved": False,
    "because": [],
    "whyNot": [],
    "unmetSteps": [],
    "missing": [],
    "alternatives": [],
}


def by_guideline(answer: Row, guideline: str = "seed") -> dict[str, Row]:
    """The options by the local name of the therapy, each with its standing by the guideline folded in."""
    (asked,) = (g for g in answer["guidelines"] if g["code"] == guideline)
    silence = "out-of-scope" if asked["inScope"] is False else "not-indicated"
    return {option["therapy"]["id"]: _folded(option, guideline, silence) for option in answer["options"]}


def _folded(option: Row, guideline: str, silence: str) -> Row:
    standing = next((row for row in option["guidelines"] if row["guideline"] == guideline), None)
    if standing is None:
        assert guideline in option["silent"]
        standing = _SILENT | {"status": "contraindicated" if option["whyNot"] else silence}
    lists = {key: [*option[key], *standing[key]] for key in ("because", "whyNot", "missing")}
    return option | standing | lists
