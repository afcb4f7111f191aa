"""Reading `.rq` files: the `#+` header of a canned query and its text, checked as a whole, errors with file and line.

The header is YAML. `question` and `summary` are needed, `position`, `keywords` and `parameters` may stand. A parameter has
`name`, `type`, `description` and `example`; `default` makes it optional; `kind` goes with a term, `values` with an enum,
`minimum` and `maximum` with an integer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kg.canned import CannedQuery, Parameter, ParameterType, bind
from kg.errors import BrokenQuery, InvalidParameter, InvalidQuery
from kg.query_text import tokens
from kg.store import check_syntax

_MARK = "#+"
_FIELDS = ("question", "summary", "position", "keywords", "parameters")
_OF_PARAMETERS = ("name", "type", "description", "example", "default", "kind", "values", "minimum", "maximum")
_ONLY_OF = {"kind": "term", "values": "enum", "minimum": "integer", "maximum": "integer"}
_RESERVED = frozenset({"limit", "offset", "format"})
_FORMS = frozenset({"SELECT", "ASK", "CONSTRUCT", "DESCRIBE"})
_MEND = "Mend it as the other files have it."


def read_query(path: Path) -> CannedQuery:
    """Read one `.rq` file. Raises BrokenQuery naming file and line when its header or its text is not right."""
    return _File(path, _read_text(path)).query()


class _File:
    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        lines = text.splitlines()
        self.lines = [number for number, line in enumerate(lines, start=1) if line.startswith(_MARK)]
        self.header = "\n".join(lines[number - 1][len(_MARK) :].removeprefix(" ") for number in self.lines)

    def query(self) -> CannedQuery:
        fields, places = self._fields()
        question, summary = self._text(fields, places, "question"), self._text(fields, places, "summary")
        if not question.endswith("?"):
            raise self.error(places["question"], "the question does not end in a question mark.")
        if not summary.endswith((".", "?")):
            raise self.error(places["summary"], "the summary does not end in a full stop.")
        position, keywords = fields.get("position", 1000), fields.get("keywords") or []
        if not isinstance(position, int):
            raise self.error(places["position"], "the position is no whole number.")
        if not isinstance(keywords, list):
            raise self.error(places["keywords"], "the keywords are no list.")
        entries = fields.get("parameters") or []
        if not isinstance(entries, list):
            raise self.error(places["parameters"], "the parameters are no list.")
        parameters = tuple(self._parameter(entry, places, number) for number, entry in enumerate(entries))
        query = CannedQuery(
            name=self.path.stem,
            question=question,
            summary=summary,
            parameters=parameters,
            text=self.text,
            position=position,
            keywords=tuple(map(str, keywords)),
            form=self._checked_form(parameters, places),
        )
        for field in ("example", "default"):
            for number, parameter in enumerate(parameters):
                given = {p.name: p.example for p in parameters} | {parameter.name: getattr(parameter, field) or ""}
                if getattr(parameter, field) is not None:
                    try:
                        bind(query, given)
                    except InvalidParameter as error:
                        raise self.error(places[f"parameters.{number}.{field}"], error.problem) from None
        return query

    def _fields(self) -> tuple[dict[str, Any], dict[str, int]]:
        """The header, and the line of each field (`question`, `parameters.0`, `parameters.0.type`)."""
        if not self.lines:
            raise self.error(1, "it has no header of #+ lines.")
        try:
            node = yaml.compose(self.header, Loader=yaml.SafeLoader)
            fields = yaml.safe_load(self.header)
        except yaml.MarkedYAMLError as error:
            line = self.lines[min(error.problem_mark.line, len(self.lines) - 1)] if error.problem_mark else 1
            raise self.error(line, f"the header is no YAML ({error.problem}).") from None
        except yaml.YAMLError as error:
            raise self.error(self.lines[0], f"the header is no YAML ({_line(error)}).") from None
        if not isinstance(fields, dict) or not isinstance(node, yaml.MappingNode):
            raise self.error(self.lines[0], "the header does not say name: value.")
        places = self._places(node, "")
        for name in fields:
            if name not in _FIELDS:
                raise self.error(places[str(name)], f"a header has no field '{name}', only {', '.join(_FIELDS)}.")
        return {str(name): value for name, value in fields.items()}, places

    def _places(self, node: yaml.Node, prefix: str) -> dict[str, int]:
        found: dict[str, int] = {}
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = f"{prefix}{key.value}"
                if name in found:
                    raise self.error(self.lines[key.start_mark.line], f"'{key.value}' stands twice.")
                found[name] = self.lines[key.start_mark.line]
                found |= self._places(value, f"{name}.")
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                found[f"{prefix}{number}"] = self.lines[item.start_mark.line]
                found |= self._places(item, f"{prefix}{number}.")
        return found

    def _text(self, fields: Mapping[str, Any], places: Mapping[str, int], name: str, prefix: str = "") -> str:
        value = fields.get(name)
        if value is None or not str(value).strip():
            raise self.error(
                places.get(f"{prefix}{name}", places.get(prefix[:-1], self.lines[0])), f"'{name}' is missing."
            )
        return _line(value)

    def _parameter(self, entry: object, places: Mapping[str, int], number: int) -> Parameter:
        prefix = f"parameters.{number}."
        here = places[prefix[:-1]]
        if not isinstance(entry, dict):
            raise self.error(here, "a parameter is no list of name: value.")
        for name in entry:
            if name not in _OF_PARAMETERS:
                raise self.error(
                    places[f"{prefix}{name}"], f"a parameter has no field '{name}', only {', '.join(_OF_PARAMETERS)}."
                )
        text = {name: self._text(entry, places, name, prefix) for name in ("name", "type", "description", "example")}
        try:
            type_ = ParameterType(text["type"])
        except ValueError:
            known = ", ".join(t.value for t in ParameterType)
            raise self.error(places[f"{prefix}type"], f"there is no type '{text['type']}', only {known}.") from None
        for name, of in _ONLY_OF.items():
            if name in entry and type_.value != of:
                raise self.error(places[f"{prefix}{name}"], f"'{name}' goes with the type {of} only.")
        values = entry.get("values") or []
        if not isinstance(values, list) or (type_ is ParameterType.ENUM) != bool(values):
            raise self.error(places.get(f"{prefix}values", here), "an enum needs a list of values.")
        for name in ("minimum", "maximum"):
            if not isinstance(entry.get(name, 0), int):
                raise self.error(places[f"{prefix}{name}"], f"'{name}' is no whole number.")
        default, kind = entry.get("default"), entry.get("kind")
        return Parameter(
            name=text["name"],
            type=type_,
            description=text["description"],
            example=text["example"],
            default=None if default is None else str(default),
            kind=None if kind is None else str(kind),
            values=tuple(map(str, values)),
            minimum=entry.get("minimum"),
            maximum=entry.get("maximum"),
        )

    def _checked_form(self, parameters: tuple[Parameter, ...], places: Mapping[str, int]) -> str:
        """The form of the query, whose text parses, has an order if it gives rows, and takes the parameters."""
        try:
            check_syntax(self.text)
        except InvalidQuery as error:
            line = error.place.removeprefix("query, line ").partition(",")[0]
            number = int(line) if line.isdigit() else (self.lines[-1] + 1)
            raise BrokenQuery(f"{self.path}:{number}", error.problem, error.mend) from None
        form, projected, ordered, words = "", set[str](), False, []
        for token in tokens(self.text):
            words.append(token.text)
            form = form or (token.text if token.kind == "word" and token.text in _FORMS else "")
            if token.kind == "variable" and form and "{" not in words:
                projected.add(token.text[1:])
            ordered = ordered or words[-2:] == ["ORDER", "BY"]
        names = [parameter.name for parameter in parameters]
        for number, name in enumerate(names):
            here = places[f"parameters.{number}.name"]
            if names.index(name) != number:
                raise self.error(here, f"the parameter '{name}' stands twice.")
            if name in _RESERVED:
                raise self.error(here, f"'{name}' is no name for a parameter: every query has it.")
            if form == "SELECT" and name not in projected:
                raise self.error(here, f"the parameter '{name}' is no variable of the SELECT clause.")
        if form == "SELECT" and not ordered:
            raise self.error(len(self.text.splitlines()), "the query has no ORDER BY, so that its pages have no order.")
        if "}" in words and {"LIMIT", "OFFSET"} & set(words[len(words) - words[::-1].index("}") :]):
            raise self.error(len(self.text.splitlines()), "the query ends with a LIMIT or OFFSET of its own.")
        return form

    def error(self, line: int, problem: str) -> BrokenQuery:
        return BrokenQuery(f"{self.path}:{line}", problem, _MEND)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BrokenQuery(str(path), "the file is not UTF-8.", "Save it as UTF-8.") from None
    except OSError as error:
        raise BrokenQuery(str(path), f"the file cannot be read ({error.strerror}).", "Remove or mend it.") from None


def _line(value: object) -> str:
    return " ".join(str(value).split())
