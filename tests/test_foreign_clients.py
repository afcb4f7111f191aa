"""Clients that others wrote, with the query of the README: RDFLib's SPARQLStore and Comunica (curl and SPARQLWrapper run there)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rdflib import Variable
from rdflib.plugins.stores.sparqlstore import SPARQLStore

from tests.serving import ROOT, Running, running

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMUNICA = os.environ.get("NEXTLINE_COMUNICA") or shutil.which("comunica-sparql")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def server(build_folder: Path) -> Iterator[Running]:
    with running(build_folder, NEXTLINE_RELOAD_SECONDS="0") as started:
        yield started


@pytest.fixture(scope="module")
def query() -> str:
    """The query that the README asks from Python."""
    found = re.search(r'setQuery\("""(.*?)"""\)', README, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def expected() -> list[str]:
    found = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1].split("\n")[:-1]


def test_the_store_of_rdflib(server: Running, query: str, expected: list[str]) -> None:
    store = SPARQLStore(f"{server.url}/sparql")
    assert [str(row[Variable("label")]) for row in store.query(query).bindings] == expected
    assert store.query("ASK { ?s ?p ?o }").askAnswer is True


@pytest.mark.skipif(
    COMUNICA is None and not os.environ.get("CI"),
    reason="Comunica is not here: `npm install @comunica/query-sparql`, and NEXTLINE_COMUNICA names its comunica-sparql",
)
def test_comunica(server: Running, query: str, expected: list[str]) -> None:
    done = subprocess.run(
        [str(COMUNICA), f"sparql@{server.url}/sparql", query],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert [row["label"].split('"')[1] for row in json.loads(done.stdout)] == expected
