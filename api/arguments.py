"""The command line of `nextline`: its commands, their options, and what `--help` says of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from api.settings import Settings
from kg.build import software_version
from kg.facts import Policy
from kg.request import LANGUAGES
from kg.store import ResultFormat

Command: TypeAlias = Callable[[argparse.Namespace, Settings], int]
GRAPH_FORMATS = {"turtle": ResultFormat.TURTLE, "json-ld": ResultFormat.JSON_LD}
REQUEST_OPTIONS = (
    "unreported_findings",
    "guidelines",
    "policy",
    "jurisdiction",
    "minimum_review_status",
    "audience",
    "lang",
)
_EPILOG = """\
exit codes:
  0  done
  1  the input is at fault (record, query, parameter, file, port), or the output cannot be written
  2  the command line is at fault
  3  the ontology or the build is at fault
  4  the reasoner did not finish in time
  5  the external server cannot be reached, refuses, or holds another build

Settings can also come from the environment, such as NEXTLINE_PORT or NEXTLINE_ONTOLOGY.
"""
_EXAMPLES = {
    "serve": "nextline serve\nnextline serve --port 8080 --ontology my-ontology",
    "build": "nextline build\nnextline build --ontology my-ontology --build my-build",
    "publish": "nextline publish --store http://localhost:7878/query --update http://localhost:7878/update\n"
    "nextline publish --store http://localhost:3030/kg/sparql --update http://localhost:3030/kg/update \\\n"
    "    --graph-store http://localhost:3030/kg/data\n"
    "nextline publish --store http://localhost:7878/query --check",
    "closure": "nextline closure",
    "examples": "nextline examples",
    "evaluate": "nextline evaluate patient.json\ncat patient.json | nextline evaluate - --json --unreported absent\n"
    "nextline evaluate patient.json --guideline seed --format turtle",
    "verify": "nextline verify patient.json\nnextline verify --patients 100 --seed 7",
    "what-if": "nextline what-if patient.json changes.json\n"
    "echo '[{\"setAge\": 17}]' | nextline what-if patient.json - --json",
    "bench": "nextline bench\nnextline bench --reasoner 0",
    "query": "nextline query --list\nnextline query lines-of-therapy therapy=THERAPY\n"
    "nextline query seed-coverage --format csv",
    "sparql": "nextline sparql data.ttl more.nq --port 8001\n"
    "nextline sparql --graph http://example.org/g data.ttl --union",
}


def command_line(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser of the command line; each of `commands` is called with the options and the settings."""
    parser = argparse.ArgumentParser(
        prog="nextline",
        description="Decision support for neuropathic pain: which options are open to a patient, and why.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nextline {software_version()}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        added = subparsers.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog="examples:\n" + "".join(f"  {line}\n" for line in _EXAMPLES[name].splitlines()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(command=commands[name])
        added.add_argument(
            "--ontology", type=Path, metavar="FOLDER", help="the folder of the ontology (default: ontology)"
        )
        return added

    def add_build(added: argparse.ArgumentParser) -> None:
        added.add_argument("--build", type=Path, metavar="FOLDER", help="the folder of the build (default: build)")
        added.add_argument(
            "--queries", type=Path, metavar="FOLDER", help="the folder of the queries (default: queries)"
        )

    def add_store(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--store",
            metavar="URL",
            help="the query endpoint of an external SPARQL server; log-in by NEXTLINE_STORE_USER and "
            "NEXTLINE_STORE_PASSWORD, or NEXTLINE_STORE_TOKEN",
        )

    serve_ = add("serve", "serve the API, building first if the build is missing or out of date")
    serve_.add_argument("--host", help="the address to serve on (default: 127.0.0.1)")
    serve_.add_argument("--port", type=int, help="the port to serve on (default: 8000; 0 takes a free one)")
    add_build(serve_)
    add_store(serve_)

    add_build(add("build", "load, check and reason over the ontology, and write the graphs"))
    publish = add(
        "publish", "write the graphs of the build to an external SPARQL server, verify them, put them in force"
    )
    add_build(publish)
    add_store(publish)
    _add_publish_options(publish)
    add("closure", "write the closure module of the ontology anew")
    add("examples", "write the example patients of the ontology anew")

    evaluate_ = add("evaluate", "say which options are open to a patient, and why")
    evaluate_.add_argument(
        "patient", metavar="PATIENT.json", help="the request as the API takes it; - reads standard input"
    )
    evaluate_.add_argument("--tree", action="store_true", help="with --json: explain each reason as a tree")
    form = evaluate_.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=["table", "json", *GRAPH_FORMATS],
        default="table",
        help="how to print the answer (default: table)",
    )
    form.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    _add_request_options(evaluate_)
    add_build(evaluate_)

    verify_ = add("verify", "let HermiT derive answers anew, and compare them with those of the program")
    _add_verify_options(verify_)
    add_build(verify_)

    what_if_ = add("what-if", "say what changes to a record would make of its options, and why")
    what_if_.add_argument("patient", metavar="PATIENT.json", help="the request as the API takes it")
    what_if_.add_argument("changes", metavar="CHANGES.json", help="the list of changes; - reads standard input")
    what_if_.add_argument("--json", action="store_true", help="print the comparison as JSON")
    add_build(what_if_)

    bench_ = add("bench", "measure what answers cost, against HermiT, HTTP and the size of the ontology")
    bench_.add_argument("--patients", type=int, default=200, metavar="N", help="invented patients (default: 200)")
    bench_.add_argument("--seed", type=int, default=1, metavar="S", help="which patients to invent (default: 1)")
    bench_.add_argument(
        "--reasoner", type=int, default=5, metavar="K", help="patients to give to HermiT, seconds each (default: 5)"
    )
    add_build(bench_)

    query = add("query", "run a canned query")
    _add_query_options(query)
    for addition in (add_build, add_store):
        addition(query)

    _add_sparql_options(add("sparql", "serve any RDF files at an endpoint, as /sparql of the API serves the build"))
    return parser


def _count(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _add_publish_options(publish: argparse.ArgumentParser) -> None:
    publish.add_argument(
        "--update", dest="store_update", metavar="URL", help="where the server takes updates (default: as --store)"
    )
    publish.add_argument(
        "--graph-store",
        metavar="URL",
        help="where it takes whole graphs (Graph Store Protocol); without it, by updates",
    )
    publish.add_argument(
        "--in-place", action="store_true", help="with --graph-store: for a server that takes no updates; not atomic"
    )
    publish.add_argument(
        "--batch", type=_count, default=2000, metavar="N", help="triples in one update (default: 2000)"
    )
    publish.add_argument("--check", action="store_true", help="change nothing; compare what the server holds")


def _add_verify_options(verify: argparse.ArgumentParser) -> None:
    verify.add_argument(
        "patient", nargs="?", metavar="PATIENT.json", help="the request to verify; without it, invented patients"
    )
    verify.add_argument(
        "--patients", type=int, default=10, metavar="N", help="how many invented patients to compare (default: 10)"
    )
    verify.add_argument("--seed", type=int, default=1, metavar="S", help="which patients to invent (default: 1)")
    verify.add_argument(
        "--options", type=int, metavar="K", help="compare only the K options that are most open (default: all)"
    )


def _add_query_options(query: argparse.ArgumentParser) -> None:
    query.add_argument("name", nargs="?", metavar="NAME", help="the name of the query")
    query.add_argument("parameters", nargs="*", metavar="param=value", help="the parameters of the query")
    query.add_argument("--list", action="store_true", help="list the queries with their questions and parameters")
    query.add_argument("--format", choices=["table", "csv", "json"], default="table", help="how to print the result")


def _add_sparql_options(sparql: argparse.ArgumentParser) -> None:
    sparql.add_argument(
        "files", nargs="*", metavar="FILE", help="Turtle, N-Triples, N-Quads, TriG, RDF/XML or JSON-LD, by its ending"
    )
    sparql.add_argument(
        "--graph",
        nargs=2,
        action="append",
        default=[],
        metavar=("IRI", "FILE"),
        help="put the triples of FILE into the graph IRI; may be repeated",
    )
    sparql.add_argument(
        "--union", action="store_true", help="let the default graph be the union of all graphs, not that of the files"
    )
    sparql.add_argument("--host", help="the address to serve on (default: 127.0.0.1)")
    sparql.add_argument("--port", type=int, help="the port to serve on (default: 8000; 0 takes a free one)")


def _add_request_options(evaluate: argparse.ArgumentParser) -> None:
    asked = evaluate.add_argument_group("in place of what the request says")
    asked.add_argument(
        "--unreported", dest="unreported_findings", choices=[p.value for p in Policy], help="how silence counts"
    )
    asked.add_argument(
        "--guideline", dest="guidelines", action="append", metavar="CODE", help="by this guideline; may be repeated"
    )
    asked.add_argument("--policy", metavar="POLICY", help="one status by: each, any, all, strictest, or a guideline")
    asked.add_argument("--jurisdiction", metavar="CODE", help="whose labels count: strictest (all), EU, UK or US")
    asked.add_argument(
        "--minimum-review-status", metavar="STATUS", help="leave out indications and advice with less review than this"
    )
    asked.add_argument("--audience", choices=["clinician", "patient"], help="whose words the answer is in")
    asked.add_argument("--lang", choices=LANGUAGES, help="the language of labels")
