"""The command: what it prints, and the exit codes that scripts rely on."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rdflib import Graph

from api.tables import answer_text, table
from tests.answers import by_guideline

ROOT = Path(__file__).resolve().parent.parent
GRAPHS = ("turtle", "json-ld")
RECORD = {"asOf": "2026-11-22", "patient": {"ageYears": 63, "findings": [{"code": "PainfulDiabeticPolyneuropathy"}]}}


def nextline(*arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", **environment},
        input=stdin,
        check=False,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def build_option(build_folder: Path) -> tuple[str, str]:
    return "--build", str(build_folder)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the ontology with a module that does not parse."""
    shutil.copytree(ROOT / "ontology", tmp_path / "ontology")
    module = tmp_path / "ontology" / "substances.ttl"
    module.write_text(module.read_text(encoding="utf-8") + "\nnxl:Broken a owl:Class\nnxl:Other", encoding="utf-8")
    return tmp_path / "ontology"


@pytest.mark.parametrize(
    "command", [[], ["serve"], ["build"], ["closure"], ["examples"], ["evaluate"], ["what-if"], ["query"]]
)
def test_help_shows_examples_or_exit_codes(command: list[str]) -> None:
    done = nextline(*command, "--help")
    assert done.returncode == 0
    assert (
        "exit codes" in done.stdout
        if not command
        else f"nextline {command[0]}" in done.stdout.partition("examples:")[2]
    )


def test_version() -> None:
    assert re.match(r"nextline \S+", nextline("--version").stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["evaluate"],
        ["query", "--format", "xml"],
        ["serve", "--port", "many"],
        ["evaluate", "-", "--format", "xml"],
        ["evaluate", "-", "--json", "--format", "json"],
    ],
)
def test_a_wrong_command_line_is_2(arguments: list[str]) -> None:
    done = nextline(*arguments)
    assert done.returncode == 2
    assert "usage: nextline" in done.stderr


def test_a_wrong_setting_is_2_and_named() -> None:
    done = nextline("query", "--list", NEXTLINE_PORT="many")
    assert (done.returncode, done.stdout) == (2, "")
    assert "port" in done.stderr


def test_evaluate_prints_a_table_with_reasons(tmp_path: Path, build_option: tuple[str, str]) -> None:
    path = tmp_path / "patient.json"
    path.write_text(json.dumps(RECORD), encoding="utf-8")
    done = nextline("evaluate", str(path), "--unreported", "absent", *build_option)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^option +status +why\n-+ +-+ +-+\n", done.stdout, re.MULTILINE)
    assert re.search(r"seed: eligible", done.stdout)
    assert "2026-11-22" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_evaluate_prints_json_and_reads_silence_as_it_is_told(build_option: tuple[str, str]) -> None:
    by_policy = {
        policy: json.loads(
            nextline("evaluate", "-", "--json", "--unreported", policy, *build_option, stdin=json.dumps(RECORD)).stdout
        )
        for policy in ("unknown", "absent")
    }
    eligible = {
        policy: {name for name, option in by_guideline(answer).items() if option["status"] == "eligible"}
        for policy, answer in by_policy.items()
    }
    assert eligible["unknown"] <= eligible["absent"] != set()


def test_evaluate_prints_the_format_that_is_asked_for(build_option: tuple[str, str]) -> None:
    printed = {
        arguments: nextline("evaluate", "-", *arguments, *build_option, stdin=json.dumps(RECORD)).stdout
        for arguments in [
            ("--json",),
            ("--format", "json"),
            (),
            ("--format", "table"),
            *(("--format", f) for f in GRAPHS),
        ]
    }
    assert printed["--json",] == printed["--format", "json"] and json.loads(printed["--json",])
    assert printed[()] == printed["--format", "table"]
    graphs = [Graph().parse(data=printed["--format", name], format=name) for name in GRAPHS]
    assert graphs[0] and graphs[0].isomorphic(graphs[1])


def test_what_if_prints_what_changes_as_a_table_or_as_json(tmp_path: Path, build_option: tuple[str, str]) -> None:
    patient, changes = tmp_path / "patient.json", tmp_path / "changes.json"
    patient.write_text(json.dumps(RECORD), encoding="utf-8")
    changes.write_text('[{"addMedication": {"code": "Phenelzine"}}]', encoding="utf-8")
    done = nextline("what-if", str(patient), str(changes), *build_option)
    assert done.returncode == 0, done.stderr
    assert re.match(r"option +status +what changes\n-+ +-+ +-+\n", done.stdout)
    assert re.search(r"^.{30,}contraindicated", done.stdout, re.MULTILINE) and "+ contraindication: " in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 100
    found = json.loads(nextline("what-if", str(patient), str(changes), "--json", *build_option).stdout)
    for change in found["changes"]:
        assert change["therapy"]["label"].split()[0][:8] in done.stdout
    nothing = nextline("what-if", str(patient), "-", *build_option, stdin="[]")
    assert nothing.stdout.startswith("No option changes.\n\nAs of 2026-11-22")


@pytest.mark.parametrize(
    ("changes", "told"),
    [("{", "line 1"), ("{}", "changes"), ('[{"removeFinding": "Asthma"}]', "changes.0.removeFinding")],
)
def test_changes_that_cannot_be_made_are_1_and_named(
    tmp_path: Path, build_option: tuple[str, str], changes: str, told: str
) -> None:
    patient = tmp_path / "patient.json"
    patient.write_text(json.dumps(RECORD), encoding="utf-8")
    done = nextline("what-if", str(patient), "-", *build_option, stdin=changes)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ("{", "line 1, column 2"),
        ('{"patient": {"findings": [{"code": "NoSuchFinding"}]}}', "NoSuchFinding"),
        ('{"patient": {"findings": [{"code": "PainfulDiabeticPolyneuropathy"}], "ageYears": -1}}', "patient.ageYears"),
    ],
)
def test_a_wrong_record_is_1_and_its_place_is_named(record: str, told: str, build_option: tuple[str, str]) -> None:
    done = nextline("evaluate", "-", *build_option, stdin=record)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"nextline: [^\n]+\n", done.stderr)
    assert told in done.stderr


def test_a_missing_record_is_1_and_named() -> None:
    done = nextline("evaluate", "no-such-file.json")
    assert done.returncode == 1
    assert "no-such-file.json" in done.stderr


def test_query_prints_a_table_csv_or_json(build_option: tuple[str, str]) -> None:
    arguments = ("query", "therapies-in-line", "line=firstLine", *build_option)
    as_table, as_csv, as_json = (nextline(*arguments, "--format", f) for f in ("table", "csv", "json"))
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert len(rows) == len(json.loads(as_json.stdout)["results"]["bindings"]) > 1
    for row in rows:
        assert row["therapyLabel"].split()[0][:8] in as_table.stdout


def test_the_list_of_queries_has_questions() -> None:
    done = nextline("query", "--list")
    assert done.returncode == 0
    assert "What is third line when" in done.stdout.splitlines()[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "find-term"),
        (["find-term"], "text=zoster"),
        (["find-term", "neuralgia"], "name=value"),
        (["find-term", "colour=blue"], "text=zoster"),
        (["find-term", "text=a", "text=b"], "more than once"),
        (["find-term", "text=\udcff"], "not UTF-8"),
        (["\udcff"], "not UTF-8"),
    ],
)
def test_a_wrong_query_is_1_and_what_is_right_is_told(
    arguments: list[str], told: str, build_option: tuple[str, str]
) -> None:
    done = nextline("query", *arguments, *build_option)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr


@pytest.mark.parametrize("arguments", [["--list"], ["find-term", "text=a"]])
@pytest.mark.parametrize("fault", ["folder", "text", "absent"])
def test_queries_that_cannot_be_read_are_1_and_named(tmp_path: Path, arguments: list[str], fault: str) -> None:
    folder = tmp_path / "queries"
    if fault != "absent":
        shutil.copytree(ROOT / "queries", folder)
    if fault == "folder":
        (folder / "find-term.rq").unlink()
        (folder / "find-term.rq").mkdir()
    elif fault == "text":
        (folder / "find-term.rq").write_bytes(b"#+ question: \xff")
    done = nextline("query", *arguments, "--queries", str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"nextline: [^\n]+\n", done.stderr)
    told = {"folder": "find-term", "text": "not UTF-8", "absent": "there is no such folder"}
    assert told[fault] in done.stderr


def test_a_closed_input_or_output_and_a_full_disk_are_told_in_one_line(build_option: tuple[str, str]) -> None:
    for redirection, arguments, told in (
        ("<&-", ("evaluate", "-", *build_option), "standard input"),
        (">&-", ("query", "--list"), "standard output"),
        ("> /dev/full", ("query", "--list"), "standard output"),
        ("> /dev/full", ("query", "conflicts", "--format", "csv", *build_option), "standard output"),
    ):
        done = subprocess.run(
            ["/bin/sh", "-c", f'"$@" {redirection}', "sh", sys.executable, "-m", "api.cli", *arguments],
            cwd=ROOT,
            check=False,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.returncode == 1, done.stderr
        assert re.fullmatch(rf"nextline: [^\n]*{told}[^\n]*\n|nextline: -: [^\n]*{told}[^\n]*\n", done.stderr)


@pytest.mark.parametrize("command", ["build", "closure", "serve"])
def test_an_ontology_that_does_not_parse_is_3_with_file_and_line(broken: Path, tmp_path: Path, command: str) -> None:
    extra = [] if command == "closure" else ["--build", str(tmp_path / "build")]
    if command == "serve":
        extra += ["--port", "0"]
    done = nextline(command, "--ontology", str(broken), *extra)
    assert done.returncode == 3
    assert re.search(r"substances\.ttl:\d+: ", done.stderr)


def test_a_missing_ontology_is_3_and_named(tmp_path: Path) -> None:
    done = nextline("build", "--ontology", str(tmp_path / "absent"), "--build", str(tmp_path / "build"))
    assert done.returncode == 3
    assert str(tmp_path / "absent") in done.stderr


def test_a_table_wraps_to_its_width_and_becomes_blocks_when_narrow() -> None:
    rows = [["a", "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"]]
    assert max(len(line) for line in table(["x", "text"], rows, 80).splitlines()) <= 80
    assert table(["x", "text"], rows, 50).startswith("x: a\ntext: one two")
    assert table(["x", "text"], [], 80) == "x  text\n(no rows)"


def test_an_answer_shows_use_input_issues_and_notice() -> None:
    answer = {
        "options": [
            {
                "therapy": {"id": "nxl:A", "label": "a"},
                "status": "conditional",
                "agreement": "for",
                "inUse": True,
                "because": [],
                "missing": [],
                "guidelines": [
                    {
                        "guideline": "g",
                        "line": "first",
                        "status": "conditional",
                        "because": [{"kind": "indication", "text": "It is.", "source": None, "locator": ""}],
                        "missing": [],
                    }
                ],
            }
        ],
        "inputIssues": [{"place": "patient.findings[1]", "message": "The code is not mapped."}],
        "knowledge": {"versionIri": "v", "contentHash": "0123456789abcdef"},
        "asOf": "2026-11-22",
        "notice": "It replaces none.",
    }
    text = answer_text(answer, 100)
    assert re.search(r"a \(in use\) +g: conditional, first line +g: indication: It is", text)
    assert "- patient.findings[1]: The code is not mapped." in text
    assert text.endswith("It replaces none.")
