"""N-Triples in batches that keep each blank node whole: its label means something within one request only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(lines: Sequence[str], size: int) -> Iterator[list[str]]:
    """The lines in batches of about `size`, always the same for the same lines.

    Triples that are joined by blank nodes stand in one batch, which may become larger than `size` for that.

    >>> lines = ["<x:a> <x:p> _:n .", "<x:b> <x:p> 1 .", "_:n <x:q> _:m .", "_:m <x:q> 2 ."]
    >>> [len(batch) for batch in batches(lines, 1)]
    [3, 1]
    """
    batch: list[str] = []
    for component in _components(lines):
        if batch and len(batch) + len(component) > size:
            yield batch
            batch = []
        batch += component
    if batch:
        yield batch


def _components(lines: Sequence[str]) -> Iterator[list[str]]:
    """The lines that hang together, in the order of the first of each."""
    leader: dict[str, str] = {}

    def find(node: str) -> str:
        leader.setdefault(node, node)
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    nodes = [blank_nodes(line) for line in lines]
    for several in nodes:
        for other in several[1:]:
            leader[find(several[0])] = find(other)
    found: dict[str, list[str]] = {}
    for number, (line, several) in enumerate(zip(lines, nodes, strict=True)):
        found.setdefault(find(several[0]) if several else str(number), []).append(line)
    yield from found.values()


def blank_nodes(line: str) -> list[str]:
    """The labels of the blank nodes of a triple in canonical N-Triples.

    >>> blank_nodes('_:a <x:p> "_:b" .')
    ['_:a']
    """
    subject, _, rest = line.split(" ", 2)
    target = rest.rstrip().removesuffix(".").rstrip()
    return [term for term in (subject, target) if term.startswith("_:")]
