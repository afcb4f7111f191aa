"""What the tests share: one build of the ontology, its engine, and answers that are worked out once each."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kg.build import build, open_build
from kg.evaluation import evaluate
from kg.knowledge import Knowledge
from kg.reference import ReferenceEngine
from kg.request import parse_request
from kg.sources import Sources, load_sources

Ask = Callable[[dict[str, Any]], dict[str, Any]]

ONTOLOGY = Path(__file__).resolve().parent.parent / "ontology"


@pytest.fixture(scope="session")
def ontology() -> Path:
    """The folder of the committed ontology; tests that change it work on a copy."""
    return ONTOLOGY


@pytest.fixture(scope="session")
def sources(ontology: Path) -> Sources:
    """The authored modules."""
    return load_sources(ontology)


@pytest.fixture(scope="session")
def build_folder(ontology: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of the ontology, made once; the committed verdicts of the examples are used if they are current."""
    folder = tmp_path_factory.mktemp("build")
    build(ontology, folder, evaluate_examples=False)
    return folder


@pytest.fixture(scope="session")
def engine(build_folder: Path) -> ReferenceEngine:
    """The reference engine over the build."""
    return open_build(build_folder).engine


@pytest.fixture(scope="session")
def knowledge(engine: ReferenceEngine) -> Knowledge:
    """The ontology as the engine reads it, with its classified hierarchy."""
    return engine.knowledge


@pytest.fixture(scope="session")
def ask(engine: ReferenceEngine) -> Ask:
    """The answer to a request; an equal request is answered only once, since each costs several seconds."""
    answers: dict[str, dict[str, Any]] = {}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(request, sort_keys=True)
        if text not in answers:
            answers[text] = evaluate(engine, parse_request(text), today=date(2026, 11, 22))
        return answers[text]

    return answer
