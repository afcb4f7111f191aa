"""What the SPARQL endpoint costs beside rdflib-endpoint and beside pyoxigraph in process, all in one run.

    python -m tests.endpoint_benchmark            # 1e4 and 1e5 triples
    python -m tests.endpoint_benchmark 1000000    # as many as wanted

Needs `pip install -e '.[bench]'`. Figures are medians of rounds in turns; ratios are what counts on a noisy machine.
"""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import pyoxigraph as ox

from tests.external import free_port
from tests.serving import command

ROUNDS = 5
SECONDS_A_ROUND = 1.0
START_SECONDS = 600
QUERIES: Mapping[str, str] = {
    "lookup": "SELECT ?p ?o WHERE {{ <http://x/s{n}> ?p ?o }}",
    "join": "SELECT ?a ?label WHERE {{ <http://x/s{n}> <http://x/next> ?a . ?a <http://x/label> ?label }}",
    "ask": "ASK {{ <http://x/s{n}> <http://x/kind> <http://x/k1> }}",
}


def triples(number: int, path: Path) -> int:
    """Write a file with about so many triples, four a subject; gives the number of subjects."""
    subjects = number // 4
    with path.open("w", encoding="utf-8") as file:
        for n in range(subjects):
            file.write(
                f'<http://x/s{n}> <http://x/kind> <http://x/k{n % 10}> .\n<http://x/s{n}> <http://x/label> "thing {n}"@en .\n'
                f"<http://x/s{n}> <http://x/next> <http://x/s{(n * 7919 + 1) % subjects}> .\n"
                f'<http://x/s{n}> <http://x/size> "{n}"^^<http://www.w3.org/2001/XMLSchema#integer> .\n'
            )
    return subjects


@contextlib.contextmanager
def started(arguments: list[str], port: int, path: str) -> Iterator[tuple[Callable[[str], bytes], float, float]]:
    """A server of its own: how to ask it, the seconds until its first answer, and the megabytes of all its processes."""
    begin = time.monotonic()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def send(query: str) -> http.client.HTTPResponse:
        connection.request(
            "GET", f"{path}?{urlencode({'query': query})}", headers={"Accept": "application/sparql-results+json"}
        )
        return connection.getresponse()

    def ask(query: str) -> bytes:
        try:
            response = send(query)
        except http.client.RemoteDisconnected:  # the server let go of a connection that was idle while another loaded
            connection.close()
            response = send(query)
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{arguments[0]} answered {response.status}: {body[:200]!r}")
        return body

    try:
        while True:
            try:
                ask("ASK {}")
                break
            except OSError:
                connection.close()
                if process.poll() is not None or time.monotonic() > begin + START_SECONDS:
                    raise
                time.sleep(0.05)
        loaded = time.monotonic() - begin
        yield ask, loaded, _megabytes(process.pid)
    finally:
        process.kill()
        process.wait()


def _megabytes(root: int) -> float:
    """The memory of a process and all below it that nobody shares, with the shared part of each counted once in all."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    waiting, total = [root], 0
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def microseconds(ask: Callable[[str], object], text: str, subjects: int, salt: int) -> float:
    """The median time of one query, over a second of queries about one subject after the other."""
    taken: list[float] = []
    end = time.perf_counter() + SECONDS_A_ROUND
    number = salt
    while (begin := time.perf_counter()) < end:
        ask(text.format(n=number % subjects))
        taken.append(time.perf_counter() - begin)
        number += 104_729
    return median(taken) * 1e6


def in_process(path: Path) -> tuple[Callable[[str], object], float]:
    """pyoxigraph itself, with its results written as the servers write them, and the seconds that loading takes."""
    begin = time.monotonic()
    store = ox.Store()
    store.bulk_load(path=str(path), format=ox.RdfFormat.N_TRIPLES)
    loaded = time.monotonic() - begin

    def ask(query: str) -> object:
        return store.query(query).serialize(format=ox.QueryResultsFormat.JSON)  # type: ignore[arg-type]

    return ask, loaded


def compare(number: int) -> None:
    """Print the costs at a size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.nt"
        subjects = triples(number, path)
        ours_port, theirs_port = free_port(), free_port()
        foreign = [str(Path(sys.executable).with_name("rdflib-endpoint")), "serve", "--host", "127.0.0.1"]
        ours = [*command("sparql", "--port", str(ours_port)), str(path)]
        raw, raw_seconds = in_process(path)
        with (
            started(["env", "NEXTLINE_QUERY_CLIENT_SECONDS=0", *ours], ours_port, "/sparql") as nextline,
            started([*foreign, "--port", str(theirs_port), str(path)], theirs_port, "/") as other,
        ):
            print(f"\n{subjects * 4} triples: seconds to the first answer, megabytes")
            print(f"  nextline {nextline[1]:.1f} s, {nextline[2]:.0f} MB", end="; ")
            print(f"rdflib-endpoint {other[1]:.1f} s, {other[2]:.0f} MB; pyoxigraph loads in {raw_seconds:.1f} s")
            for name, text in QUERIES.items():
                rounds = [
                    [microseconds(ask, text, subjects, salt) for ask in (nextline[0], other[0], raw)]
                    for salt in range(ROUNDS)
                ]
                a, b, c = (median(column) for column in zip(*rounds, strict=True))
                ratio = median(theirs / own for own, theirs, _ in rounds)
                print(
                    f"  {name}: nextline {a:.0f} µs, rdflib-endpoint {b:.0f} µs ({ratio:.1f} times as long), "
                    f"pyoxigraph {c:.0f} µs in process"
                )


if __name__ == "__main__":
    for size in [int(argument) for argument in sys.argv[1:]] or [10_000, 100_000]:
        compare(size)
