"""A sample of the W3C's test suites, where they are at hand; `python -m tests.conformance` runs all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conformance import lost_by_endpoint, protocol, read_cases, run
from tests.serving import ROOT

SUITES = Path(os.environ.get("NEXTLINE_SHARED", ROOT.parent / "shared")) / "w3c-sparql-tests"
EVERY = 4

pytestmark = pytest.mark.skipif(
    not SUITES.is_dir(), reason="the W3C test suites are not here; NEXTLINE_SHARED names their folder"
)


def test_what_passes_in_process_passes_through_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTLINE_QUERY_CLIENT_SECONDS", "0")
    outcomes = run(read_cases(SUITES)[::EVERY], print)
    assert sum(outcome.in_process for outcome in outcomes) > 0.9 * len(outcomes)
    assert [case.name for case in lost_by_endpoint(outcomes)] == []


def test_the_protocol_is_kept() -> None:
    outcomes = protocol(SUITES)
    assert len(outcomes) > 10
    assert [name for name, passed in outcomes if not passed] == []
