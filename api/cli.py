"""The command `nextline`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import kg.closure
import kg.examples
from api import bench
from api.app import create_app
from api.server import PortUnavailable, address_of, reserve, serve
from api.settings import Settings
from api.tables import answer_text, readable, table, what_if_text
from kg import benchmark
from kg.answer_rdf import serialise_answer
from kg.build import build, software_version, sources_hash
from kg.build_folder import Build, Manifest, is_current, open_build
from kg.errors import (
    BrokenQuery,
    InvalidParameter,
    InvalidQuery,
    InvalidRecord,
    NextlineError,
    QueryFailure,
    ReasonerTimeout,
    UnknownQuery,
)
from kg.facts import Policy
from kg.patients import Patients
from kg.queries import list_queries, load_query, run
from kg.request import parse_request
from kg.sources import load_sources
from kg.store import Form, KnowledgeStore, ResultFormat
from kg.verification import Comparison
from kg.what_if import parse_changes, what_if

OK, INPUT, USAGE, KNOWLEDGE, TIMEOUT = 0, 1, 2, 3, 4

_EPILOG = """\
exit codes:
  0  done
  1  the input is at fault (record, query, parameter, file, port), or the output cannot be written
  2  the command line is at fault
  3  the ontology or the build is at fault
  4  the reasoner did not finish in time

Settings can also come from the environment, such as NEXTLINE_PORT or NEXTLINE_ONTOLOGY.
"""
_EXAMPLES = {
    "serve": "nextline serve\nnextline serve --port 8080 --ontology my-ontology",
    "build": "nextline build\nnextline build --ontology my-ontology --build my-build",
    "closure": "nextline closure",
    "examples": "nextline examples",
    "evaluate": "nextline evaluate patient.json\ncat patient.json | nextline evaluate - --json --policy absent\n"
    "nextline evaluate patient.json --format turtle",
    "verify": "nextline verify patient.json\nnextline verify --patients 100 --seed 7",
    "what-if": "nextline what-if patient.json changes.json\n"
    "echo '[{\"setAge\": 17}]' | nextline what-if patient.json - --json",
    "bench": "nextline bench\nnextline bench --reasoner 0",
    "query": "nextline query --list\nnextline query lines-of-therapy therapy=THERAPY\n"
    "nextline query seed-coverage --format csv",
}
_GRAPH_FORMATS = {"turtle": ResultFormat.TURTLE, "json-ld": ResultFormat.JSON_LD}
_INPUT_ERRORS = (InvalidRecord, InvalidParameter, InvalidQuery, UnknownQuery, BrokenQuery, QueryFailure)


class InputError(NextlineError):
    """A file that the command was given cannot be read."""

    slug = "input"


class OutputError(NextlineError):
    """What the command has to tell cannot be written."""

    slug = "output"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; errors go to stderr in one line."""
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
    except ValidationError as error:
        first = error.errors()[0]
        return _fail(f"setting {'.'.join(map(str, first['loc']))}: {first['msg']}.", USAGE)
    try:
        return int(options.command(options, settings))
    except NextlineError as error:
        return _fail(str(error), _exit_code(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _discard_output()
        return OK


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    bound = reserve(settings.host, settings.port)
    app = create_app(_current_build(settings), settings)
    address = address_of(bound)
    _report(f"Nextline serves {address} (documentation: {address}/docs). Stop it with Ctrl+C.")
    serve(app, bound)
    return OK


def _build(options: argparse.Namespace, settings: Settings) -> int:
    manifest = _make_build(settings)
    _print(f"{manifest.version_iri} {manifest.content_hash}")
    return OK


def _closure(options: argparse.Namespace, settings: Settings) -> int:
    path = kg.closure.write(load_sources(settings.ontology))
    _report(f"{path} is up to date.")
    return OK


def _write_examples(options: argparse.Namespace, settings: Settings) -> int:
    kg.examples.write_examples(load_sources(settings.ontology))
    _report(f"The examples in {settings.ontology / 'examples'} are up to date.")
    return OK


def _evaluate(options: argparse.Namespace, settings: Settings) -> int:
    request = parse_request(_read(options.patient))
    if options.policy:
        request = request.model_copy(update={"unreported_findings": Policy(options.policy)})
    built = _current_build(settings)
    answer = built.answerer.answer(request, today=date.today(), explain_as_tree=options.tree)
    if options.format in _GRAPH_FORMATS:
        sys.stdout.buffer.write(serialise_answer(answer, built.knowledge, _GRAPH_FORMATS[options.format]))
        return OK
    as_json = options.format == "json"
    _print(json.dumps(answer, indent=2, ensure_ascii=False) if as_json else answer_text(answer, _width()))
    return OK


def _what_if(options: argparse.Namespace, settings: Settings) -> int:
    request, changes = parse_request(_read(options.patient)), parse_changes(_read(options.changes))
    found = what_if(_current_build(settings).answerer, request, changes, today=date.today())
    _print(json.dumps(found, indent=2, ensure_ascii=False) if options.json else what_if_text(found, _width()))
    return OK


def _verify(options: argparse.Namespace, settings: Settings) -> int:
    opened = _current_build(settings)
    comparison = Comparison(opened.answerer, opened.reference)
    if options.patient:
        document = _read(options.patient)
        parse_request(document)
        records: Iterable[dict[str, Any]] = [json.loads(document)]
    else:
        generated = Patients(opened.knowledge, opened.answerer.engine.program).generate(options.seed)
        records = islice(generated, options.patients)
    tally = comparison.of_many(records, _report, least_certain=options.options, workers=settings.reasoner_workers)
    print(
        f"{tally.patients} patients, {tally.options} options compared: "
        f"{'no difference' if tally.disagreement is None else 'a difference'}."
    )
    if tally.contradictory:
        print(f"{tally.contradictory} generated records contradict themselves and were refused.")
    if tally.undecided:
        print(f"On {tally.undecided} patients HermiT gave no answer in time.")
    if tally.disagreement is None:
        return TIMEOUT if tally.undecided and not tally.patients else OK
    _print(json.dumps(tally.disagreement.record, indent=2))
    for difference in tally.disagreement.differences:
        print(difference)
    return KNOWLEDGE


def _bench(options: argparse.Namespace, settings: Settings) -> int:
    opened = _current_build(settings)
    answerer = opened.answerer
    asked = benchmark.records(answerer, options.patients, options.seed)
    _report("timing answers in process")
    costs = benchmark.costs(answerer, asked)
    rows = [
        ["answer with explanations", f"{costs.answer * 1e3:.2f} ms", f"median of {costs.patients} patients"],
        ["statuses only", f"{costs.statuses * 1e6:.0f} µs", "median of the same patients"],
    ]
    if options.reasoner:
        seconds = benchmark.reasoner_seconds(answerer, opened.reference, asked[: options.reasoner], _report)
        rows.append(["HermiT", f"{seconds:.2f} s", f"median of {options.reasoner} of them"])
        rows.append(["HermiT : answer", f"{seconds / costs.answer:,.0f}", "how many times as long"])
    _report("timing ontologies of other sizes")
    first, *larger = benchmark.growth(opened.knowledge, (1, 3, 10), min(options.patients, 60), options.seed)
    for size in larger:
        statements = f"{size.statements / first.statements:.1f} times the statements"
        rows.append([statements, f"{size.costs.answer / first.costs.answer:.2f}", "times as long for an answer"])
        rows.append([statements, f"{size.costs.statuses / first.costs.statuses:.2f}", "times as long for the statuses"])
    _report("timing the service over HTTP")
    http = bench.measure(settings, [json.dumps(record).encode() for record in asked])
    rows += [
        ["HTTP, one worker", f"{http.answers:.0f}/s", f"answers of {http.body_bytes / 1000:.0f} kB, one connection"],
        ["HTTP, no-op", f"{http.no_ops:.0f}/s", "bodies of the same sizes"],
        ["answers : no-op", f"{http.ratio:.2f}", "median of the ratios of alternating rounds"],
        ["memory of the server", f"{http.resident_mb:.0f} MB", "resident, after these requests"],
    ]
    _print(table(["what", "figure", "of"], rows, _width()))
    return OK


def _query(options: argparse.Namespace, settings: Settings) -> int:
    if options.list or options.name is None:
        rows = [
            [query.name, query.question, " ".join(f"{p.name}={p.example}" for p in query.parameters)]
            for query in list_queries(settings.queries)
        ]
        _print(table(["query", "question", "parameters (examples)"], rows, _width()))
        return OK
    for argument in (options.name, *options.parameters):
        if any("\udc80" <= character <= "\udcff" for character in argument):  # how Python passes bytes on
            raise InvalidParameter(ascii(argument)[1:-1], "the argument is not UTF-8.", "Write it in UTF-8.")
    query = load_query(settings.queries, options.name)
    values = {}
    for assignment in options.parameters:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise InvalidParameter(assignment, "a parameter is written name=value.", query.usage())
        if name in values:
            raise InvalidParameter(name, "the parameter stands more than once.", query.usage())
        values[name] = value
    result = run(KnowledgeStore.load(_current_build(settings).graph_files), query, values)
    if options.format == "table" and result.form is Form.ROWS:
        columns = result.variables
        _print(table(columns, [[readable(row.get(c)) for c in columns] for row in result.rows()], _width()))
        return OK
    formats = {"csv": ResultFormat.CSV, "json": ResultFormat.JSON}
    _write(result.serialise(formats.get(options.format, ResultFormat.TURTLE)))
    return OK


def _current_build(settings: Settings) -> Build:
    if not is_current(settings.build_folder, sources_hash(settings.ontology), software_version()):
        _make_build(settings)
    return open_build(settings.build_folder, deadline_seconds=settings.reasoner_deadline_seconds)


def _make_build(settings: Settings) -> Manifest:
    return build(
        settings.ontology,
        settings.build_folder,
        deadline_seconds=settings.reasoner_deadline_seconds,
        report=_report,
    )


def _read(name: str) -> bytes:
    try:
        if name != "-":
            return Path(name).read_bytes()
        if sys.stdin is None:
            raise InputError(name, "standard input is closed.", "Give it the request, or the path of a JSON file.")
        return sys.stdin.buffer.read()
    except OSError as error:
        raise InputError(
            name,
            f"the file cannot be read ({error.strerror}).",
            "Give the path of a JSON file, or - for standard input.",
        ) from None


def _settings(options: argparse.Namespace) -> Settings:
    names = ("host", "port", "ontology", "queries", "build")
    given = {name: getattr(options, name, None) for name in names}
    return Settings(**{name: value for name, value in given.items() if value is not None})


def _exit_code(error: NextlineError) -> int:
    if isinstance(error, ReasonerTimeout):
        return TIMEOUT
    return INPUT if isinstance(error, (*_INPUT_ERRORS, InputError, OutputError, PortUnavailable)) else KNOWLEDGE


def _report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _print(text: str) -> None:
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    _write(f"{text}\n".encode(encoding, "backslashreplace"))


def _write(data: bytes) -> None:
    """Write to standard output, and see whether it arrives."""
    if sys.stdout is None:
        raise OutputError("standard output", "it is closed.", "Leave it open, or send it to a file.")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise OutputError(
            "standard output", f"it cannot be written ({error.strerror}).", "Send it to another place."
        ) from None


def _discard_output() -> None:
    """Let what is still to be written go nowhere: Python would try again at its end, and fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    _report(f"nextline: {message}")
    return code


def _width() -> int:
    return shutil.get_terminal_size(fallback=(100, 24)).columns


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nextline",
        description="Decision support for neuropathic pain: which options are open to a patient, and why.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nextline {software_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace, Settings], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog="examples:\n" + "".join(f"  {line}\n" for line in _EXAMPLES[name].splitlines()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(command=command)
        added.add_argument(
            "--ontology", type=Path, metavar="FOLDER", help="the folder of the ontology (default: ontology)"
        )
        return added

    def add_build(added: argparse.ArgumentParser) -> None:
        added.add_argument("--build", type=Path, metavar="FOLDER", help="the folder of the build (default: build)")
        added.add_argument(
            "--queries", type=Path, metavar="FOLDER", help="the folder of the queries (default: queries)"
        )

    serve_ = add("serve", _serve, "serve the API, building first if the build is missing or out of date")
    serve_.add_argument("--host", help="the address to serve on (default: 127.0.0.1)")
    serve_.add_argument("--port", type=int, help="the port to serve on (default: 8000; 0 takes a free one)")
    add_build(serve_)

    add_build(add("build", _build, "load, check and reason over the ontology, and write the graphs"))
    add("closure", _closure, "write the closure module of the ontology anew")
    add("examples", _write_examples, "write the example patients of the ontology anew")

    evaluate_ = add("evaluate", _evaluate, "say which options are open to a patient, and why")
    evaluate_.add_argument(
        "patient", metavar="PATIENT.json", help="the request as the API takes it; - reads standard input"
    )
    evaluate_.add_argument("--tree", action="store_true", help="with --json: explain each reason as a tree")
    form = evaluate_.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=["table", "json", *_GRAPH_FORMATS],
        default="table",
        help="how to print the answer (default: table)",
    )
    form.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    evaluate_.add_argument(
        "--policy",
        choices=[p.value for p in Policy],
        help="how unreported findings count (default: as the request says)",
    )
    add_build(evaluate_)

    verify_ = add("verify", _verify, "let HermiT derive answers anew, and compare them with those of the program")
    verify_.add_argument(
        "patient", nargs="?", metavar="PATIENT.json", help="the request to verify; without it, invented patients"
    )
    verify_.add_argument(
        "--patients", type=int, default=10, metavar="N", help="how many invented patients to compare (default: 10)"
    )
    verify_.add_argument("--seed", type=int, default=1, metavar="S", help="which patients to invent (default: 1)")
    verify_.add_argument(
        "--options", type=int, metavar="K", help="compare only the K options that are most open (default: all)"
    )
    add_build(verify_)

    what_if_ = add("what-if", _what_if, "say what changes to a record would make of its options, and why")
    what_if_.add_argument("patient", metavar="PATIENT.json", help="the request as the API takes it")
    what_if_.add_argument("changes", metavar="CHANGES.json", help="the list of changes; - reads standard input")
    what_if_.add_argument("--json", action="store_true", help="print the comparison as JSON")
    add_build(what_if_)

    bench_ = add("bench", _bench, "measure what answers cost, against HermiT, HTTP and the size of the ontology")
    bench_.add_argument("--patients", type=int, default=200, metavar="N", help="invented patients (default: 200)")
    bench_.add_argument("--seed", type=int, default=1, metavar="S", help="which patients to invent (default: 1)")
    bench_.add_argument(
        "--reasoner", type=int, default=5, metavar="K", help="patients to give to HermiT, seconds each (default: 5)"
    )
    add_build(bench_)

    query = add("query", _query, "run a canned query")
    query.add_argument("name", nargs="?", metavar="NAME", help="the name of the query")
    query.add_argument("parameters", nargs="*", metavar="param=value", help="the parameters of the query")
    query.add_argument("--list", action="store_true", help="list the queries with their questions and parameters")
    query.add_argument("--format", choices=["table", "csv", "json"], default="table", help="how to print the result")
    add_build(query)
    return parser


if __name__ == "__main__":
    sys.exit(main())
