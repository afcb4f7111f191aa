"""The generated closure module: what open-world OWL cannot know, stated from the authored modules.

It says that a kind of statement holds only through one of its statements, that a leaf substance is of no group but its
own, what the members of a whole-class therapy are, and that a substance not tolerated makes its options unusable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rdflib import OWL, RDFS, Graph, URIRef

from kg.canonical import content_hash
from kg.errors import NotWritable, StaleClosure
from kg.namespaces import CLOSURE_IRI, NXL, local_name
from kg.sources import Sources, read_module
from kg.taxonomy import Taxonomy
from kg.therapies import WholeClassTherapy, read_whole_class_therapies

FILE_NAME = "closure.ttl"

# The classes below which a primitive class is the union of its subclasses: they alone decide a status.
_CLOSED_BELOW = (
    NXL.UnusableOption,
    NXL.IndicatedOption,
    NXL.RecommendedAgainstOption,
    NXL.ExhaustedOption,
    NXL.Patient,
    NXL.TherapyCourse,
    NXL.CoursePart,
)
_OPEN = frozenset({NXL.Patient, NXL.TherapyCourse, NXL.CoursePart})
_CARRIED_TO_MEMBERS = (NXL.ContraindicatedOption, NXL.JudgedUnsuitableOption, NXL.UnusableOption)


def generate(sources: Sources) -> str:
    """The text of the closure module for `sources`, in Turtle, one member a line."""
    graph = sources.graph
    taxonomy = Taxonomy.of(graph)
    helpers = read_whole_class_therapies(graph, taxonomy)
    blocks = [
        _header(content_hash(graph)),
        *_intolerances(helpers),
        *_unions(graph, taxonomy, helpers),
        *_leaf_disjointness(taxonomy),
        *_member_covers(helpers),
    ]
    return "\n".join(blocks) + "\n"


def generate_graph(sources: Sources) -> Graph:
    """The closure module for `sources` as triples."""
    return Graph().parse(data=generate(sources), format="turtle")


def write(sources: Sources) -> Path:
    """Write the closure module beside the modules and return its path. Raises NotWritable."""
    path = sources.folder / FILE_NAME
    try:
        path.write_text(generate(sources), encoding="utf-8")
    except OSError as error:
        raise NotWritable(str(path), f"cannot be written ({error.strerror}).", "Give the folder write permission.") from None
    return path


def check(sources: Sources) -> None:
    """Raise StaleClosure unless the committed closure module was generated from exactly these modules."""
    path = sources.folder / FILE_NAME
    mend = "Run `nextline closure` and commit the file that it writes."
    if not path.is_file():
        raise StaleClosure(str(path), "there is no closure module.", mend)
    stated = read_module(path).graph.value(CLOSURE_IRI, NXL.sourceHash)
    if stated is None or str(stated) != content_hash(sources.graph):
        raise StaleClosure(str(path), "the closure was generated from other modules than those beside it.", mend)


def _header(source_hash: str) -> str:
    return f"""# Generated from the modules beside it. Do not edit: run `nextline closure`.
@prefix nxl: <{NXL}> .
@prefix owl: <{OWL}> .
@prefix rdfs: <{RDFS}> .
@prefix dcterms: <http://purl.org/dc/terms/> .

<{CLOSURE_IRI}> a owl:Ontology ;
    owl:imports <{str(NXL).rstrip("/")}> ;
    dcterms:title "Nextline closure"@en ;
    dcterms:description "What open-world OWL cannot know, generated from the authored modules."@en ;
    dcterms:license <https://creativecommons.org/licenses/by/4.0/> ;
    dcterms:creator "The Nextline project"@en ;
    nxl:sourceHash "{source_hash}" .

nxl:sourceHash a owl:AnnotationProperty ;
    rdfs:label "hash of the source modules"@en .
"""


def _name(iri: URIRef) -> str:
    return f"nxl:{local_name(iri)}"


def _lines(terms: Iterable[str]) -> str:
    return "\n".join(f"    {term}" for term in terms)


def _intolerance_name(substance: URIRef) -> str:
    return f"nxl:{local_name(substance)}NotToleratedOption"


def _member_substances(helpers: Iterable[WholeClassTherapy]) -> list[URIRef]:
    return sorted({s for h in helpers for t in h.members for s in t.uses})


def _intolerances(helpers: tuple[WholeClassTherapy, ...]) -> Iterator[str]:
    for substance in _member_substances(helpers):
        part = f"[ a owl:Class ; owl:intersectionOf ( nxl:PartNotTolerated {_some('ofSubstance', _name(substance))} ) ]"
        patient = _some("hadCourse", _some("hasCoursePart", part))
        yield f"""{_intolerance_name(substance)} a owl:Class ;
    rdfs:subClassOf nxl:SubstanceNotToleratedOption ;
    owl:equivalentClass [ a owl:Class ; owl:intersectionOf (
        nxl:TherapyOption
        {_some("uses", _name(substance))}
        {_some("forPatient", patient)}
    ) ] .
"""


def _some(property_name: str, filler: str) -> str:
    return f"[ a owl:Restriction ; owl:onProperty nxl:{property_name} ; owl:someValuesFrom {filler} ]"


def _unions(graph: Graph, taxonomy: Taxonomy, helpers: tuple[WholeClassTherapy, ...]) -> Iterator[str]:
    intolerances = [_intolerance_name(s) for s in _member_substances(helpers)]
    closed = {c for top in _CLOSED_BELOW for c in taxonomy.below(top)} - _OPEN
    for superclass in sorted(closed):
        if (superclass, OWL.equivalentClass, None) in graph:
            continue
        members = [_name(c) for c in sorted(taxonomy.children(superclass))]
        if superclass == NXL.SubstanceNotToleratedOption:
            members += intolerances
        if len(members) == 1:  # a union of one member is a cycle that Owlready2 cannot load
            yield f"{_name(superclass)} owl:equivalentClass {members[0]} .\n"
        elif members:
            yield f"{_name(superclass)} rdfs:subClassOf [ a owl:Class ; owl:unionOf (\n{_lines(members)}\n) ] .\n"


def _leaf_disjointness(taxonomy: Taxonomy) -> Iterator[str]:
    everything = taxonomy.below(NXL.Intervention)
    leaves = sorted(taxonomy.leaves(NXL.Intervention))
    if len(leaves) > 1:
        yield f"[] a owl:AllDisjointClasses ; owl:members (\n{_lines(_name(c) for c in leaves)}\n) .\n"
    for leaf in leaves:
        others = sorted(everything - taxonomy.above(leaf) - set(leaves))
        if others:
            yield f"{_name(leaf)} owl:disjointWith\n" + ",\n".join(f"    {_name(c)}" for c in others) + " .\n"


def _member_covers(helpers: tuple[WholeClassTherapy, ...]) -> Iterator[str]:
    for helper in helpers:
        if not helper.members:
            continue
        cases = []
        for member in helper.members:
            restrictions = [_some("uses", _name(s)) for s in member.uses]
            cases.append(
                restrictions[0] if len(restrictions) == 1 else f"[ a owl:Class ; owl:intersectionOf ( {' '.join(restrictions)} ) ]"
            )
        cover = cases[0] if len(cases) == 1 else f"[ a owl:Class ; owl:unionOf (\n{_lines(cases)}\n) ]"
        yield f"{_name(helper.iri)} rdfs:subClassOf {cover} .\n"
        substances = sorted({s for t in helper.members for s in t.uses})
        only = _name(substances[0]) if len(substances) == 1 else f"[ a owl:Class ; owl:unionOf (\n{_lines(map(_name, substances))}\n) ]"
        yield f"{_name(helper.iri)} rdfs:subClassOf [ a owl:Restriction ; owl:onProperty nxl:uses ; owl:allValuesFrom {only} ] .\n"
        for kind in _CARRIED_TO_MEMBERS:
            whole = f"[ a owl:Class ; owl:intersectionOf ( {_name(helper.iri)} {_name(kind)} ) ]"
            for member in helper.members:
                part = f"[ a owl:Class ; owl:intersectionOf ( {_name(member.iri)} {_name(kind)} ) ]"
                yield f"{whole} rdfs:subClassOf {_some('forPatient', _some('hasOption', part))} ."
        yield ""


