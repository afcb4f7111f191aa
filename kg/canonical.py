"""The content hash: sources with the same meaning as RDF have the same hash, whatever their order or spelling."""

from __future__ import annotations

import hashlib

from rdflib import Graph

from kg.store import canonical_quads


def content_hash(graph: Graph) -> str:
    """SHA-256 over the sorted canonical N-Quads (RDFC-1.0) of `graph`, as hexadecimal digits.

    >>> a = Graph().parse(data="<x:a> <x:p> [ <x:q> 1 ] .", format="turtle")
    >>> b = Graph().parse(data="_:z <x:q> 1 . <x:a> <x:p> _:z .", format="turtle")
    >>> content_hash(a) == content_hash(b)
    True
    """
    return hashlib.sha256("".join(canonical_lines(graph)).encode("utf-8")).hexdigest()


def canonical_lines(graph: Graph) -> list[str]:
    """The sorted canonical N-Quads (RDFC-1.0) of `graph`, a line each; being of one graph, they are N-Triples too."""
    return canonical_quads(graph.serialize(format="nt", encoding="utf-8"))
