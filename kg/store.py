"""The embedded query store; the only module that imports pyoxigraph."""

from __future__ import annotations

import pyoxigraph as ox


def canonical_quads(ntriples: bytes) -> list[str]:
    """The lines of the canonical form (RDFC-1.0) of a set of triples, sorted; blank nodes get canonical names."""
    dataset = ox.Dataset(ox.parse(ntriples, format=ox.RdfFormat.N_TRIPLES))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return sorted(f"{quad} .\n" for quad in dataset)
