"""The documentation is true: commands run, links resolve, examples and tables are what the product does."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from pydantic import BaseModel
from rdflib import OWL, Graph, URIRef

from api import cli
from api.arguments import command_line
from api.settings import Settings
from kg import closure
from kg.build_folder import Build
from kg.checks import check_statements
from kg.compiled import CompiledEngine
from kg.errors import NextlineError
from kg.explanation import FactKind
from kg.expressions import _OPERATORS, walk
from kg.guidelines import read_guidelines
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.program import FILE_NAME as PROGRAM
from kg.reading import read_record
from kg.request import Outcome, PatientEntry, parse_request
from kg.sources import Sources, load_sources, read_catalog, read_module
from kg.therapies import read_therapies
from kg.verdicts import Status
from kg.vocabulary import Vocabulary
from tests.conftest import Ask
from tests.serving import ROOT, Running, running

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = sorted([README, ROOT / "ontology" / "README.md", *DOCS.rglob("*.md")])
EXAMPLE = "second-line-failed"
HERE = "localhost:8000"
BASH = shutil.which("bash") or "/bin/sh"
NONE = "\N{EN DASH}"

# For machines without curl: the few options that the documentation uses.
CURL = """#!{python}
import argparse, sys, urllib.parse, urllib.request
options = argparse.ArgumentParser()
options.add_argument("-s", action="store_true")
options.add_argument("-H", action="append", default=[])
options.add_argument("-d")
options.add_argument("--data-urlencode")
options.add_argument("url")
given = options.parse_args()
data = None
if given.d:
    data = sys.stdin.buffer.read() if given.d == "@-" else given.d.encode()
elif given.data_urlencode:
    name, _, value = given.data_urlencode.partition("=")
    data = urllib.parse.urlencode({{name: value}}).encode()
headers = dict(header.split(": ", 1) for header in given.H)
request = urllib.request.Request("http://" + given.url, data, headers)
try:
    sys.stdout.buffer.write(urllib.request.urlopen(request).read())
except urllib.error.HTTPError as error:
    sys.stdout.buffer.write(error.read())
"""


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    """The fenced code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def prose(path: Path) -> str:
    """A page without its fenced code blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def tables(path: Path) -> list[list[list[str]]]:
    """The tables of a page, as rows of cells without the headings."""
    found = re.findall(r"(?:^\|.*\|\n)+", prose(path), re.MULTILINE)
    return [[[c.strip() for c in row.strip("|").split(" | ")] for row in table.splitlines()[2:]] for table in found]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def server(build_folder: Path) -> Iterator[Running]:
    with running(build_folder) as server:
        yield server


@pytest.fixture(scope="module")
def own_curl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `curl` that needs nothing but Python."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "curl").write_text(CURL.format(python=sys.executable), encoding="utf-8")
    (folder / "curl").chmod(0o755)
    return folder


class Shell:
    """Runs commands of the documentation as they are written, but against the server of the tests."""

    def __init__(self, server: Running, own_curl: Path) -> None:
        self._url = server.url.removeprefix("http://")
        self._path = os.environ["PATH"] if shutil.which("curl") else f"{own_curl}{os.pathsep}{os.environ['PATH']}"

    def __call__(self, command: str, path: str | None = None) -> str:
        assert HERE in command
        done = subprocess.run(
            [BASH, "-euo", "pipefail", "-c", command.replace(HERE, self._url)],
            env={**os.environ, "PATH": path or self._path},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout


@pytest.fixture(scope="module")
def shell(server: Running, own_curl: Path) -> Shell:
    return Shell(server, own_curl)


@pytest.fixture(scope="module")
def answer(shell: Shell) -> dict[str, Any]:
    """The answer to the question of the README."""
    document: dict[str, Any] = json.loads(shell(next(b for b in blocks(README, "sh") if "/v1/eligibility" in b)))
    return document


def missing_from(excerpt: Any, whole: Any, place: str = "answer") -> list[str]:
    """The places where an excerpt differs from the whole; fields and items may be left out, but keep their order."""
    if isinstance(excerpt, dict) and isinstance(whole, dict):
        absent = [f"{place}.{key}" for key in excerpt if key not in whole]
        return absent + [
            m for key in excerpt if key in whole for m in missing_from(excerpt[key], whole[key], f"{place}.{key}")
        ]
    if isinstance(excerpt, list) and isinstance(whole, list):
        if not excerpt:
            return [place] if whole else []
        rest = iter(whole)
        return [
            f"{place}[{n}]" for n, part in enumerate(excerpt) if not any(not missing_from(part, item) for item in rest)
        ]
    return [] if excerpt == whole else [f"{place}: {excerpt!r} is not {whole!r}"]


# -- the README


def test_the_readme_has_two_commands_to_set_up_near_its_top() -> None:
    """One that serves and one that tests, each a line of its own that works in an empty checkout."""
    lines = README.read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines[:30] if line.startswith("python3 -m venv .venv && .venv/bin/pip install ")]
    assert [re.split(r" && ", c)[-1] for c in commands] == [".venv/bin/nextline serve", ".venv/bin/pytest"]
    assert len(commands) == sum("-m venv" in line for line in lines)


def test_the_gate_takes_its_test_command_from_the_readme() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.search(r"grep -E '([^']+)' README\.md", gate)
    assert pattern
    found = re.findall(pattern[1], README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_question_of_the_readme_is_answered_as_it_says(answer: dict[str, Any]) -> None:
    (excerpt,) = blocks(README, "json")
    assert missing_from(json.loads(excerpt), answer) == []


def test_an_excerpt_that_differs_is_noticed(answer: dict[str, Any]) -> None:
    assert missing_from({"options": [{"therapy": {"id": "NoTherapy"}}]}, answer) == ["answer.options[0]"]
    assert missing_from({"asOf": "1900-01-01", "colour": 1}, answer)[0] == "answer.colour"
    assert missing_from({"options": []}, answer) == ["answer.options"]


@pytest.mark.parametrize("client", ["found", "own"])
def test_the_query_of_the_readme_is_answered_as_it_says(shell: Shell, own_curl: Path, client: str) -> None:
    command = next(b for b in blocks(README, "sh") if "/sparql" in b)
    path = f"{own_curl}{os.pathsep}{os.environ['PATH']}" if client == "own" else None
    assert shell(command, path).splitlines() == blocks(README, "csv")[0].splitlines()


def test_the_sparqlwrapper_example_of_the_readme_prints_what_it_says(server: Running) -> None:
    (program,) = blocks(README, "python")
    assert "SPARQLWrapper" in program
    done = subprocess.run(
        [sys.executable, "-c", program.replace(f"http://{HERE}", server.url)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == blocks(README, "text")[0]


# -- every page


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_between_pages_resolves(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", prose(file), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}, target


def nextline_commands() -> list[str]:
    """Every call of `nextline` in a code block, a table or a sentence."""
    found = set()
    for page in PAGES:
        for block in blocks(page, "sh"):
            found |= set(re.findall(r"^(?:\.venv/bin/)?(nextline .+)$", block, re.MULTILINE))
            found |= set(re.findall(r"&& \.venv/bin/(nextline .+)$", block, re.MULTILINE))
        found |= set(re.findall(r"`(nextline [^`]+)`", prose(page)))
    return sorted(found)


@pytest.mark.parametrize("command", nextline_commands())
def test_every_nextline_command_parses(command: str) -> None:
    parse = command_line(cli.COMMANDS).parse_args
    arguments = shlex.split(command)[1:]
    if arguments in (["--version"], ["--help"]):
        with pytest.raises(SystemExit) as end:
            parse(arguments)
        assert end.value.code == 0
    else:
        parse(arguments)


def test_every_command_is_in_the_table_of_the_readme() -> None:
    known = set(re.findall(r"^    ([a-z-]+) ", command_line(cli.COMMANDS).format_help(), re.MULTILINE))
    documented = {name for table in tables(README) for row in table for name in names(row[0])}
    assert known
    assert known <= {name.split()[1] for name in documented if name.startswith("nextline ")}


@pytest.mark.parametrize("command", [c for c in nextline_commands() if re.match(r"nextline query [a-z]", c)])
def test_every_query_command_has_an_answer(command: str, build_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *shlex.split(command)[1:], "--build", str(build_folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert len(done.stdout.splitlines()) > 1
    assert "(no rows)" not in done.stdout


def test_every_curl_command_of_the_docs_runs(shell: Shell) -> None:
    commands = [
        c for page in DOCS.rglob("*.md") for b in blocks(page, "sh") for c in b.splitlines() if c.startswith("curl")
    ]
    assert commands
    for command in commands:
        assert "/problems/" not in shell(command), command


def test_every_decision_is_listed() -> None:
    listed = re.findall(r"\]\((\d{4}-[^)]+\.md)\)", (DOCS / "adr" / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(p.name for p in (DOCS / "adr").glob("[0-9]*.md"))


# -- operating


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {names(row[0])[0]: (names(row[1]) or [""])[0] for row in tables(DOCS / "operating.md")[0]}
    fields = Settings.model_fields
    assert {name.removeprefix("NEXTLINE_").lower() for name in documented} == set(fields)
    for name, default in documented.items():
        field = fields[name.removeprefix("NEXTLINE_").lower()]
        if field.default_factory is None and field.default is not None:  # a folder stands relative to another
            assert type(field.default)(default) == field.default, name
    everywhere = {s for page in PAGES for s in re.findall(r"NEXTLINE_[A-Z_]+", page.read_text(encoding="utf-8"))}
    assert everywhere <= set(documented)


def test_every_exit_code_is_documented() -> None:
    codes = {int(row[0]) for row in tables(DOCS / "operating.md")[-1]}
    assert codes == {cli.OK, cli.INPUT, cli.USAGE, cli.KNOWLEDGE, cli.TIMEOUT, cli.STORE}


# -- the API


def test_every_path_of_the_api_is_documented(server: Running) -> None:
    paths = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, operations in httpx.get(f"{server.url}/openapi.json").json()["paths"].items()
        for method in operations
        if not re.fullmatch(r"/v1/queries/[a-z-]+", path)
    }
    documented = {
        (method, re.sub(r"\{\w+\}", "{}", path))
        for row in tables(DOCS / "api.md")[0]
        for method, path in (request.split() for request in names(row[0]))
    }
    assert documented - {("GET", "/v1/queries/{}")} == paths


def test_the_problem_document_is_as_the_page_shows(server: Running) -> None:
    record = {"patient": {"findings": [{"code": "Ashtma"}]}}
    (shown,) = blocks(DOCS / "api.md", "json")
    assert httpx.post(f"{server.url}/v1/eligibility", json=record).json() == json.loads(shown)


def test_every_type_of_problem_is_one_that_the_server_gives() -> None:
    slugs = {kind.slug for kind in subclasses(NextlineError)}
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "api").glob("*.py"))
    documented = {slug for row in tables(DOCS / "api.md")[1] for slug in names(row[1])}
    assert {s for s in documented if s not in slugs and f'"{s}"' not in sources} <= {"not-found"}  # HTTP's own name


def subclasses(kind: type[NextlineError]) -> set[type[NextlineError]]:
    return {kind, *(s for direct in kind.__subclasses__() for s in subclasses(direct))}


# -- the record and the answer


def test_the_record_shown_is_read_without_an_issue(knowledge: Knowledge) -> None:
    (shown,) = blocks(DOCS / "record.md", "json")
    request = parse_request(shown)
    assert request.as_of
    assert read_record(knowledge, Vocabulary(knowledge), request, request.as_of).issues == ()


def test_every_field_of_the_record_is_documented() -> None:
    documented = set(names(prose(DOCS / "record.md")))

    def fields(model: type[BaseModel]) -> Iterator[str]:
        for name, field in model.model_fields.items():
            yield field.alias or name
            for inner in get_args(field.annotation):
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    yield from fields(inner)

    assert {*fields(PatientEntry), *get_args(Outcome)} <= documented


def test_the_measurements_are_those_of_the_ontology(knowledge: Knowledge) -> None:
    graph = knowledge.graph
    expected = {
        (str(graph.value(q, NXL.code)), str(graph.value(q, NXL.ucumUnit)), f"{graph.value(q, NXL.staleAfterDays)} days")
        for q in knowledge.quantities
    }
    rows = [row for table in tables(DOCS / "record.md") for row in table if row[-1].endswith(" days")]
    assert {(names(code)[0], names(unit)[0], days) for code, unit, days in rows} == expected


def test_the_code_systems_are_those_of_the_ontology(knowledge: Knowledge) -> None:
    listed = re.search(r"^Systems: ([^(]+) \(", prose(DOCS / "record.md"), re.MULTILINE)
    assert listed
    assert listed[1].split(", ") == sorted(Vocabulary(knowledge).systems, key=str.lower)


def test_every_status_is_documented_in_the_order_of_the_table() -> None:
    assert {names(row[0])[0] for row in tables(DOCS / "answer.md")[0]} == {status.value for status in Status}
    (listed,) = re.findall(r"in this order of status:\s(.+?);", prose(DOCS / "answer.md"), re.DOTALL)
    assert names(listed) == [status.value for status in Status]


def test_every_field_of_the_answer_is_documented(answer: dict[str, Any]) -> None:
    documented = set(names(prose(DOCS / "answer.md")))
    option = answer["options"][0]
    standings = [row for o in answer["options"] for row in o["guidelines"]]
    missing = next(o["missing"][0] for o in answer["options"] if o["missing"])
    reasons = [reason for told in (*answer["options"], *standings) for reason in told["because"]]
    fields = {
        *answer,
        *option,
        *option["therapy"],
        *standings[0],
        *answer["guidelines"][0],
        *reasons[0],
        *missing,
        *missing["fact"],
        *answer["knowledge"],
        *standings[0]["rank"],
        *answer["questions"][0],
        *answer["questions"][0]["settles"],
        *answer["steps"][0],
        *answer["ledger"][0],
        *(field for reason in reasons for fact in reason["facts"] for field in fact),
    }
    fields -= {"patient", "options"}  # the record's own id; the heading of the page
    assert fields <= documented


def test_the_rank_is_documented_in_the_order_that_it_is_compared_in(answer: dict[str, Any]) -> None:
    (rank,) = (t for t in tables(DOCS / "answer.md") if names(t[0][0]) == ["reserved"])
    assert [names(row[0])[0] for row in rank] == list(answer["options"][0]["guidelines"][0]["rank"])


def test_every_kind_of_fact_and_of_input_issue_is_documented() -> None:
    rows = [row for table in tables(DOCS / "answer.md") for row in table]
    documented = {name for row in rows for name in names(row[0])}
    assert {kind.value for kind in FactKind} <= documented
    reading = (ROOT / "kg" / "reading.py").read_text(encoding="utf-8")
    assert set(re.findall(r'self\.issue\(\s*"([a-z-]+)"', reading)) <= documented


def test_a_step_that_is_unmet_and_a_measurement_are_documented(ask: Ask) -> None:
    measured = {"code": "EstimatedGFR", "value": 20, "unit": "mL/min/{1.73_m2}", "date": "2026-01-01"}
    patient = {"findings": [{"code": "PainfulDiabeticPolyneuropathy"}], "measurements": [measured]}
    answer = ask({"asOf": "2026-02-02", "patient": patient})
    unmet = next(step for o in answer["options"] for row in o["guidelines"] for step in row["unmetSteps"])
    documented = set(names(prose(DOCS / "answer.md")))
    assert {*unmet, *answer["measurements"][0]} <= documented


def test_every_kind_of_missing_fact_is_documented() -> None:
    types = {
        names(row[0])[0]
        for table in tables(DOCS / "answer.md")
        for row in table
        if row[0].startswith("`un") or "incomplete" in row[0]
    }
    assert types >= {"unreported", "unspecified", "incomplete"}


# -- querying and curating


def test_the_graphs_are_those_that_are_served(server: Running) -> None:
    documented = {names(row[0])[0] for row in tables(DOCS / "querying.md")[0]}
    assert documented == set(httpx.get(f"{server.url}/version").json()["graphs"])


def test_the_queries_of_the_docs_have_answers(server: Running) -> None:
    for query in (b for page in PAGES for b in blocks(page, "sparql")):
        response = httpx.get(f"{server.url}/sparql", params={"query": query})
        assert response.json()["results"]["bindings"], query


def test_the_modules_are_listed_with_their_imports(ontology: Path) -> None:
    (rows,) = tables(ontology / "README.md")
    listed = {names(row[0])[0]: {i for i in row[2].split(", ") if i != NONE} for row in rows if ".ttl" in row[0]}
    modules = [read_module(path) for path in set(read_catalog(ontology).values())]
    imports = {m.path.name: {local_name(i) or "nextline" for i in m.imports} for m in modules}
    assert listed == imports


def test_the_examples_for_curators_keep_the_rules_and_make_an_option(sources: Sources, tmp_path: Path) -> None:
    """What a curator is told to write parses, passes the checks, and brings a new option with its contraindication."""
    shutil.copytree(sources.folder, tmp_path / "ontology")
    for block in blocks(DOCS / "curating.md", "turtle"):
        with (tmp_path / "ontology" / "safety.ttl").open("a", encoding="utf-8") as module:
            module.write(f"\n{block}")
    edited = load_sources(tmp_path / "ontology")
    closure.write(edited)
    closure.check(edited)
    check_statements(edited)
    knowledge = Knowledge(edited.graph)
    before = {t.iri for t in read_therapies(sources.graph, Knowledge(sources.graph).taxonomy)}
    (added,) = [t for t in knowledge.therapies if t.iri not in before]
    (own,) = [s for s in knowledge.contraindications_of(added) if set(s.groups) == set(added.uses)]
    assert own.text.clinician
    inherited = [s for s in knowledge.contraindications_of(added) if s is not own]
    assert inherited, "what forbids the class forbids the new member"
    guideline = read_guidelines(edited.graph)["seed"]
    assert any(s.concerns(added, knowledge.taxonomy) for s in knowledge.statements_below(guideline.indicated))


@pytest.mark.parametrize(("page", "heading"), [("curating.md", "error says"), ("compiled-engine.md", "refused")])
def test_every_error_that_curators_are_told_about_exists(page: str, heading: str) -> None:
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "kg").glob("*.py"))
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", prose(DOCS / page), re.MULTILINE)
    rows = [row.strip("|").split(" | ") for row in table.splitlines()]
    assert all(names(row[0]) for row in rows)
    for row in rows:
        for message in names(row[0]):
            for part in filter(None, (p.strip() for p in message.split("…"))):
                assert part in sources, message


def test_the_operators_are_those_of_the_program(engine: CompiledEngine) -> None:
    documented = {name for row in tables(DOCS / "compiled-engine.md")[1] for name in names(row[0])}
    assert documented == _OPERATORS
    program = engine.program
    conditions = [*program.classes.values(), *(option.patient for option in program.options.values())]
    assert {inner[0] for condition in conditions for inner in walk(condition)} <= documented


def test_the_file_of_the_program_is_as_documented(opened: Build) -> None:
    document = json.loads((opened.folder / PROGRAM).read_text(encoding="utf-8"))
    rows = tables(DOCS / "compiled-engine.md")[-1]
    assert {names(row[0])[0] for row in rows} == set(document)
    assert rows[0][1].startswith(f"{document['format']}; ")


def test_the_terms_of_the_mapping_to_owl_exist(sources: Sources) -> None:
    """Each property and class that the page on the mapping names is one of the ontology."""
    graph: Graph = sources.graph
    known = {local_name(s) for s in graph.subjects() if isinstance(s, URIRef)} | {"hasOption"}
    assert (NXL.hasOption, OWL.inverseOf, None) in graph
    for row in tables(DOCS / "record-to-owl.md")[0]:
        for expression in names(row[1]):
            words = set(re.findall(r"\b[A-Za-z]{5,}\b", re.sub(r"xsd:\w+(\[[^\]]*\])?", "", expression))) - {
                "property",
                "only",
            }
            assert words <= known, words - known
