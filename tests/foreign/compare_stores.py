"""Compare the answers of an external server that holds a build with those of the embedded store, query by query.

python -m tests.foreign.compare_stores BUILD-FOLDER QUERY-URL
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rdflib.term import Node

from kg.build_folder import open_build
from kg.errors import NextlineError
from kg.queries import list_queries, run
from kg.remote_store import RemoteStore
from kg.sparql_client import Access, SparqlClient
from kg.store import KnowledgeStore, QueryLimits
from tests.serving import ROOT

Rows = list[dict[str, Node]]


def unordered(rows: Rows) -> list[list[tuple[str, str]]]:
    return sorted(sorted((name, term.n3()) for name, term in row.items()) for row in rows)


def main(build_folder: str, url: str) -> int:
    """Print one line for each query that differs; the number of them is the exit code."""
    build = open_build(Path(build_folder))
    embedded = KnowledgeStore.load(build.graph_files)
    remote = RemoteStore(SparqlClient(Access(url, url)), tuple(build.manifest.graphs))
    queries, different = list_queries(ROOT / "queries"), 0
    for query in queries:
        values = {parameter.name: parameter.example for parameter in query.parameters}
        begin = time.monotonic()
        try:
            theirs = run(remote, query, values, QueryLimits(seconds=60)).rows()
            ours = run(embedded, query, values).rows()
        except NextlineError as error:
            different += 1
            print(f"{query.name}: {str(error)[:300]}")
            continue
        if theirs != ours:
            different += 1
            what = "another order" if unordered(theirs) == unordered(ours) else f"{len(theirs)} rows, not {len(ours)}"
            print(f"{query.name}: {what} ({time.monotonic() - begin:.1f} s)")
    print(f"{len(queries)} queries, {different} differ")
    return different


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
