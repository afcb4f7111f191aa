"""The compiled program: what the build hands to the server, as data that JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kg.errors import BuildNotFound
from kg.expressions import Expression, from_json

FORMAT = 1
FILE_NAME = "program.json"


@dataclass(frozen=True, slots=True)
class OptionClass:
    """A defined class of options: what an option must use, of which kind, for which patient, after which trials.

    `groups` and `kind` are decided at build time, by therapy; `patient` is a condition on the patient, `repeats` are
    conditions on a course of the same therapy, `shares` on a part of a course with a substance of the option.
    """

    groups: tuple[str, ...]
    kind: str | None
    patient: Expression
    repeats: tuple[Expression, ...]
    shares: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a guideline decides by: conditions on the patient, and IRIs of classes of options any of which is enough."""

    scope: Expression
    indicated: tuple[str, ...]
    recommended_against: tuple[str, ...]
    exhausted: tuple[str, ...]
    in_use: tuple[str, ...]
    steps: Mapping[str, Expression]


@dataclass(frozen=True, slots=True)
class Denial:
    """Patients of the class `of` never have `finding`."""

    of: str
    finding: str


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that decides a verdict, by IRI.

    `classes` are the named classes of patients, courses and parts; `options` the defined classes of options;
    `concerned` tells for each therapy the classes of options whose intervention side it meets.
    """

    classes: Mapping[str, Expression]
    options: Mapping[str, OptionClass]
    rules: Mapping[str, Rules]
    contraindicated: tuple[str, ...]
    denials: tuple[Denial, ...]
    concerned: Mapping[str, tuple[str, ...]]

    def to_json(self) -> str:
        """The program as JSON; the same program gives the same text."""
        document = {
            "format": FORMAT,
            "classes": dict(self.classes),
            "options": {iri: [o.groups, o.kind, o.patient, o.repeats, o.shares] for iri, o in self.options.items()},
            "rules": {
                code: [r.scope, r.indicated, r.recommended_against, r.exhausted, r.in_use, dict(r.steps)]
                for code, r in self.rules.items()
            },
            "contraindicated": self.contraindicated,
            "denials": [[d.of, d.finding] for d in self.denials],
            "concerned": dict(self.concerned),
        }
        return json.dumps(document, sort_keys=True, indent=1) + "\n"


def read_program(folder: Path) -> Program:
    """The program of a build. Raises BuildNotFound when it is missing, cut off, or of another version."""
    path = folder / FILE_NAME
    mend = "Run `nextline build`."
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise BuildNotFound(str(path), f"the program has format {document['format']}, not {FORMAT}.", mend)
        return Program(
            classes={iri: from_json(e) for iri, e in document["classes"].items()},
            options={iri: OptionClass(*map(from_json, parts)) for iri, parts in document["options"].items()},
            rules={code: _rules(*parts) for code, parts in document["rules"].items()},
            contraindicated=tuple(document["contraindicated"]),
            denials=tuple(Denial(*pair) for pair in document["denials"]),
            concerned={iri: tuple(classes) for iri, classes in document["concerned"].items()},
        )
    except OSError as error:
        raise BuildNotFound(str(path), f"the program cannot be read ({error.strerror}).", mend) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BuildNotFound(str(path), "the program is damaged.", mend) from None


def _rules(scope: Any, indicated: Any, against: Any, exhausted: Any, in_use: Any, steps: Any) -> Rules:
    return Rules(
        scope=from_json(scope),
        indicated=tuple(indicated),
        recommended_against=tuple(against),
        exhausted=tuple(exhausted),
        in_use=tuple(in_use),
        steps={iri: from_json(expression) for iri, expression in steps.items()},
    )
