"""What a reader is told of one term: names, definition, codes, sources, and what speaks of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rdflib import DCTERMS, OWL, RDF, RDFS, SKOS, BNode, Literal, URIRef
from rdflib.term import Node

from kg.description import Description
from kg.knowledge import Knowledge
from kg.manchester import Line, written
from kg.namespaces import IAO_DEFINITION, NXL, SH, local_name
from kg.neighbourhood import Picture, picture_of
from kg.statements import Statement
from kg.term_index import STATEMENT, Kin, Kind, TermIndex

Rows = Sequence[Mapping[str, Node]]

_MATCHES = (
    (SKOS.exactMatch, "exact"),
    (SKOS.closeMatch, "close"),
    (SKOS.broadMatch, "broader"),
    (SKOS.narrowMatch, "narrower"),
    (SKOS.relatedMatch, "related"),
)
# What has a place of its own on the page; all else that is said of a term stands in its table of facts.
_PLACED = frozenset(
    {RDFS.label, SKOS.altLabel, NXL.layLabel, IAO_DEFINITION, NXL.statement, NXL.layStatement, DCTERMS.source}
    | {RDF.type, RDFS.subClassOf, RDFS.subPropertyOf, OWL.equivalentClass, OWL.disjointWith, SH.declare}
    | {match for match, _ in _MATCHES}
)
_OF_STATEMENTS = (
    NXL.severity,
    NXL.strength,
    NXL.guideline,
    NXL.ofSafetyGuideline,
    NXL.line,
    NXL.jurisdiction,
    NXL.reviewStatus,
    NXL.locator,
    NXL.rationale,
    NXL.editorialNote,
    NXL.differsFrom,
    NXL.conflictsWith,
)
_MOST_ROWS = 1200


@dataclass(frozen=True, slots=True)
class Value:
    """A text, or a term by its name and IRI."""

    text: str
    iri: str | None = None
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A property of the term with its values."""

    property: Value
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A code of another terminology: how well it matches, its system and code, and the identifier there."""

    match: str
    system: str
    code: str
    iri: str


@dataclass(frozen=True, slots=True)
class Source:
    """A reference with its identifiers and the addresses under which it was read."""

    reference: Value
    title: str
    details: str
    doi: str
    pmid: str
    pmcid: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A statement as it is listed: its text, through which broader term it speaks of this one, and how it is marked."""

    statement: Value
    text: str
    via: Value | None
    marks: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Things listed under one heading; `is_cut` when there are more than are shown."""

    heading: Value
    said: tuple[Said, ...] = ()
    values: tuple[Value, ...] = ()
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class TermPage:
    """All that the page of a term shows, in the order in which it shows it."""

    iri: str
    label: str
    kind: Kind
    kind_code: str
    definition: str
    lay_label: str
    translations: tuple[Value, ...]
    synonyms: tuple[Value, ...]
    statement: str
    lay_statement: str
    statement_facts: tuple[Fact, ...]
    sources: tuple[Source, ...]
    ancestors: tuple[Value, ...]
    broader: tuple[tuple[Value, bool], ...]
    narrower: tuple[tuple[Value, bool], ...]
    definitions: tuple[tuple[str, tuple[Line, ...]], ...]
    picture: Picture | None
    codes: tuple[Code, ...]
    facts: tuple[Fact, ...]
    spoken_of: tuple[Group, ...]
    users: tuple[Value, ...]
    references: tuple[Group, ...]
    members: Group | None


class TermPages:
    """Makes the page of a term from its description, the index of the ontology, and the rows of the queries of pages."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self.index = TermIndex(knowledge)

    def page(
        self, description: Description, *, references: Rows, members: Rows, sources: Rows, systems: Rows
    ) -> TermPage:
        """The page of the term described; rows are those of `term-references`, `term-members` and so on."""
        term, index = description.iri, self.index
        kind = index.kind(term)
        placed = _PLACED | set(_OF_STATEMENTS) if kind is STATEMENT else _PLACED
        code = self._knowledge.kind_code(term) or ""
        return TermPage(
            iri=str(term),
            label=description.label,
            kind=kind,
            kind_code=_spoken(code),
            definition=description.text(IAO_DEFINITION),
            lay_label=description.text(NXL.layLabel),
            translations=tuple(Value(text, lang=lang) for lang, text in description.translations),
            synonyms=_texts(description, SKOS.altLabel),
            statement=description.text(NXL.statement),
            lay_statement=description.text(NXL.layStatement),
            statement_facts=_facts(description, _OF_STATEMENTS) if kind is STATEMENT else (),
            sources=_sources(sources),
            ancestors=tuple(self._value(a) for a in index.ancestors(term)),
            broader=self._kin(index.broader(term) or _types(description)),
            narrower=self._kin(index.narrower(term)),
            definitions=_definitions(description),
            picture=picture_of(index, term),
            codes=_codes(description, systems),
            facts=_facts(description, sorted({URIRef(str(p)) for p in description.graph.predicates(term)} - placed)),
            spoken_of=self._spoken_of(term),
            users=tuple(self._value(u) for u in index.users(term)),
            references=_references(references, set(self._said_by(term))),
            members=_members(members),
        )

    def _value(self, term: URIRef) -> Value:
        return Value(self.index.label(term), str(term))

    def _kin(self, kin: Iterable[Kin]) -> tuple[tuple[Value, bool], ...]:
        values = ((self._value(k.iri), k.stated) for k in kin)
        return tuple(sorted(values, key=lambda pair: (not pair[1], pair[0].text)))

    def _said_by(self, term: URIRef) -> list[URIRef]:
        statements = self._knowledge.statements.values()
        safety = self._knowledge.graph.subjects(NXL.ofSafetyGuideline, term)
        return [*(s.iri for s in statements if s.guideline == term), *(s for s in safety if isinstance(s, URIRef))]

    def _spoken_of(self, term: URIRef) -> tuple[Group, ...]:
        """Of a guideline what it says, of other terms what statements say of them, by the kind of statement."""
        knowledge = self._knowledge
        own = [(s, term) for s in sorted(self._said_by(term), key=self._order) if s in knowledge.statements]
        found = own or [(m.statement.iri, m.via) for m in self.index.mentions(term)]
        groups: dict[str, list[Said]] = {}
        for iri, via in found:
            statement = knowledge.statements[iri]
            heading = _spoken(knowledge.kind_code(iri) or "about patients and courses")
            if own and statement.line is not None:
                heading = f"{heading}: {knowledge.label(statement.line)}"
            groups.setdefault(heading, []).append(self._said(statement, None if via == term else via))
        return tuple(Group(Value(heading), said=tuple(said)) for heading, said in groups.items())

    def _order(self, iri: URIRef) -> tuple[int, int, int, str]:
        statement = self._knowledge.statements.get(iri)
        kind, severity, name = self._knowledge.display_order(iri)
        return (kind, self._knowledge.individual_rank(statement.line if statement else None), severity, name)

    def _said(self, statement: Statement, via: URIRef | None) -> Said:
        marks = (statement.severity, statement.line, statement.strength, *statement.jurisdictions)
        marks = (*marks, statement.guideline, statement.review_status)
        return Said(
            self._value(statement.iri),
            statement.text.clinician,
            None if via is None else self._value(via),
            tuple(self._value(mark) for mark in marks if mark is not None),
        )


def _spoken(code: str) -> str:
    return code.replace("-", " ").capitalize()


def _texts(description: Description, property_: URIRef) -> tuple[Value, ...]:
    literals = (v for v in description.values(property_) if isinstance(v, Literal))
    return tuple(Value(str(v), lang=v.language or "") for v in literals)


def _types(description: Description) -> tuple[Kin, ...]:
    """The classes of an individual that the index does not know, such as an example patient."""
    types = (t for t in description.values(RDF.type) if isinstance(t, URIRef))
    return tuple(Kin(t, True) for t in types if t.startswith(str(NXL)))


def _facts(description: Description, properties: Iterable[URIRef]) -> tuple[Fact, ...]:
    found = []
    for property_ in properties:
        values = tuple(
            Value(description.name_of(v), str(v) if isinstance(v, URIRef) else None, getattr(v, "language", None) or "")
            for v in description.values(property_)
            if not isinstance(v, BNode)
        )
        if values:
            found.append(Fact(Value(description.name_of(property_), str(property_)), values))
    return tuple(found)


def _definitions(description: Description) -> tuple[tuple[str, tuple[Line, ...]], ...]:
    """What the term is by definition, what holds of it besides, and what else is known of an individual."""
    headings = ((OWL.equivalentClass, "is exactly"), (RDFS.subClassOf, "is always"), (RDF.type, "is also"))
    found = [
        (heading, written(description, node))
        for property_, heading in headings
        for node in description.values(property_)
        if isinstance(node, BNode) or property_ == OWL.equivalentClass
    ]
    return tuple(sorted(found, key=lambda pair: (pair[0] == "is also", " ".join(w.text for li in pair[1] for w in li))))


def _codes(description: Description, systems: Rows) -> tuple[Code, ...]:
    found = []
    for property_, match in _MATCHES:
        for value in description.texts(property_):
            system = max(
                ((str(r["namespace"]), str(r["prefix"])) for r in systems if value.startswith(str(r["namespace"]))),
                default=("", ""),
            )
            found.append(Code(match, system[1], value[len(system[0]) :], value))
    return tuple(found)


def _sources(rows: Rows) -> tuple[Source, ...]:
    by_reference: dict[str, list[Mapping[str, Node]]] = {}
    for row in rows:
        by_reference.setdefault(str(row["reference"]), []).append(row)
    found = []
    for iri, alike in by_reference.items():
        first = {name: str(value) for name, value in alike[0].items()}
        details = ", ".join(first[name] for name in ("creator", "citation", "year") if name in first)
        found.append(
            Source(
                Value(first.get("label") or local_name(iri), iri),
                first.get("title", ""),
                details,
                first.get("doi", ""),
                first.get("pmid", ""),
                first.get("pmcid", ""),
                tuple(sorted({str(row["address"]) for row in alike if "address" in row})),
            )
        )
    return tuple(found)


def _references(rows: Rows, shown: set[URIRef]) -> tuple[Group, ...]:
    """What refers to the term, by the property; what the page shows already is left out."""
    headings: dict[str, Value] = {}
    said: dict[str, list[Said]] = {}
    values: dict[str, list[Value]] = {}
    for row in rows[:_MOST_ROWS]:
        if row["subject"] in shown:
            continue
        property_, subject = str(row["property"]), str(row["subject"])
        headings.setdefault(property_, Value(str(row.get("propertyLabel") or local_name(property_)), property_))
        value = Value(str(row.get("label") or local_name(subject)), subject)
        if "text" in row:
            said.setdefault(property_, []).append(Said(value, str(row["text"]), None, ()))
        else:
            values.setdefault(property_, []).append(value)
    is_cut = len(rows) > _MOST_ROWS
    return tuple(
        Group(heading, tuple(said.get(property_, ())), tuple(values.get(property_, ())), is_cut)
        for property_, heading in headings.items()
    )


def _members(rows: Rows) -> Group | None:
    values = tuple(Value(str(r.get("label") or _path(str(r["member"]))), str(r["member"])) for r in rows[:_MOST_ROWS])
    return Group(Value("Members"), values=values, is_cut=len(rows) > _MOST_ROWS) if values else None


def _path(iri: str) -> str:
    """The name of an individual without a label, with the example that it belongs to."""
    return iri.removeprefix(str(NXL)).removeprefix("examples/")
