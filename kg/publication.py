"""Publishing a build to an external SPARQL server: loaded beside what is in force, verified, then put in its place.

A graph is first written to a staging graph, named by the content, in batches. Each batch is written together with a
record of it, so that a publication that was interrupted goes on where it stopped. When every graph is there and its
content is right, one update moves all of them into place; servers that keep to the recommendation of SPARQL 1.1 Update
do that at once. Which build is in force is written last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rdflib.term import Node

from kg.batches import batches
from kg.build_folder import Build
from kg.errors import StoreMismatch, StoreRefused, StoreUnreachable
from kg.graph_comparison import Comparison, Sameness, compare
from kg.graph_store import GraphStore
from kg.namespaces import GRAPH, PUBLICATION, ROOT_IRI
from kg.sparql_client import SparqlClient
from kg.store import QueryLimits, ResultFormat, received_result

Report = Callable[[str], None]
RECORD = str(GRAPH.publication)
_PAUSES = (0.5, 2.0, 5.0)
_JSON = "application/sparql-results+json, application/json;q=0.9"
_TRIPLES = "application/n-triples"


@dataclass(frozen=True, slots=True)
class Part:
    """One graph of a build: its IRI, its file of canonical N-Triples, the hash of that file, and its size."""

    graph: str
    path: Path
    digest: str
    triples: int

    @property
    def staging(self) -> str:
        """The graph that it is loaded into first, named by the content."""
        return f"{self.graph}/staging/{self.digest[:16]}"


@dataclass(frozen=True, slots=True)
class Published:
    """What was done: graphs that were replaced, those that were in force already, and those equal in value only."""

    replaced: tuple[str, ...]
    unchanged: tuple[str, ...]
    respelled: tuple[str, ...]


def parts_of(build: Build) -> tuple[Part, ...]:
    """The graphs of a build; the one that names the build stands last."""
    files = build.graph_files
    found = [
        Part(graph, files[graph], build.manifest.files[files[graph].name], triples)
        for graph, triples in build.manifest.graphs.items()
    ]
    return tuple(sorted(found, key=lambda part: (part.graph == str(GRAPH.meta), part.graph)))


class Publisher:
    """Publishes builds to one server. One at a time: two that load the same build disturb each other."""

    def __init__(
        self,
        client: SparqlClient,
        report: Report,
        *,
        graph_store: GraphStore | None = None,
        in_place: bool = False,
        batch: int = 2000,
    ) -> None:
        self._client = client
        self._report = report
        self._graph_store = graph_store
        self._in_place = in_place
        self._batch = batch
        self._respelled: list[str] = []

    def publish(self, build: Build) -> Published:
        """Put a build in force. Does nothing for the graphs that are in force already.

        Raises StoreUnreachable, after which the same call goes on where this one stopped, StoreRefused, and
        StoreMismatch when the server does not give back what it was given; the build before stays in force then.
        """
        parts = parts_of(build)
        self._respelled = []
        unchanged = [part for part in parts if self._is_right(part, part.graph)]
        for part in unchanged:
            self._report(f"{part.graph}: in force already")
        missing = [part for part in parts if part not in unchanged]
        if self._in_place and self._graph_store is not None:
            self._replace(build, missing, self._graph_store)
        else:
            for part in missing:
                self._stage(part)
            self._switch(build, missing)
            for part in missing:
                self._require_count(part, part.graph)
        self._report(f"build {build.manifest.folder} is in force")
        return Published(
            tuple(part.graph for part in missing),
            tuple(part.graph for part in unchanged),
            tuple(sorted(set(self._respelled))),
        )

    def check(self, build: Build) -> None:
        """Compare every graph in force with the build, by count and content. Raises StoreMismatch for the first that differs."""
        for part in parts_of(build):
            self._verify(part, part.graph)

    def _replace(self, build: Build, parts: list[Part], graph_store: GraphStore) -> None:
        """Write one graph after the other, for servers that take no updates. In between, no build is in force."""
        graph_store.put(RECORD, b"")
        for part in parts:
            self._report(f"{part.graph}: sending {part.triples} triples")
            graph_store.put(part.graph, part.path.read_bytes())
            self._verify(part, part.graph)
        graph_store.put(RECORD, f'<{ROOT_IRI}> <{PUBLICATION.inForce}> "{build.manifest.folder}" .\n'.encode())

    def _stage(self, part: Part) -> None:
        if self._graph_store is not None:
            if not self._is_right(part, part.staging):
                self._report(f"{part.graph}: sending {part.triples} triples")
                self._graph_store.put(part.staging, part.path.read_bytes())
        else:
            self._load(part)
        self._verify(part, part.staging)

    def _load(self, part: Part) -> None:
        """Load the batches that are not there yet."""
        todo = list(batches(part.path.read_text(encoding="utf-8").splitlines(), self._batch))
        done = self._done(part)
        there = sum(len(batch) for number, batch in enumerate(todo, 1) if number in done)
        if self._count(part.staging) != there or not done <= set(range(1, len(todo) + 1)):
            self._report(f"{part.graph}: what an interrupted publication left is not whole; beginning anew")
            self._forget(part)
            done, there = set(), 0
        elif done:
            self._report(f"{part.graph}: going on after {len(done)} of {len(todo)} batches")
        shown = -1
        for number, batch in enumerate(todo, 1):
            if number in done:
                continue
            self._insert(part, number, batch)
            there += len(batch)
            if (tenth := there * 10 // part.triples) != shown:
                shown = tenth
                self._report(f"{part.graph}: {there} of {part.triples} triples")

    def _insert(self, part: Part, number: int, batch: list[str]) -> None:
        """Write a batch and the record of it. After a failure the record tells whether it was written."""
        # Not INSERT DATA, in which Virtuoso takes no blank nodes. Without a condition there is one solution: it is the same.
        update = (
            f"INSERT {{ GRAPH <{part.staging}> {{\n" + "\n".join(batch) + "\n} "
            f'GRAPH <{RECORD}> {{ <{part.staging}> <{PUBLICATION.batch}> "{self._mark(number)}" }} }} WHERE {{}}'
        )
        for pause in (*_PAUSES, None):
            try:
                self._client.update(update)
                return
            except StoreUnreachable as error:
                if pause is None:
                    raise StoreUnreachable(
                        error.place,
                        f"{part.graph}, batch {number}: {error.problem}",
                        f"{error.mend} Publishing goes on there.",
                    ) from None
                self._report(f"{part.graph}, batch {number}: {error.problem} Trying again.")
                time.sleep(pause)
                if self._was_written(part, number):
                    return

    def _was_written(self, part: Part, number: int) -> bool:
        try:
            return number in self._done(part)
        except StoreUnreachable:
            return False

    def _mark(self, number: int) -> str:
        return f"{number} of {self._batch}"

    def _done(self, part: Part) -> set[int]:
        """The numbers of the batches that are recorded; -1 stands for one of another size."""
        asked = f"SELECT ?mark WHERE {{ GRAPH <{RECORD}> {{ <{part.staging}> <{PUBLICATION.batch}> ?mark }} }}"
        marks = [str(row["mark"]).split(" of ") for row in self._rows(asked)]
        return {int(number) if size == str(self._batch) else -1 for number, size in marks}

    def _switch(self, build: Build, parts: list[Part]) -> None:
        """Move the staging graphs into place and say which build is in force, in one request."""
        self._report("putting the graphs in force")
        inside = [f"DELETE WHERE {{ GRAPH <{RECORD}> {{ <{ROOT_IRI}> ?p ?o }} }}"]
        inside += [f"MOVE <{part.staging}> TO <{part.graph}>" for part in parts]
        inside += [f"DELETE WHERE {{ GRAPH <{RECORD}> {{ <{part.staging}> ?p ?o }} }}" for part in parts]
        inside.append(
            f'INSERT DATA {{ GRAPH <{RECORD}> {{ <{ROOT_IRI}> <{PUBLICATION.inForce}> "{build.manifest.folder}" }} }}'
        )
        self._client.update(" ;\n".join(inside))

    def _forget(self, part: Part) -> None:
        """Drop a staging graph with its records."""
        self._client.update(
            f"DROP SILENT GRAPH <{part.staging}> ;\nDELETE WHERE {{ GRAPH <{RECORD}> {{ <{part.staging}> ?p ?o }} }}"
        )

    def _is_right(self, part: Part, graph: str) -> bool:
        return self._count(graph) == part.triples and self._compared(part, graph).sameness is not Sameness.DIFFERENT

    def _verify(self, part: Part, graph: str) -> None:
        """Raises StoreMismatch, and drops a staging graph, when the server holds something else."""
        self._report(f"{part.graph}: verifying")
        try:
            self._require_count(part, graph)
            found = self._compared(part, graph)
            if found.sameness is Sameness.DIFFERENT:
                raise StoreMismatch(
                    graph,
                    f"the server gives back other triples than it was given ({'; '.join(found.examples) or 'blank nodes'}).",
                    "See the page on external servers.",
                )
        except StoreMismatch:
            if graph == part.staging:
                self._forget(part)
            raise

    def _require_count(self, part: Part, graph: str) -> None:
        if (count := self._count(graph)) != part.triples:
            raise StoreMismatch(
                graph, f"the server holds {count} triples, and not {part.triples}.", "Publish again; see its log."
            )

    def _compared(self, part: Part, graph: str) -> Comparison:
        text = f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}"
        received = self._client.query(text, accept=_TRIPLES)
        try:
            found = compare(part.path.read_bytes(), received.body)
        except SyntaxError as error:
            raise StoreRefused(
                graph, f"the server writes what is no N-Triples ({error}).", "See its version."
            ) from None
        if found.sameness is Sameness.VALUES:
            self._respelled.append(part.graph)
        return found

    def _count(self, graph: str) -> int:
        (row,) = self._rows(f"SELECT (COUNT(*) AS ?n) WHERE {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}")
        return int(str(row["n"]))

    def _rows(self, text: str) -> list[dict[str, Node]]:
        received = self._client.query(text, accept=_JSON)
        return received_result(received.body, ResultFormat.JSON, QueryLimits()).rows()
