"""The queries that pages are made from, which come with the library: SPARQL files in `kg/sparql`."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def shipped_query(name: str) -> str:
    """The text of `kg/sparql/<name>.rq`; its comment says what it asks, and which variable is to be bound."""
    return resources.files("kg").joinpath("sparql", f"{name}.rq").read_text(encoding="utf-8")
