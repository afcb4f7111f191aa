"""What the tests share: one build of the ontology and its two engines."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kg.answer import Answerer
from kg.build import build
from kg.build_folder import Build, open_build
from kg.compiled import CompiledEngine
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
    """A finished build of the ontology, made once."""
    folder = tmp_path_factory.mktemp("build")
    build(ontology, folder, queries=ontology.parent / "queries")
    return folder


@pytest.fixture(scope="session")
def opened(build_folder: Path) -> Build:
    """The build, opened."""
    return open_build(build_folder)


@pytest.fixture(scope="session")
def answerer(opened: Build) -> Answerer:
    """What answers requests from the build."""
    return opened.answerer


@pytest.fixture(scope="session")
def engine(answerer: Answerer) -> CompiledEngine:
    """The compiled engine over the build."""
    return answerer.engine


@pytest.fixture(scope="session")
def reference(opened: Build) -> ReferenceEngine:
    """The reference engine over the build."""
    return opened.reference


@pytest.fixture(scope="session")
def knowledge(opened: Build) -> Knowledge:
    """The ontology as the engines read it, with its classified hierarchy."""
    return opened.knowledge


@pytest.fixture(scope="session")
def ask(answerer: Answerer) -> Ask:
    """The answer to a request."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        return answerer.answer(parse_request(json.dumps(request)), today=date(2026, 11, 22))

    return answer
