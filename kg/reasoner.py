"""Calls of the reasoner, each in processes of its own and each with a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from rdflib import OWL, RDF, RDFS, Graph

from kg.errors import ReasonerFailure, ReasonerTimeout

Triple = tuple[str, str, str]
_ANNOTATIONS = {
    OWL.imports,
    OWL.deprecated,
    OWL.versionIRI,
    OWL.versionInfo,
    RDFS.comment,
    RDFS.isDefinedBy,
    RDFS.label,
    RDFS.seeAlso,
}


@dataclass(frozen=True, slots=True)
class Inference:
    """What HermiT says of a set of axioms: whether it is consistent, and the triples it adds (IRIs only)."""

    consistent: bool
    triples: frozenset[Triple]


def reason(axioms: Graph, *, deadline_seconds: float) -> Inference:
    """Classify and realise `axioms` with HermiT.

    The graph has to be a complete import closure: nothing is fetched. What is not `logical` in it only costs time.
    Raises ReasonerTimeout when the deadline passes (the Python worker and its Java child are killed) and
    ReasonerFailure when HermiT ends with an error.
    """
    # The worker hands the axioms to Java in a file: in a folder of its own, so that nothing of a patient is left behind.
    with TemporaryDirectory(prefix="nextline-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "kg.hermit_worker", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(_without_imports(axioms), timeout=deadline_seconds)
        except subprocess.TimeoutExpired:
            raise ReasonerTimeout(
                "HermiT",
                f"no answer within {deadline_seconds:g} seconds; the reasoner was stopped.",
                "Raise the deadline. If it is a record that takes long, complete its courses; if the ontology does, look "
                "for the last edit that made it hard to reason over.",
            ) from None
        finally:
            _kill_group(process)
    text = out.decode("utf-8")
    if text.startswith("#inconsistent"):
        return Inference(False, frozenset())
    if process.returncode != 0 or text.startswith("#error"):
        detail = text[7:].strip() or err.decode("utf-8", "replace").strip()[-500:]
        raise ReasonerFailure(
            "HermiT", f"the reasoner ended with an error: {detail}", "Check the last edit of the ontology."
        )
    return Inference(True, frozenset(_triple(line) for line in text.splitlines() if line.startswith("<")))


def logical(axioms: Graph) -> Graph:
    """A copy without what says nothing to a reasoner: annotations and imports."""
    silent = _ANNOTATIONS | set(axioms.subjects(RDF.type, OWL.AnnotationProperty))
    copy = Graph()
    for triple in axioms:
        if triple[1] not in silent and triple[0] not in silent:
            copy.add(triple)
    return copy


def _without_imports(axioms: Graph) -> bytes:
    lines = (line for line in axioms.serialize(format="nt").splitlines() if f"<{OWL.imports}>" not in line)
    return ("\n".join(lines) + "\n").encode("utf-8")


def _triple(line: str) -> Triple:
    subject, predicate, target, _ = line.split(" ", 3)
    return subject[1:-1], predicate[1:-1], target[1:-1]


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
