"""Parameters for servers that take none: each value is written as a VALUES block of one row into the groups that use it.

The query keeps its text; blocks are put after opening braces, on the same line. A parameter is bound where the embedded
store binds it: in the query, and in each of its sub-selects that projects the variable. Within such a scope every group
that uses the variable gets the block, since a filter in a group of its own does not see what is bound around it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rdflib import Literal, URIRef
from rdflib.term import Node

from kg.errors import InvalidParameter, InvalidQuery
from kg.query_text import Token, tokens

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_LANGUAGE = re.compile(r"[A-Za-z]+(?:-[A-Za-z0-9]+)*")
_NO_IRI = re.compile(r"[\x00-\x20<>\"{}|^`\\]")
_FORMS = frozenset({"SELECT", "ASK", "CONSTRUCT", "DESCRIBE"})


def written(term: Node) -> str:
    r"""A term as SPARQL writes it. Raises InvalidParameter for what cannot stand in a query.

    >>> written(Literal('a "b" \\ } # c', lang="en"))
    '"a \\"b\\" \\\\ } # c"@en'
    >>> written(Literal(5))
    '"5"^^<http://www.w3.org/2001/XMLSchema#integer>'
    """
    if isinstance(term, Literal):
        quoted = '"' + "".join(_ESCAPES.get(character, character) for character in str(term)) + '"'
        if "\0" in quoted or any("\ud800" <= character <= "\udfff" for character in quoted):
            raise InvalidParameter(quoted[:100], "the text holds what is no character.", "Leave it out.")
        if term.language:
            if not _LANGUAGE.fullmatch(term.language):
                raise InvalidParameter(term.language[:100], "this is no language tag.", "Give one such as en.")
            return f"{quoted}@{term.language}"
        return f"{quoted}^^{_iri(term.datatype)}" if term.datatype else quoted
    if isinstance(term, URIRef):
        return _iri(term)
    raise InvalidParameter(str(term)[:100], "a blank node cannot be a parameter.", "Give an IRI or a literal.")


def bound(text: str, bindings: Mapping[str, Node]) -> str:
    """The query with its parameters bound; `text` has to be valid.

    >>> bound("ASK { ?s ?p ?o FILTER EXISTS { ?o a ?s } }", {"s": URIRef("x:y")})
    'ASK { VALUES ?s { <x:y> } ?s ?p ?o FILTER EXISTS { VALUES ?s { <x:y> } ?o a ?s } }'
    """
    if not bindings:
        return text
    values = {name: f" VALUES ?{name} {{ {written(term)} }}" for name, term in bindings.items()}
    walk = _Walk(text, frozenset(bindings))
    pieces, done = [], 0
    for group in sorted(walk.groups, key=lambda group: group.after):
        pieces += [text[done : group.after], "\n" * group.trailing, *(values[name] for name in sorted(group.bound))]
        done = group.after
    return "".join([*pieces, text[done:]])


def _iri(iri: str) -> str:
    if _NO_IRI.search(iri) or ":" not in iri:
        raise InvalidParameter(iri[:100], "this is no absolute IRI.", "Give one such as https://example.org/x.")
    return f"<{iri}>"


@dataclass(slots=True)
class _Group:
    """What stands in braces: `after` is the place behind the brace, `scope` what is bound in it."""

    after: int
    scope: frozenset[str]
    whole: bool = False  # the group of a query, which binds all of its scope
    trailing: bool = False  # no group: the end of the query, where a comment may stand
    used: set[str] = field(default_factory=set)

    @property
    def bound(self) -> frozenset[str]:
        return self.scope if self.whole else self.scope & self.used


@dataclass(slots=True)
class _Query:
    """A query or sub-select; `scope` is what is bound around it, and in it once its group has begun."""

    scope: frozenset[str]
    nested: bool
    fills: bool = False  # stands for the whole group of the query around it
    form: str = ""
    projected: set[str] = field(default_factory=set)
    every: bool = False
    templated: bool = False
    where_word: bool = False
    begun: bool = False


_Frame = _Group | _Query | str  # a text is a bracket, or braces that are no group


class _Walk:
    """One pass over the tokens, which finds the groups."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self.groups: list[_Group] = []
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._frames: list[_Frame] = [_Query(names, nested=False)]
        self._after_values = False
        self._previous = ""
        self._short = False
        for token in tokens(text):
            self._take(token)
            self._previous = token.text
        if self._short:  # CONSTRUCT WHERE takes nothing but triples in its group
            self.groups.append(_Group(len(text), names, whole=True, trailing=True))

    def _take(self, token: Token) -> None:
        top = self._frames[-1]
        if token.kind == "word":
            self._word(token.text, top)
        elif token.kind == "variable":
            self._variable(token.text[1:], top)
        elif token.kind != "symbol":
            return
        elif token.text == "*" and isinstance(top, _Query) and not top.begun:
            top.every = True
        elif token.text == "{":
            self._frames.append(self._opened(self._starts[token.line - 1] + token.column, top))
        elif token.text in ("(", "["):
            self._frames.append(token.text)
        elif token.text in ("}", ")", "]"):
            if token.text == "}" and isinstance(top, _Query):
                self._frames.pop()
            self._frames.pop()

    def _word(self, word: str, top: _Frame) -> None:
        if word == "SELECT" and isinstance(top, _Group) and self._previous == "{":
            self.groups.remove(top)
            self._frames.append(_Query(top.scope, nested=True, fills=top.whole, form=word))
        elif isinstance(top, _Query) and not top.begun:
            if word in _FORMS and not top.form:
                top.form = word
            top.where_word |= word == "WHERE"
        self._after_values |= word == "VALUES"

    def _variable(self, name: str, top: _Frame) -> None:
        if isinstance(top, _Query) and not top.begun:
            top.projected.add(name)
        for frame in reversed(self._frames):
            if isinstance(frame, _Query):
                return
            if isinstance(frame, _Group):
                frame.used.add(name)
                return

    def _opened(self, after: int, top: _Frame) -> _Frame:
        if self._after_values:
            self._after_values = False
            return "data"
        if isinstance(top, _Query) and not top.begun:
            if top.form == "CONSTRUCT" and not top.templated and not top.where_word:
                top.templated = True
                return "template"
            return self._begun(top, after)
        around = next(frame for frame in reversed(self._frames) if not isinstance(frame, str))
        group = _Group(after, around.scope)
        self.groups.append(group)
        return group

    def _begun(self, query: _Query, after: int) -> _Frame:
        query.begun = True
        if query.nested and not query.every:
            lost = query.scope - query.projected
            if query.fills and lost:
                raise InvalidQuery(
                    f"?{min(lost)}",
                    "the sub-select that is all of the query leaves it out.",
                    "Put it in braces of its own.",
                )
            query.scope &= query.projected
        if query.form == "CONSTRUCT" and not query.templated:
            self._short = True
            return "template"
        group = _Group(after, query.scope, whole=True)
        self.groups.append(group)
        return group
