"""Answers and query results as plain-text tables that fit the width of the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rdflib import URIRef
from rdflib.term import Node

from kg.namespaces import local_name

_GAP = "  "
_NARROW = 70
_NARROWEST_COLUMN = 16


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """A table with wrapped cells or, where its columns would get too narrow, a block of lines for each row.

    >>> print(table(["drug", "dose"], [["a", "b c"]], 80))
    drug  dose
    ----  ----
    a     b c
    """
    widths = _widths(headings, rows, width - len(_GAP) * (len(headings) - 1))
    if width < _NARROW or (rows and not widths):
        return _blocks(headings, rows, width)
    if not rows:
        return f"{_GAP.join(headings)}\n(no rows)"
    lines = [*_row(headings, widths), *_row(["-" * w for w in widths], widths)]
    for row in rows:
        lines.extend(_row(row, widths))
    return "\n".join(line.rstrip() for line in lines)


def readable(term: Node | None) -> str:
    """A term as people read it: the local name of an IRI, the text of a literal, nothing for an unbound variable."""
    if term is None:
        return ""
    return local_name(str(term)) if isinstance(term, URIRef) else str(term)


def answer_text(answer: Mapping[str, Any], width: int) -> str:
    """An eligibility answer: a table of the options with their reasons, then input issues, knowledge and notice."""
    rows = [
        [
            str(option["therapy"]["label"]) + (" (in use)" if option["inUse"] else ""),
            "\n".join(_standings(option)),
            "\n".join(_reasons(option)),
        ]
        for option in answer["options"]
    ]
    parts = [*_scopes(answer, width), table(["option", "status", "why"], rows, width)]
    return "\n\n".join([*parts, *_closing(answer, width)])


def _scopes(answer: Mapping[str, Any], width: int) -> list[str]:
    """The guidelines that do not speak to this patient."""
    outside = [str(g["label"]) for g in answer.get("guidelines", ()) if g["inScope"] is False]
    return [_wrapped(f"Outside the scope of: {', '.join(outside)}.", width, "  ")] if outside else []


def _standings(option: Mapping[str, Any]) -> list[str]:
    """The status of an option: the one that a policy makes, then by each guideline."""
    rows = [row for row in option["guidelines"] if row["status"] != "out-of-scope"]
    told = [] if option["status"] is None or len(rows) == 1 else [str(option["status"]).upper()]
    if option["agreement"] == "split":
        told.append("guidelines disagree")
    for row in rows:
        line = f", {row['line']} line" if row.get("line") else ""
        told.append(f"{row['guideline']}: {row['status']}{line}")
    return told or ["out-of-scope" if option["guidelines"] else "not mentioned"]


def what_if_text(found: Mapping[str, Any], width: int) -> str:
    """What changes to a record make of its answer: a table of the options and one of the steps that differ.

    `+` marks what comes, `-` what goes.
    """
    options = [
        [
            str(change["therapy"]["label"]),
            "\n".join(f"{row['guideline']}: {_turn(row['status'])}" for row in change["guidelines"]),
            "\n".join(_differences(change)),
        ]
        for change in found["changes"]
    ]
    steps = [
        [str(step["label"]), _turn(step["met"], {True: "met", False: "unmet"}), "\n".join(_signed(step["how"], _way))]
        for step in found["steps"]
    ]
    parts = [table(["option", "status", "what changes"], options, width)] if options else ["No option changes."]
    if steps:
        parts.append(table(["step", "status", "how"], steps, width))
    return "\n\n".join([*parts, *_closing(found, width)])


def _closing(answer: Mapping[str, Any], width: int) -> list[str]:
    """What every answer ends with: input issues, knowledge and notice."""
    parts = []
    issues = [_issue(issue) for issue in answer.get("inputIssues", ())]
    if issues:
        parts.append("\n".join(["Input issues:", *(_wrapped(f"- {issue}", width, "  ") for issue in issues)]))
    knowledge = answer.get("knowledge", {})
    parts.append(
        f"As of {answer.get('asOf')}, by {knowledge.get('versionIri')} ({str(knowledge.get('contentHash'))[:12]})."
    )
    parts.append(_wrapped(str(answer.get("notice", "")), width, ""))
    return [part for part in parts if part]


def _turn(pair: Mapping[str, Any], names: Mapping[Any, str] | None = None) -> str:
    """A value before and after.

    >>> _turn({"before": "eligible", "after": "contraindicated"}), _turn({"before": "eligible", "after": "eligible"})
    ('eligible -> contraindicated', 'still eligible')
    """
    before, after = (str((names or {}).get(pair[side], pair[side])) for side in ("before", "after"))
    return f"still {after}" if before == after else f"{before} -> {after}"


def _differences(change: Mapping[str, Any]) -> list[str]:
    lines = _gained_and_lost(change)
    for row in change["guidelines"]:
        lines += [f"{line[:2]}{row['guideline']}: {line[2:]}" for line in _gained_and_lost(row)]
    if change["inUse"]["before"] != change["inUse"]["after"]:
        lines.append(f"{'+' if change['inUse']['after'] else '-'} in use")
    return lines


def _gained_and_lost(part: Mapping[str, Any]) -> list[str]:
    lines = _signed(part["statements"], lambda reason: _reason(reason) + _rests_on(reason))
    lines += _signed(part["missing"], lambda missing: f"missing: {_issue(missing)}")
    return lines + _signed(part.get("unmetSteps", {}), lambda step: f"unmet: {step['label']}")


def _signed(lists: Mapping[str, Sequence[Any]], tell: Callable[[Any], str]) -> list[str]:
    sides = (("+", "gained"), ("-", "lost"))
    return [f"{sign} {tell(entry)}" for sign, side in sides for entry in lists.get(side, ())]


def _rests_on(reason: Mapping[str, Any]) -> str:
    facts = "; ".join(str(fact.get("label") or fact["fact"]) for fact in reason["facts"])
    return f" (rests on {facts})" if facts else ""


def _way(way: Mapping[str, Any]) -> str:
    return str(way.get("text") or way["label"])


def _reasons(option: Mapping[str, Any]) -> list[str]:
    lines = _told(option)
    for row in option["guidelines"]:
        lines += [f"{row['guideline']}: {line}" for line in _told(row)]
    return lines


def _told(part: Mapping[str, Any]) -> list[str]:
    return [
        *(_reason(reason) for reason in part["because"]),
        *(f"missing: {_issue(missing)}" for missing in part["missing"]),
    ]


def _reason(reason: Mapping[str, Any]) -> str:
    source = ", ".join(filter(None, [_name(reason.get("source")), _name(reason.get("locator"))]))
    return f"{reason['kind']}: {reason['text']}{f' [{source}]' if source else ''}"


def _issue(issue: Any) -> str:
    if isinstance(issue, Mapping):
        fact = issue.get("fact")
        named = {**issue, "label": fact.get("label")} if isinstance(fact, Mapping) else issue
        told = [str(named[key]) for key in ("place", "type", "label", "message") if named.get(key)]
        return ": ".join(told[:1]) + (": " + " ".join(told[1:]) if len(told) > 1 else "") if told else str(dict(issue))
    return str(issue)


def _name(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("title") or value.get("label") or value.get("code") or value.get("id") or "")
    if isinstance(value, list | tuple):
        return "; ".join(_name(item) for item in value)
    return "" if value is None else str(value)


def _widths(headings: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """The widths of the columns; nothing if they cannot be had without getting too narrow."""
    wanted = [
        max([len(heading), *(len(line) for row in rows for line in row[i].split("\n"))])
        for i, heading in enumerate(headings)
    ]
    # Narrow columns get what they want; the wide ones share what is left.
    widths = [0] * len(wanted)
    open_ = list(range(len(wanted)))
    while open_:
        share = room // len(open_)
        fitting = [i for i in open_ if wanted[i] <= share]
        if not fitting and share < _NARROWEST_COLUMN:
            return []
        if not fitting:
            for i in open_:
                widths[i] = share
            break
        for i in fitting:
            widths[i] = wanted[i]
            room -= wanted[i]
            open_.remove(i)
    return widths


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [_lines(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(len(lines) for lines in wrapped)
    return [
        _GAP.join(
            (lines[i] if i < len(lines) else "").ljust(width) for lines, width in zip(wrapped, widths, strict=True)
        )
        for i in range(height)
    ]


def _lines(cell: str, width: int) -> list[str]:
    return [line for part in cell.split("\n") for line in (textwrap.wrap(part, width, break_on_hyphens=False) or [""])]


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    blocks = []
    for row in rows:
        cells = [f"{heading}: {cell}" for heading, cell in zip(headings, row, strict=True) if cell]
        blocks.append("\n".join(_wrapped(line, width, "  ") for cell in cells for line in cell.split("\n")))
    return "\n\n".join(blocks)


def _wrapped(text: str, width: int, indent: str) -> str:
    return "\n".join(textwrap.wrap(text, max(width, 20), subsequent_indent=indent, break_on_hyphens=False))
