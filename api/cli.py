"""The command `nextline`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

import kg.closure
import kg.examples
from api import bench
from api.app import create_app
from api.arguments import GRAPH_FORMATS, REQUEST_OPTIONS, Command, command_line
from api.files_app import create_files_app
from api.server import PortUnavailable, address_of, reserve, serve
from api.settings import Settings
from api.stores import access_of, graph_store_of, open_store
from api.tables import answer_text, readable, table, what_if_text
from kg import benchmark
from kg.answer_rdf import serialise_answer
from kg.build import build, queries_hash, renew_queries, software_version, sources_hash
from kg.build_folder import Build, Manifest, is_current, open_build
from kg.errors import (
    BrokenQuery,
    InvalidFile,
    InvalidParameter,
    InvalidQuery,
    InvalidRecord,
    NextlineError,
    QueryFailure,
    QueryTooLarge,
    ReasonerTimeout,
    StoreFailure,
    UnknownQuery,
)
from kg.patients import Patients
from kg.publication import Publisher
from kg.queries import list_queries, load_query, run
from kg.request import EligibilityRequest, parse_request, validated
from kg.sources import load_sources
from kg.sparql_client import SparqlClient
from kg.store import Form, ResultFormat
from kg.verification import Comparison
from kg.what_if import parse_changes, what_if

OK, INPUT, USAGE, KNOWLEDGE, TIMEOUT, STORE = 0, 1, 2, 3, 4, 5

_INPUT_ERRORS = (
    InvalidFile,
    InvalidRecord,
    InvalidParameter,
    InvalidQuery,
    UnknownQuery,
    BrokenQuery,
    QueryFailure,
    QueryTooLarge,
)


class InputError(NextlineError):
    """A file that the command was given cannot be read."""

    slug = "input"


class OutputError(NextlineError):
    """What the command has to tell cannot be written."""

    slug = "output"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; errors go to stderr in one line."""
    options = command_line(COMMANDS).parse_args(arguments)
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
    app = create_app(_current_build(settings, queries=True), settings)
    address = address_of(bound)
    _report(f"Nextline serves {address} (documentation: {address}/docs). Stop it with Ctrl+C.")
    serve(app, bound)
    return OK


def _sparql(options: argparse.Namespace, settings: Settings) -> int:
    named = [(Path(path), iri) for iri, path in options.graph]
    files: list[tuple[Path, str | None]] = [*((Path(path), None) for path in options.files), *named]
    if not files:
        raise InputError("FILE", "no file is given.", "Give RDF files, or --graph IRI FILE.")
    bound = reserve(settings.host, settings.port)
    _report(f"loading {len(files)} files")
    app = create_files_app(files, settings, union=options.union)
    _report(f"{app.state.endpoint.pool.quads} triples at {address_of(bound)}/sparql. Stop it with Ctrl+C.")
    serve(app, bound)
    return OK


def _build(options: argparse.Namespace, settings: Settings) -> int:
    manifest = _make_build(settings)
    _print(f"{manifest.version_iri} {manifest.content_hash}")
    return OK


def _publish(options: argparse.Namespace, settings: Settings) -> int:
    client = SparqlClient(access_of(settings))
    graph_store = graph_store_of(settings)
    if options.in_place and graph_store is None:
        return _fail("--in-place: there is no place for whole graphs. Give it with --graph-store.", USAGE)
    publisher = Publisher(client, _report, graph_store=graph_store, in_place=options.in_place, batch=options.batch)
    built = _current_build(settings, queries=True)
    if options.check:
        publisher.check(built)
        _print(f"{client.access.query_url} holds build {built.manifest.folder}, value for value.")
        return OK
    done = publisher.publish(built)
    for graph in done.respelled:
        _report(f"{graph}: the server writes some literals in another way; their values are the same.")
    _print(f"{built.manifest.folder}: {len(done.replaced)} graphs replaced, {len(done.unchanged)} in force already")
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
    request = _as_asked(request, options)
    built = _current_build(settings)
    answer = built.answerer.answer(request, today=date.today(), explain_as_tree=options.tree)
    if options.format in GRAPH_FORMATS:
        sys.stdout.buffer.write(serialise_answer(answer, built.knowledge, GRAPH_FORMATS[options.format]))
        return OK
    as_json = options.format == "json"
    _print(json.dumps(answer, indent=2, ensure_ascii=False) if as_json else answer_text(answer, _width()))
    return OK


def _as_asked(request: EligibilityRequest, options: argparse.Namespace) -> EligibilityRequest:
    """The request with what the command line says in place of what it says itself."""
    given = {to_camel(name): getattr(options, name) for name in REQUEST_OPTIONS if getattr(options, name)}
    return request if not given else validated(EligibilityRequest, request.model_dump(by_alias=True) | given)


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
    result = run(open_store(_current_build(settings, queries=True), settings), query, values)
    if options.format == "table" and result.form is Form.ROWS:
        columns = result.variables
        _print(table(columns, [[readable(row.get(c)) for c in columns] for row in result.rows()], _width()))
        return OK
    formats = {"csv": ResultFormat.CSV, "json": ResultFormat.JSON}
    _write(result.serialise(formats.get(options.format, ResultFormat.TURTLE)))
    return OK


def _current_build(settings: Settings, *, queries: bool = False) -> Build:
    """The build of the ontology as it is now; with `queries`, it also publishes these as they are now."""
    if not is_current(settings.build_folder, sources_hash(settings.ontology), software_version()):
        _make_build(settings)
    elif queries and open_build(settings.build_folder).manifest.queries_hash != queries_hash(settings.queries):
        renew_queries(settings.build_folder, settings.queries, report=_report)
    return open_build(settings.build_folder, deadline_seconds=settings.reasoner_deadline_seconds)


def _make_build(settings: Settings) -> Manifest:
    return build(
        settings.ontology,
        settings.build_folder,
        queries=settings.queries,
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
    names = ("host", "port", "ontology", "queries", "build", "store", "store_update", "graph_store")
    given = {name: getattr(options, name, None) for name in names}
    return Settings(**{name: value for name, value in given.items() if value is not None})


def _exit_code(error: NextlineError) -> int:
    if isinstance(error, ReasonerTimeout):
        return TIMEOUT
    if isinstance(error, StoreFailure):
        return STORE
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


COMMANDS: Mapping[str, Command] = {
    "serve": _serve,
    "build": _build,
    "publish": _publish,
    "closure": _closure,
    "examples": _write_examples,
    "evaluate": _evaluate,
    "verify": _verify,
    "what-if": _what_if,
    "bench": _bench,
    "query": _query,
    "sparql": _sparql,
}

if __name__ == "__main__":
    sys.exit(main())
