"""What a curator is told when an edit breaks the ontology, and that no reasoner outlives its deadline."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from rdflib import Graph

from kg import closure
from kg.build import build
from kg.errors import (
    ImportNotFound,
    InconsistentOntology,
    NotWritable,
    OntologyNotFound,
    OntologySyntaxError,
    ReasonerTimeout,
    StaleClosure,
    UnsatisfiableClass,
    UnsupportedAxiom,
)
from kg.reasoner import reason
from kg.sources import load_sources

Edit = Callable[..., Path]


@pytest.fixture
def edit(ontology: Path, tmp_path: Path) -> Edit:
    """Make a copy of the ontology, append Turtle to one of its modules, and bring the closure up to date if asked."""

    def make(module: str, text: str, *, close: bool = True) -> Path:
        copy = tmp_path / "ontology"
        shutil.copytree(ontology, copy, ignore=shutil.ignore_patterns("examples"))
        with (copy / module).open("a", encoding="utf-8") as file:
            file.write(text)
        if close:
            closure.write(load_sources(copy))
        return copy

    return make


def test_turtle_that_does_not_parse_is_named_with_its_line(edit: Edit, tmp_path: Path) -> None:
    folder = edit("substances.ttl", "\nnxl:Broken a owl:Class\nnxl:Other", close=False)
    lines = len((folder / "substances.ttl").read_text(encoding="utf-8").rstrip().splitlines())
    with pytest.raises(OntologySyntaxError) as caught:
        build(folder, tmp_path / "build")
    path, _, line = caught.value.place.rpartition(":")
    assert path == str(folder / "substances.ttl")
    assert lines - 1 <= int(line) <= lines + 1


def test_an_individual_of_two_disjoint_classes_is_named(edit: Edit, tmp_path: Path) -> None:
    folder = edit(
        "references.ttl", "\nnxl:refNobody a owl:NamedIndividual, nxl:Patient, nxl:Finding ; rdfs:label 'nobody' .\n"
    )
    with pytest.raises(InconsistentOntology) as caught:
        build(folder, tmp_path / "build")
    assert caught.value.place == str(folder / "references.ttl")
    assert all(label in caught.value.problem for label in ("nobody", "patient", "finding"))


def test_a_class_that_can_have_no_member_is_named_with_what_clashes(edit: Edit, tmp_path: Path) -> None:
    folder = edit(
        "substances.ttl",
        "\nnxl:Chimera a owl:Class ; rdfs:label 'chimera' ; rdfs:subClassOf nxl:Gabapentin, nxl:Opioid .\n",
    )
    with pytest.raises(UnsatisfiableClass) as caught:
        build(folder, tmp_path / "build")
    assert caught.value.place == str(folder / "substances.ttl")
    assert all(label in caught.value.problem for label in ("chimera", "gabapentinoid", "opioid"))
    assert not (tmp_path / "build" / "manifest.json").exists()


def test_an_import_that_the_catalog_does_not_hold_is_named(edit: Edit, tmp_path: Path) -> None:
    folder = edit("therapies.ttl", "\nnxl:therapies owl:imports <https://example.org/elsewhere> .\n", close=False)
    with pytest.raises(ImportNotFound) as caught:
        build(folder, tmp_path / "build")
    assert caught.value.place == str(folder / "therapies.ttl")
    assert "https://example.org/elsewhere" in caught.value.problem


def test_a_missing_module_or_catalog_is_named(edit: Edit, tmp_path: Path) -> None:
    folder = edit("therapies.ttl", "", close=False)
    (folder / "safety.ttl").unlink()
    with pytest.raises(ImportNotFound, match="safety"):
        build(folder, tmp_path / "build")
    (folder / "catalog-v001.xml").unlink()
    with pytest.raises(OntologyNotFound, match="catalog"):
        build(folder, tmp_path / "build")


def test_a_closure_of_other_modules_is_refused(edit: Edit, tmp_path: Path) -> None:
    folder = edit("substances.ttl", "\nnxl:Novel a owl:Class ; rdfs:subClassOf nxl:Opioid .\n", close=False)
    with pytest.raises(StaleClosure) as caught:
        build(folder, tmp_path / "build")
    assert caught.value.place == str(folder / "closure.ttl")
    assert "nextline closure" in caught.value.mend


def test_another_order_or_spelling_of_the_same_axioms_keeps_the_closure(edit: Edit) -> None:
    folder = edit("substances.ttl", "", close=False)
    path = folder / "substances.ttl"
    path.write_text(Graph().parse(path).serialize(format="turtle"), encoding="utf-8")
    closure.check(load_sources(folder))


OPTION = """
nxl:Novel{kind} a owl:Class ;
    rdfs:label "novel {kind}"@en ;
    rdfs:subClassOf nxl:{kind} ;
    owl:equivalentClass [ a owl:Class ; owl:intersectionOf ( nxl:TherapyOption
        [ a owl:Restriction ; owl:onProperty nxl:uses ; owl:someValuesFrom nxl:Morphine ]
        [ a owl:Restriction ; owl:onProperty nxl:forPatient ; owl:someValuesFrom {condition} ] ) ] .
"""
NEEDS_AN_OPTION = "[ a owl:Restriction ; owl:onProperty nxl:hasOption ; owl:someValuesFrom nxl:{option} ]"
DOUBLE = """
nxl:PatientWithDoubleEgfr a owl:Class ;
    rdfs:label "patient with a double"@en ;
    rdfs:subClassOf nxl:Patient ;
    owl:equivalentClass [ a owl:Class ; owl:intersectionOf ( nxl:Patient
        [ a owl:Restriction ; owl:onProperty nxl:estimatedGfr ; owl:someValuesFrom
            [ a rdfs:Datatype ; owl:onDatatype xsd:decimal ; owl:withRestrictions ( [ xsd:maxExclusive 3.0e1 ] ) ] ] ) ] .
"""


@pytest.mark.parametrize(
    ("module", "axiom", "told"),
    [
        (
            "guideline-seed.ttl",
            OPTION.format(kind="SeedThirdLineOption", condition="nxl:SeedSecondLineExhausted"),
            "Monotherapy",
        ),
        (
            "safety.ttl",
            OPTION.format(kind="ContraindicatedOption", condition=NEEDS_AN_OPTION.format(option="SeedEligibleOption")),
            "novel",
        ),
        (
            "safety.ttl",
            OPTION.format(kind="ContraindicatedOption", condition=NEEDS_AN_OPTION.format(option="MorphineTherapy")),
            "whole-class",
        ),
        ("safety.ttl", DOUBLE, "decimal"),
    ],
    ids=["indication-of-unstated-kind", "cycle", "one-member-for-its-class", "double"],
)
def test_an_axiom_that_would_mislead_the_reasoner_is_refused(
    edit: Edit, tmp_path: Path, module: str, axiom: str, told: str
) -> None:
    folder = edit(module, axiom)
    with pytest.raises(UnsupportedAxiom) as caught:
        build(folder, tmp_path / "build")
    assert told in str(caught.value)
    assert caught.value.mend
    assert not (tmp_path / "build").exists()


def test_a_folder_that_cannot_be_written_is_named(ontology: Path, tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.write_text("a file")
    with pytest.raises(NotWritable) as caught:
        build(ontology, target)
    assert caught.value.place == str(target)


# --- the deadline -------------------------------------------------------------------------------------------------


def pigeons(count: int) -> Graph:
    """A small ontology on which a tableau reasoner works for a very long time: more pigeons than holes."""
    holes = range(count - 1)
    names = " ".join(f"x:Hole{h}" for h in holes)
    lines = [
        "@prefix owl: <http://www.w3.org/2002/07/owl#> .",
        "@prefix x: <https://example.org/> .",
        "x:in a owl:ObjectProperty .",
    ]
    lines += [f"x:Hole{h} a owl:Class ." for h in holes]
    lines += [
        f"x:house a [ a owl:Restriction ; owl:onProperty x:in ; owl:onClass x:Hole{h} ; "
        f'owl:maxQualifiedCardinality "1"^^<http://www.w3.org/2001/XMLSchema#nonNegativeInteger> ] .'
        for h in holes
    ]
    lines += [f"x:p{p} a [ a owl:Class ; owl:unionOf ( {names} ) ] . x:house x:in x:p{p} ." for p in range(count)]
    lines += [f"[] a owl:AllDifferent ; owl:distinctMembers ( {' '.join(f'x:p{p}' for p in range(count))} ) ."]
    return Graph().parse(data="\n".join(lines), format="turtle")


def workers_marked(mark: str) -> set[int]:
    """The processes that were started with `mark` in their environment."""
    return {number for number, folder in processes() if mark.encode() in content(folder / "environ")}


def programs_of(sessions: set[int]) -> set[str]:
    """The programs of all processes in the sessions that these processes lead."""
    found = set()
    for _, folder in processes():
        fields = content(folder / "stat").rpartition(b")")[2].split()
        if fields and int(fields[3]) in sessions and fields[0] != b"Z":
            found.add(Path(content(folder / "cmdline").split(b"\0")[0].decode()).name)
    return found


def processes() -> list[tuple[int, Path]]:
    return [(int(folder.name), folder) for folder in Path("/proc").glob("[0-9]*")]


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process ended meanwhile, or is not ours
        return b""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads the process table of Linux")
def test_the_deadline_ends_the_reasoner_and_its_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker leads a session of its own, and Java runs in it."""
    mark = f"nextline-test-{uuid.uuid4()}"
    monkeypatch.setenv("NEXTLINE_TEST_MARK", mark)
    workers: set[int] = set()
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            workers.update(workers_marked(mark))
            seen.update(programs_of(workers))

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    try:
        with pytest.raises(ReasonerTimeout) as caught:
            reason(pigeons(14), deadline_seconds=6)
    finally:
        ended.set()
        watcher.join()
    assert time.monotonic() - started < 15
    assert "6 seconds" in caught.value.problem
    assert "java" in seen, "Java was running before the deadline"
    patience = threading.Event()
    until = time.monotonic() + 10
    while programs_of(workers) and time.monotonic() < until:
        patience.wait(0.05)
    assert not programs_of(workers)
