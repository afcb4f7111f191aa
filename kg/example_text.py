"""A canned query as a text that runs by itself, for people who want to change it."""

from __future__ import annotations

from collections.abc import Mapping

from rdflib.term import Node

from kg.query_text import Token, tokens

_NO_GROUP_AFTER = frozenset({"CONSTRUCT"})  # its braces hold a template


def text_with_values(text: str, bindings: Mapping[str, Node]) -> str:
    """The query with `VALUES` lines that give variables their value, in the outermost group and in each that uses them.

    >>> from rdflib import Literal
    >>> text_with_values("SELECT * WHERE { ?s ?p ?o }", {"o": Literal("x")})
    'SELECT * WHERE { VALUES ?o { "x" } ?s ?p ?o }'
    """
    lines = text.splitlines(keepends=True)
    found = _groups(list(tokens(text)), frozenset(bindings))
    for brace, names in sorted(found, key=lambda pair: (pair[0].line, pair[0].column), reverse=True):
        line = lines[brace.line - 1]
        values = "".join(f" VALUES ?{name} {{ {bindings[name].n3()} }}" for name in sorted(names))
        lines[brace.line - 1] = line[: brace.column] + values + line[brace.column :]
    return "".join(lines)


def _groups(stream: list[Token], names: frozenset[str]) -> list[tuple[Token, set[str]]]:
    """The opening braces of the groups that use a variable themselves, with the names of those variables."""
    found: list[tuple[Token, set[str]]] = []
    within: list[tuple[Token, set[str], bool]] = []
    previous = ""
    data = False  # between VALUES and its brace
    for token in stream:
        if token.text == "{":
            is_group = not data and previous not in _NO_GROUP_AFTER
            # A subselect is no place for VALUES: its own WHERE is.
            within.append((token, set(), is_group))
            data = False
        elif token.text == "}" and within:
            brace, used, is_group = within.pop()
            used = used if within else set(names)  # the outermost group holds what is selected
            if used and is_group:
                found.append((brace, used))
        elif token.text == "VALUES":
            data = True
        elif token.text == "SELECT" and within:
            within[-1] = (within[-1][0], within[-1][1], False)
        elif token.kind == "variable" and within and not data and token.text[1:] in names:
            within[-1][1].add(token.text[1:])
        previous = token.text
    return found
