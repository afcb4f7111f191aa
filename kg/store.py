"""The embedded query store; the only module that imports pyoxigraph."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

import pyoxigraph as ox
from rdflib import BNode, Literal, URIRef
from rdflib.term import Node

from kg.errors import BuildNotFound, InvalidFile, InvalidQuery, QueryFailure, QueryTooLarge
from kg.query_text import CheckedText, TextLimits, check


class Form(Enum):
    """What a query answers with: rows (SELECT), a truth value (ASK) or triples (CONSTRUCT, DESCRIBE)."""

    ROWS = "rows"
    BOOLEAN = "boolean"
    GRAPH = "graph"


class ResultFormat(Enum):
    """A serialisation of a result; the value is its media type."""

    JSON = "application/sparql-results+json"
    XML = "application/sparql-results+xml"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    TURTLE = "text/turtle"
    N_TRIPLES = "application/n-triples"
    RDF_XML = "application/rdf+xml"
    JSON_LD = "application/ld+json"
    N_QUADS = "application/n-quads"
    TRIG = "application/trig"


_ROW_FORMATS = {
    ResultFormat.JSON: ox.QueryResultsFormat.JSON,
    ResultFormat.XML: ox.QueryResultsFormat.XML,
    ResultFormat.CSV: ox.QueryResultsFormat.CSV,
    ResultFormat.TSV: ox.QueryResultsFormat.TSV,
}
_GRAPH_FORMATS = {
    ResultFormat.TURTLE: ox.RdfFormat.TURTLE,
    ResultFormat.N_TRIPLES: ox.RdfFormat.N_TRIPLES,
    ResultFormat.RDF_XML: ox.RdfFormat.RDF_XML,
    ResultFormat.JSON_LD: ox.RdfFormat.JSON_LD,
    ResultFormat.N_QUADS: ox.RdfFormat.N_QUADS,
    ResultFormat.TRIG: ox.RdfFormat.TRIG,
}
# What stands outside of these tells where a row begins or ends.
_JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_CSV_STRING = re.compile(rb'"[^"]*+"')


def formats_of(form: Form) -> tuple[ResultFormat, ...]:
    """The formats in which a result of this form can be written, the usual one first.

    >>> formats_of(Form.GRAPH)[0].value
    'text/turtle'
    """
    return tuple(_GRAPH_FORMATS if form is Form.GRAPH else _ROW_FORMATS)


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What a query may cost: its text, its result in bytes and in rows or triples, and the seconds until writing stops.

    `seconds` is a soft limit: it stops a result that is being written, and not an evaluation that yields nothing. Who
    needs a hard one runs the query in a worker (`kg.query_worker`).
    """

    text: TextLimits = field(default_factory=TextLimits)
    result_bytes: int = 64 * 2**20
    result_rows: int = 1_000_000
    seconds: float | None = None


class Result:
    """The answer to a query, evaluated while it is read; read it once, by one of `rows`, `truth` or `serialise`.

    It belongs to the thread that started the query: it has to be read, and let go, in that thread.
    """

    def __init__(
        self, answer: ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples, limits: QueryLimits, deadline: float | None
    ) -> None:
        self._answer = answer
        self._limits = limits
        self._deadline = deadline
        self._written = 0

    @property
    def form(self) -> Form:
        """What the query answers with."""
        if isinstance(self._answer, ox.QuerySolutions):
            return Form.ROWS
        return Form.BOOLEAN if isinstance(self._answer, ox.QueryBoolean) else Form.GRAPH

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the columns of a SELECT query, in their order; nothing for other forms."""
        if isinstance(self._answer, ox.QuerySolutions):
            return tuple(variable.value for variable in self._answer.variables)
        return ()

    @property
    def written(self) -> int:
        """How many rows or triples `serialise` wrote; 1 for a truth value."""
        return self._written

    def truth(self) -> bool:
        """The answer to an ASK query; for other forms, whether anything was found."""
        if isinstance(self._answer, ox.QueryBoolean):
            return bool(self._answer)
        with _evaluation():
            for _ in self._answer:
                return True
        return False

    def rows(self) -> list[dict[str, Node]]:
        """The solutions of a SELECT query, one a row; an unbound variable is missing from its row.

        Raises QueryFailure at the deadline.
        """
        found: list[dict[str, Node]] = []
        if isinstance(self._answer, ox.QuerySolutions):
            with _evaluation():
                for solution in self._answer:
                    _check_deadline(self._deadline)
                    found.append(_row(solution, self._answer.variables))
        return found

    def serialise(self, format_: ResultFormat) -> bytes:
        """The whole result in a format of `formats_of(self.form)`.

        Raises QueryFailure at the deadline, QueryTooLarge when the result grows beyond its limits.
        """
        target = _BoundedBuffer(self._limits.result_bytes, self._deadline)
        with _evaluation():
            if isinstance(self._answer, ox.QueryTriples):
                ox.serialize(self._counted(self._answer), target, format=_GRAPH_FORMATS[format_])
            else:
                self._answer.serialize(target, format=_ROW_FORMATS[format_])
        written = target.getvalue()
        if self.form is Form.BOOLEAN:
            self._written = 1
        elif self.form is Form.ROWS:
            self._written = _rows_in(written, format_)
            self._check_rows()
        return written

    def _counted(self, triples: ox.QueryTriples) -> Iterator[ox.Triple]:
        for triple in triples:
            self._written += 1
            self._check_rows()
            yield triple

    def _check_rows(self) -> None:
        limit = self._limits.result_rows
        if self._written > limit:
            raise QueryTooLarge("query", f"the result has more than {limit} rows.", "Add a LIMIT or a filter.")


class Queryable(Protocol):
    """What answers queries: the embedded store, or an external server that holds the same graphs."""

    @property
    def graphs(self) -> tuple[str, ...]:
        """The IRIs of the graphs, sorted."""

    def query(
        self,
        text: str,
        *,
        bindings: Mapping[str, Node] | None = None,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        limits: QueryLimits | None = None,
        checked: CheckedText | None = None,
        base: str | None = None,
    ) -> Result:
        """As `KnowledgeStore.query`."""


class KnowledgeStore:
    """Graphs in memory, read-only; queries may run in several threads at once.

    A query that names no dataset sees each graph by its name, and as its default graph the union of all graphs, or with
    `union` false the default graph of the files.
    """

    def __init__(self, store: ox.Store, *, union: bool = True, number: int | None = None) -> None:
        self._store = store
        self._union = union
        self._number = len(store) if number is None else number

    @classmethod
    def load(cls, graph_files: Mapping[str, Path]) -> KnowledgeStore:
        """Load N-Triples files by the IRI of their graph. Raises BuildNotFound if one cannot be read."""
        store = ox.Store()
        for graph, path in graph_files.items():
            try:
                store.bulk_load(path=str(path), format=ox.RdfFormat.N_TRIPLES, to_graph=ox.NamedNode(graph))
            except (OSError, SyntaxError) as error:
                raise BuildNotFound(str(path), f"the graph cannot be read ({error}).", "Build again.") from None
        return cls(store)

    @classmethod
    def load_files(cls, files: Sequence[tuple[Path, str | None]], *, union: bool = False) -> KnowledgeStore:
        """Load RDF files of any format that their names tell, each into the graph named beside it, if one is.

        Without a name, triples come into the default graph and quads into their own. Raises InvalidFile.
        """
        store = ox.Store()
        for path, graph in files:
            suffix = path.suffix.removeprefix(".").lower()
            format_ = ox.RdfFormat.from_extension("rdf" if suffix == "owl" else suffix)
            if format_ is None:
                known = "ttl, nt, nq, trig, rdf, owl or jsonld"
                raise InvalidFile(str(path), "its name does not tell an RDF format.", f"Let it end in {known}.")
            if graph is not None and format_.supports_datasets and format_ is not ox.RdfFormat.JSON_LD:
                raise InvalidFile(str(path), "the file has graphs of its own.", "Give it without the name of a graph.")
            try:
                store.bulk_load(
                    path=str(path),
                    format=format_,
                    base_iri=path.resolve().as_uri(),
                    to_graph=None if graph is None else _graph(graph),
                )
            except (OSError, SyntaxError, ValueError) as error:
                raise InvalidFile(str(path), f"the file cannot be read ({error}).", "Mend or leave it out.") from None
        number = len(store)
        if union:  # the union that the store makes by itself tells a triple of two graphs twice
            store.extend([ox.Quad(q.subject, q.predicate, q.object) for q in store])
        return cls(store, union=False, number=number)

    def __len__(self) -> int:
        """The number of triples, those of several graphs counted in each."""
        return self._number

    @property
    def graphs(self) -> tuple[str, ...]:
        """The IRIs of the graphs, sorted."""
        return tuple(sorted(g.value for g in self._store.named_graphs() if isinstance(g, ox.NamedNode)))

    def query(
        self,
        text: str,
        *,
        bindings: Mapping[str, Node] | None = None,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        limits: QueryLimits | None = None,
        checked: CheckedText | None = None,
        base: str | None = None,
    ) -> Result:
        """Parse a SPARQL 1.1 query and start it.

        `bindings` gives variables their value as RDF terms, without touching the text; a bound variable has to stand
        in the SELECT clause. `default_graphs` and `named_graphs` replace the dataset that the query names. `checked` is
        for who has checked the text already, `base` what relative IRIs are read against. Raises InvalidQuery (see
        `kg.query_text.check`), with line and column where the text does not parse.
        """
        limits = limits or QueryLimits()
        checked = checked or check(text, limits.text)
        deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
        protocol_dataset = bool(default_graphs or named_graphs)
        try:
            answer = self._store.query(
                text,
                base_iri=base,
                use_default_graph_as_union=self._union and not (checked.has_dataset or protocol_dataset),
                default_graph=[_graph(g) for g in default_graphs] if protocol_dataset else None,
                named_graphs=[_graph(g) for g in named_graphs] if protocol_dataset else None,
                substitutions={ox.Variable(n): _to_ox(v) for n, v in bindings.items()} if bindings else None,
            )
        except SyntaxError as error:
            raise _syntax_error(text, error) from None
        except RuntimeError as error:
            raise InvalidQuery("query", f"the query cannot be evaluated ({error}).", "Change it.") from None
        except (OSError, ValueError) as error:
            raise QueryFailure("query", f"the query cannot be evaluated ({error}).", "Change it.") from None
        return Result(answer, limits, deadline)


def check_syntax(text: str) -> None:
    """Parse a query without asking anything. Raises InvalidQuery as `KnowledgeStore.query` does."""
    KnowledgeStore(ox.Store()).query(text)


def received_result(body: bytes, format_: ResultFormat, limits: QueryLimits) -> Result:
    """The result that another server sent in a format of `formats_of`. Raises QueryFailure when it cannot be read."""
    deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
    answer: ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples
    with _evaluation("what the server sent"):
        if format_ in _ROW_FORMATS:
            answer = ox.parse_query_results(body, format=_ROW_FORMATS[format_])
        else:
            triples = ox.Store()
            triples.load(body, format=_GRAPH_FORMATS[format_])
            answer = triples.query("CONSTRUCT WHERE { ?s ?p ?o }")
    return Result(answer, limits, deadline)


def canonical_quads(ntriples: bytes) -> list[str]:
    """The lines of the canonical form (RDFC-1.0) of a set of triples, sorted; blank nodes get canonical names."""
    dataset = ox.Dataset(ox.parse(ntriples, format=ox.RdfFormat.N_TRIPLES))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return sorted(f"{quad} .\n" for quad in dataset)


def write_graph(ntriples: bytes, format_: ResultFormat, prefixes: Mapping[str, str]) -> bytes:
    """A set of triples in a format of `formats_of(Form.GRAPH)`, in canonical order: the same triples give the same bytes."""
    lines = "".join(canonical_quads(ntriples)).encode("utf-8")
    triples = (quad.triple for quad in ox.parse(lines, format=ox.RdfFormat.N_TRIPLES))
    written = ox.serialize(triples, format=_GRAPH_FORMATS[format_], prefixes=dict(prefixes))
    return written if written is not None else b""


class _BoundedBuffer(io.BytesIO):
    """A buffer that refuses to grow beyond a size, and to be written to after a deadline."""

    def __init__(self, limit: int, deadline: float | None) -> None:
        super().__init__()
        self._limit = limit
        self._deadline = deadline

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        _check_deadline(self._deadline)
        if self.tell() + len(data) > self._limit:
            raise QueryTooLarge("query", f"the result has more than {self._limit} bytes.", "Add a LIMIT or a filter.")
        return super().write(data)


def _rows_in(written: bytes, format_: ResultFormat) -> int:
    """The rows of a SELECT result; each format has a mark of a row that cannot stand within a value."""
    if format_ is ResultFormat.TSV:
        return written.count(b"\n") - 1
    if format_ is ResultFormat.XML:
        return written.count(b"<result>")
    if format_ is ResultFormat.CSV:
        return _CSV_STRING.sub(b"", written).count(b"\r\n") - 1
    bare = _JSON_STRING.sub(b"", written)
    return bare.count(b"[{") + bare.count(b",{")


@contextmanager
def _evaluation(place: str = "query") -> Iterator[None]:
    # A context and not a function that takes a lambda: a closure would keep the answer alive in the traceback of an
    # error, and the store forbids that the answer is let go in another thread.
    try:
        yield
    except (RuntimeError, OSError, ValueError, SyntaxError) as error:
        raise QueryFailure(place, f"the evaluation failed ({error}).", "Change the query.") from None


def _row(solution: ox.QuerySolution, variables: Sequence[ox.Variable]) -> dict[str, Node]:
    values = {variable.value: solution[variable] for variable in variables}
    return {name: _from_ox(value) for name, value in values.items() if value is not None}


def _check_deadline(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise QueryFailure("query", "the query did not finish in time.", "Make it more selective, or add a LIMIT.")


def _syntax_error(text: str, error: SyntaxError) -> InvalidQuery:
    message = " ".join(str(error.msg).split())
    found = re.match(r"error at (\d+):(\d+): expected (?:one of )?(.*)", message)
    if found is None:
        return InvalidQuery("query", f"the query is not valid SPARQL 1.1 ({message[:200]}).", "Mend it.")
    line, column = int(found[1]), int(found[2])
    # The parser lists what it would have taken; among the tokens there may be a sentence, which tells more.
    sentence = next((part for part in found[3].split(", ") if " " in part and part[0].isalpha()), None)
    before = text.split("\n")[line - 1][: column - 1].strip()[-40:]
    problem = (
        f"{sentence[0].lower()}{sentence[1:]}" if sentence else f"the text cannot go on as it does after '{before}'"
    )
    return InvalidQuery(f"query, line {line}, column {column}", f"{problem}.", "Mend it to be valid SPARQL 1.1.")


def _graph(iri: str) -> ox.NamedNode:
    try:
        return ox.NamedNode(iri)
    except ValueError:
        raise InvalidQuery(iri, "the name of the graph is no IRI.", "Give an absolute IRI.") from None


def _to_ox(term: Node) -> ox.NamedNode | ox.Literal:
    if isinstance(term, Literal):
        if term.language:
            return ox.Literal(str(term), language=term.language)
        return (
            ox.Literal(str(term), datatype=ox.NamedNode(str(term.datatype))) if term.datatype else ox.Literal(str(term))
        )
    return ox.NamedNode(str(term))


def _from_ox(term: ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple) -> Node:
    if isinstance(term, ox.NamedNode):
        return URIRef(term.value)
    if isinstance(term, ox.BlankNode):
        return BNode(term.value)
    if isinstance(term, ox.Literal):
        if term.language:
            return Literal(term.value, lang=term.language)
        return Literal(term.value, datatype=URIRef(term.datatype.value))
    return Literal(str(term))
