"""The pages in a real browser: the editor, the search, and that nothing is asked of anybody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kg.build_folder import Build
from kg.namespaces import local_name
from tests import browsing
from tests.serving import Running, running

# On a user's machine without a browser these tests are left out; in CI that is a failure.
MISSING = browsing.missing()
pytestmark = pytest.mark.skipif(bool(MISSING) and not os.environ.get("CI"), reason=MISSING)


@pytest.fixture(scope="module")
def server(build_folder: Path) -> Iterator[Running]:
    with running(build_folder) as server:
        yield server


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browsing.Browser]:
    with browsing.browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(started: browsing.Browser, server: Running) -> Iterator[browsing.Browser]:
    """The browser; after each test it must have asked nobody else, and its console must be silent."""
    started.complaints()
    yield started
    allowed = (server.url, "data:", "chrome", "about:", "blob:")
    assert [url for url in started.requests() if not url.startswith(allowed)] == []
    assert started.complaints() == []


def editor(browser: browsing.Browser, server: Running) -> None:
    browser.open(f"{server.url}/sparql")  # as a person comes to it
    browser.one("body[data-ready]")


def write(browser: browsing.Browser, text: str) -> None:
    """Replace the query, then put the cursor at its end."""
    browser.driver.execute_script(
        "const e = document.querySelector('.tabPanel.active .CodeMirror').CodeMirror;"
        "e.setValue(arguments[0]); e.focus(); e.setCursor(e.lineCount(), 0)",
        text,
    )


def run(browser: browsing.Browser) -> None:
    browser.one(".tabPanel.active .yasqe_queryButton").click()


def test_a_ready_made_question_is_one_click_away(browser: browsing.Browser, server: Running) -> None:
    editor(browser, server)
    browser.one("#filter").send_keys("in which line does each guideline")
    browser.until(lambda: len(browser.all("#questions button")) == 1, "the filtered list")
    browser.one("#questions button").click()
    rows = browser.until(lambda: browser.all(".tabPanel.active table.dataTable tbody tr"), "rows")
    link = rows[0].find_element("css selector", "a")
    browser.until(lambda: str(link.get_attribute("href")).startswith(f"{server.url}/id/"), "a link to this server")


def test_an_error_is_told_with_its_place_and_mend(browser: browsing.Browser, server: Running) -> None:
    editor(browser, server)
    write(browser, "SELECT ?s\nWHERE { ?s ?p ")
    run(browser)
    told = browser.one(".tabPanel.active .problem").text
    assert "Invalid query" in told and "line 2" in told and "Mend" in told
    assert "instance" not in told and "https://" not in told, "no raw document"
    noted = browser.complaints()
    assert len(noted) == 1 and "400" in noted[0], "the browser itself notes the answer, and nothing else"


def test_a_term_is_completed_by_its_label_with_its_prefix(
    browser: browsing.Browser, server: Running, opened: Build
) -> None:
    statement = next(s for s in opened.knowledge.statements.values() if s.groups)
    group, label = statement.groups[0], opened.knowledge.label(statement.groups[0])
    editor(browser, server)
    write(browser, "SELECT ?x WHERE { ?x ?p nxl:")
    browser.driver.switch_to.active_element.send_keys(local_name(group)[:5])
    hint = browser.until(
        lambda: next((h for h in browser.all(".CodeMirror-hints li") if label in h.text), None), f"{label} as a hint"
    )
    hint.click()
    text = "document.querySelector('.tabPanel.active .CodeMirror').CodeMirror.getValue()"
    value = browser.driver.execute_script(f"return {text}")
    assert f"nxl:{local_name(group)}" in value and "PREFIX nxl: <https://w3id.org/nextline/>" in value


def test_a_search_leads_to_a_term_with_its_statements(
    browser: browsing.Browser, server: Running, opened: Build
) -> None:
    statement = next(s for s in opened.knowledge.statements.values() if s.groups)
    label = opened.knowledge.label(statement.groups[0])
    browser.open(f"{server.url}/")
    browser.one("#question").send_keys(label)
    browser.until(lambda: [s for s in browser.all(".suggestions a") if s.text.startswith(label)], "a suggestion")[
        0
    ].click()
    assert browser.one("h1").text == label
    listed = browser.one(f'.statements a[href$="/{local_name(statement.iri)}"]')
    assert listed.get_attribute("textContent") == statement.text.clinician
    assert browser.all(".picture svg a rect"), "the picture has boxes that lead on"
