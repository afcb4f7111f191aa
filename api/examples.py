"""Ready-made eligibility requests, one JSON file each beside the example patients of the ontology."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from api.problems import RequestProblem

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """An example with its title and the request as it is sent."""

    id: str
    title: str
    request: dict[str, Any]


def read_examples(ontology: Path) -> tuple[ExampleRequest, ...]:
    """All examples of an ontology, by id; none if it has no examples."""
    return tuple(_read(path) for path in sorted((ontology / "examples").glob("*.json")) if _ID.fullmatch(path.stem))


def find_example(ontology: Path, id_: str) -> ExampleRequest:
    """One example. Raises RequestProblem (404), listing those that exist."""
    path = ontology / "examples" / f"{id_}.json"
    if not _ID.fullmatch(id_) or not path.is_file():
        known = ", ".join(example.id for example in read_examples(ontology)) or "none"
        raise RequestProblem(
            HTTPStatus.NOT_FOUND,
            "unknown-example",
            id_[:100],
            "there is no example of that name.",
            f"Examples: {known}.",
        )
    return _read(path)


def _read(path: Path) -> ExampleRequest:
    document = json.loads(path.read_text(encoding="utf-8"))
    return ExampleRequest(str(document.get("id", path.stem)), str(document["title"]), document["request"])
