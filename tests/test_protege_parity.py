"""An example file opened in Protégé: HermiT infers there what the engine answers for the same patient.

What Protégé gives HermiT is the import closure of the file: the modules, the closure module, and the file itself.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rdflib import RDF, Graph, URIRef

from kg import closure
from kg.examples import Example, read_examples
from kg.knowledge import Knowledge
from kg.namespaces import CLOSURE_IRI, NXL, ROOT_IRI, local_name
from kg.reasoner import reason
from kg.sources import Sources, read_catalog, read_module
from tests.conftest import ONTOLOGY, Ask

EXAMPLES = read_examples(ONTOLOGY)
IN_GATE = "untreated-polyneuropathy"


def import_closure(path: Path) -> Graph:
    """Everything that the file imports, directly or not, by the catalog beside it."""
    catalog = read_catalog(path.parent)
    graph, waiting, seen = Graph(), [path], set[Path]()
    while waiting:
        current = waiting.pop().resolve()
        if current not in seen:
            seen.add(current)
            module = read_module(current)
            graph += module.graph
            waiting += [catalog[imported] for imported in module.imports]
    return graph


def parameters() -> list[object]:
    return [pytest.param(e, id=e.id, marks=() if e.id == IN_GATE else pytest.mark.slow) for e in EXAMPLES]


@pytest.mark.parametrize("example", parameters())
def test_protege_infers_what_the_engine_answers(
    example: Example, ask: Ask, knowledge: Knowledge, ontology: Path
) -> None:
    inference = reason(import_closure(ontology / "examples" / f"{example.id}.ttl"), deadline_seconds=300)
    assert inference.consistent
    types: dict[str, set[URIRef]] = {}
    for subject, predicate, target in inference.triples:
        if predicate == str(RDF.type):
            types.setdefault(subject, set()).update(knowledge.taxonomy.above(URIRef(target)))
    request = json.loads((ontology / "examples" / f"{example.id}.json").read_text(encoding="utf-8"))["request"]
    answer = ask({**request, "guidelines": []})  # Protégé has all modules
    guidelines = {g.code: g for g in knowledge.guidelines.values()}
    for option in answer["options"]:
        inferred = types.get(f"{example.base}option-{option['therapy']['id']}", set())
        silent = {guidelines[code].iri for code in option["silent"]}
        held = inferred & knowledge.statements.keys()
        statements = {str(iri) for iri in held if knowledge.statements[iri].guideline not in silent}
        told = [reason for part in (option, *option["guidelines"]) for reason in part["because"]]
        assert statements == {reason["statement"] for reason in told}, option["therapy"]["label"]
        for row in option["guidelines"]:
            eligible = guidelines[row["guideline"]].eligible in inferred
            assert eligible is (row["status"] == "eligible") or row["status"] == "in-use", option["therapy"]["label"]


def test_the_examples_find_the_modules_that_the_ontology_finds(ontology: Path) -> None:
    own, root = (read_catalog(folder) for folder in (ontology / "examples", ontology))
    assert {iri: path.resolve() for iri, path in own.items()} == {iri: path.resolve() for iri, path in root.items()}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_an_example_file_imports_the_root_and_the_closure(example: Example, ontology: Path) -> None:
    module = read_module(ontology / "examples" / f"{example.id}.ttl")
    assert set(module.imports) == {ROOT_IRI, CLOSURE_IRI}


def test_the_root_does_not_import_the_closure(sources: Sources) -> None:
    """A stale closure would make Protégé infer a false reason while a curator edits."""
    assert all(CLOSURE_IRI not in module.imports for module in sources.modules)
    assert local_name(read_module(sources.folder / closure.FILE_NAME).iri) == "closure"
    assert NXL.closure == CLOSURE_IRI
