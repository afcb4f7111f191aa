"""The text of a SPARQL query, checked before any parser or store sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kg.errors import InvalidQuery

_PLACE = "query"
_READ_ONLY = "Send a SELECT, ASK, CONSTRUCT or DESCRIBE query: the knowledge is read-only."
_FORMS = frozenset({"SELECT", "ASK", "CONSTRUCT", "DESCRIBE"})
_UPDATES = frozenset(
    {"INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH"},
)
# Each of these makes the tree of a query one level deeper, however flat the text looks.
_DEEPENING = frozenset(
    {"OPTIONAL", "UNION", "MINUS", "BIND", "VALUES", "FILTER", "GRAPH", "AS", "EXISTS"}
    | {"||", "&&", "!", "+", "-", "*", "/", "|", "^", "{"},
)
_MAX_IRI_LENGTH = 1000

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+|\#[^\r\n]*)
    | (?P<string>\"{3}(?:\"{0,2}(?:[^\"\\]|\\.))*+\"{3}|'{3}(?:'{0,2}(?:[^'\\]|\\.))*+'{3}
                |\"(?:[^\"\\\r\n]|\\.)*+\"|'(?:[^'\\\r\n]|\\.)*+')
    | (?P<iri><(?:[^<>\"{}|^`\\\x00-\x20]|\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8})*+>)
    | (?P<variable>[?$]\w+)
    | (?P<name>(?:\w[\w.\-\u00B7]*)?:(?:[\w:.\-\u00B7]|%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%])*)
    | (?P<tag>@[A-Za-z0-9\-]+)
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>\w+)
    | (?P<symbol><<|>>|\|\||&&|\^\^|<=|>=|!=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CHANGING = frozenset({"NOW", "RAND", "UUID", "STRUUID"})
_OPERANDS = frozenset({"string", "iri", "variable", "name", "tag", "number"})
_CLOSING = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class TextLimits:
    """How long a query may be (bytes of UTF-8), how deep its brackets nest, how many operators and tokens it may hold.

    Far above what people write, and below what makes the parser overflow its stack and end the process: on a stack of
    8 MiB that begins at 2500 tokens, in the shape that is worst. Operators and tokens in the data of VALUES do not count:
    rows are read one after the other, however many there are.
    """

    bytes: int = 100_000
    nesting: int = 100
    operators: int = 1000
    tokens: int = 2000


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its kind, its text (keywords in capitals) and its position, both counted from 1."""

    kind: str
    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class CheckedText:
    """A query that is safe to parse.

    `form` is SELECT, ASK, CONSTRUCT or DESCRIBE; `has_dataset` is true when the text names its own dataset (FROM, FROM
    NAMED), `is_repeatable` when it calls nothing that differs from one run to the next (NOW, RAND, UUID, STRUUID).
    """

    text: str
    has_dataset: bool
    form: str
    is_repeatable: bool


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a query without space and comments; what is in strings stays in strings.

    >>> [t.text for t in tokens("ASK { ?s ?p 'SERVICE' } # SERVICE")]
    ['ASK', '{', '?s', '?p', "'SERVICE'", '}']
    """
    line, start = 1, 0
    for match in _TOKEN.finditer(text):
        kind, value = str(match.lastgroup), match.group()
        if kind != "space":
            yield Token(kind, value.upper() if kind == "word" else value, line, match.start() - start + 1)
        if "\n" in value:
            line += value.count("\n")
            start = match.start() + value.rindex("\n") + 1


def check(text: str, limits: TextLimits | None = None) -> CheckedText:
    """Check a query text. Raises InvalidQuery for updates, SERVICE, triple terms and what exceeds `limits`.

    >>> check("SELECT * FROM <https://w3id.org/nextline/graph/asserted> { ?s ?p ?o }").has_dataset
    True
    """
    limits = limits or TextLimits()
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.bytes:
        raise InvalidQuery(_PLACE, f"the query has {size} bytes, the limit is {limits.bytes}.", "Shorten it.")
    walk = _Walk(limits)
    for token in tokens(text):
        walk.take(token)
    if walk.form is None:
        raise InvalidQuery(_PLACE, "the text holds no query.", _READ_ONLY)
    return CheckedText(text, walk.has_dataset, walk.form, walk.is_repeatable)


class _Walk:
    """One pass over the tokens with the stack of open brackets.

    The stack also tells what `<` means. A comparison stands only within parentheses, after an operand; there, an IRI
    in which a comment, a string or a bracket could hide is refused, so that this reading and the parser's agree.
    """

    def __init__(self, limits: TextLimits) -> None:
        self.limits = limits
        self.open: list[str] = []
        self.operators = 0
        self.tokens = 0
        self.form: str | None = None
        self.has_dataset = False
        self.is_repeatable = True
        self.prefixes: set[str] = set()
        self.previous_word = ""
        self.after_values = False
        self.after_operand = False

    def take(self, token: Token) -> None:
        in_data = bool(self.open) and self.open[-1].startswith("data ")
        self.tokens += not in_data
        if self.tokens > self.limits.tokens:
            raise _refused(
                token, f"the query has more than {self.limits.tokens} tokens.", "Split it, or give data by VALUES."
            )
        if token.kind == "word":
            self._word(token)
        elif token.kind == "name":
            self._name(token)
        elif token.kind == "iri":
            self._iri(token)
        elif token.kind == "symbol":
            self._symbol(token)
        if not in_data and token.text in _DEEPENING and token.kind in ("word", "symbol"):
            self.operators += 1
            if self.operators > self.limits.operators:
                raise _refused(token, f"the query has more than {self.limits.operators} operators.", "Split it.")
        self.previous_word = token.text if token.kind == "word" else ""
        self.after_operand = token.kind in _OPERANDS or token.text in (")", "]", "TRUE", "FALSE")

    def _word(self, token: Token) -> None:
        word = token.text
        if word == "SERVICE":
            raise _refused(token, "SERVICE is not allowed.", "Query the other endpoint from your own program.")
        if self.form is None and word in _FORMS:
            self.form = word
        elif self.form is None and word in _UPDATES:
            raise _refused(token, f"{word} is an update.", _READ_ONLY)
        elif word == "FROM":
            self.has_dataset = True
        elif word == "VALUES":
            self.after_values = True
        elif word in _CHANGING:
            self.is_repeatable = False

    def _name(self, token: Token) -> None:
        prefix = token.text.partition(":")[0]
        if self.previous_word == "PREFIX":
            self.prefixes.add(prefix)
        elif prefix != "_" and prefix not in self.prefixes:
            raise _refused(token, f"the prefix '{prefix}:' is not declared.", f"Start with PREFIX {prefix}: <…>.")

    def _iri(self, token: Token) -> None:
        if len(token.text) > _MAX_IRI_LENGTH:
            raise _refused(token, f"an IRI has more than {_MAX_IRI_LENGTH} characters.", "Shorten it.")
        if self.after_operand and self.open and self.open[-1] == "(" and re.search(r"[#'()\\]", token.text):
            raise _refused(
                token, "'<' can be read as a comparison or as an IRI.", "Put a space after it, or use a prefixed name."
            )

    def _symbol(self, token: Token) -> None:
        symbol = token.text
        if symbol in ("<<", ">>"):
            raise _refused(token, "triple terms are not part of SPARQL 1.1.", "Leave out << and >>.")
        if symbol in ("(", "[", "{"):
            self.open.append(self._bracket(symbol))
            if len(self.open) > self.limits.nesting:
                raise _refused(token, f"brackets nest deeper than {self.limits.nesting}.", "Flatten the query.")
        elif symbol in _CLOSING:
            if not self.open or self.open[-1].removeprefix("data ") != _CLOSING[symbol]:
                raise _refused(token, f"'{symbol}' closes nothing.", "Balance the brackets.")
            self.open.pop()

    def _bracket(self, symbol: str) -> str:
        data = symbol == "(" and bool(self.open) and self.open[-1] == "data {"
        if symbol == "{" and self.after_values:
            self.after_values = False
            data = True
        return f"data {symbol}" if data else symbol


def _refused(token: Token, problem: str, mend: str) -> InvalidQuery:
    return InvalidQuery(f"{_PLACE}, line {token.line}, column {token.column}", problem, mend)
