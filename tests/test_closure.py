"""The generated closure module: one member a line, the same for the same modules, and saying what it has to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rdflib import OWL, RDF, RDFS, Graph, URIRef

from kg import closure
from kg.canonical import content_hash
from kg.errors import NotWritable
from kg.knowledge import Knowledge
from kg.namespaces import CLOSURE_IRI, NXL
from kg.sources import Module, Sources


@pytest.fixture(scope="module")
def generated(sources: Sources) -> Graph:
    return closure.closure_of(sources.graph)


@pytest.fixture(scope="module")
def stated(sources: Sources) -> Knowledge:
    return Knowledge(sources.graph)


def shuffled(sources: Sources) -> Sources:
    """The same triples under other blank node names, in another order."""
    modules = []
    for module in reversed(sources.modules):
        lines = sorted(module.graph.serialize(format="nt").splitlines(), reverse=True)
        graph = Graph().parse(data="\n".join(re.sub(r"_:(\w+)", r"_:x\1", line) for line in lines), format="nt")
        modules.append(Module(module.iri, module.imports, module.path, graph))
    return Sources(sources.folder, tuple(modules))


def test_the_same_modules_give_the_same_text(sources: Sources) -> None:
    assert closure.generate(sources) == closure.generate(shuffled(sources))


def test_one_member_stands_on_a_line(sources: Sources) -> None:
    """So that a new drug is a diff of a few lines."""
    text = closure.generate(sources)
    for block in re.findall(r"owl:(?:unionOf|members) \(\n(.*?)\n\s*\)", text, re.DOTALL):
        for line in block.splitlines():
            assert re.fullmatch(r"\s+(nxl:\w+|\[.*\])", line), line


def test_the_header_holds_the_hash_of_the_modules(sources: Sources, generated: Graph) -> None:
    assert str(generated.value(CLOSURE_IRI, NXL.sourceHash)) == content_hash(sources.graph)


def test_each_leaf_is_disjoint_from_every_group_that_it_does_not_belong_to(stated: Knowledge, generated: Graph) -> None:
    taxonomy = stated.stated
    everything = taxonomy.below(NXL.Intervention)
    leaves = taxonomy.leaves(NXL.Intervention)
    (together,) = [
        set(generated.items(head))
        for a in generated.subjects(RDF.type, OWL.AllDisjointClasses)
        for head in generated.objects(a, OWL.members)
    ]
    assert together == leaves
    for leaf in leaves:
        stated_disjoint = set(generated.objects(leaf, OWL.disjointWith)) & everything
        assert stated_disjoint == everything - taxonomy.above(leaf) - leaves


def test_each_option_is_contraindicated_only_by_what_concerns_it(stated: Knowledge, generated: Graph) -> None:
    covers: dict[URIRef, set[URIRef]] = {}
    for subject, superclass in generated.subject_objects(RDFS.subClassOf):
        for head in generated.objects(subject, OWL.intersectionOf):
            members = set(generated.items(head))
            if NXL.ContraindicatedOption in members:
                (option,) = members - {NXL.ContraindicatedOption}
                heads = list(generated.objects(superclass, OWL.unionOf))
                union = {member for head in heads for member in generated.items(head)} or {superclass}
                covers[URIRef(str(option))] = {URIRef(str(m)) for m in union}
    for therapy in stated.therapies:
        forbidding = {s.iri for s in stated.contraindications_of(therapy)}
        assert covers.get(therapy.iri, set()) == forbidding
        never = (therapy.iri, OWL.disjointWith, NXL.ContraindicatedOption) in generated
        assert never is not bool(forbidding), "what nothing forbids is said to be forbidden by nothing"


def test_no_union_has_a_single_member(generated: Graph) -> None:
    """Owlready2 cannot load such a one."""
    assert all(len(list(generated.items(head))) > 1 for head in generated.objects(None, OWL.unionOf))


def test_a_folder_that_cannot_be_written_is_named(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable, match=r"closure\.ttl"):
        closure.write(Sources(tmp_path / "file", sources.modules))
