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
from kg.statements import branches, conjuncts, read_statements
from kg.taxonomy import Taxonomy
from kg.therapies import WholeClassTherapy, read_therapies, read_whole_class_therapies

FILE_NAME = "closure.ttl"

_PREFIXES = f"""@prefix nxl: <{NXL}> .
@prefix owl: <{OWL}> .
@prefix rdfs: <{RDFS}> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix vann: <http://purl.org/vocab/vann/> .
"""
_OPEN = frozenset({NXL.Patient, NXL.TherapyCourse, NXL.CoursePart})


def generate(sources: Sources) -> str:
    """The text of the closure module for `sources`, in Turtle, one member a line."""
    return _generate(sources.graph)


def _generate(graph: Graph) -> str:
    taxonomy = Taxonomy.of(graph)
    helpers = read_whole_class_therapies(graph, taxonomy)
    blocks = [
        _header(content_hash(graph)),
        *_intolerances(helpers),
        *_member_covers(helpers),
        *_unions(graph, taxonomy, _decided_by_patient_data(graph)),
        *_therapy_unions(graph, taxonomy),
        *_leaf_disjointness(taxonomy),
    ]
    return "\n".join(blocks) + "\n"


def entailing_axioms(graph: Graph, taxonomy: Taxonomy) -> Graph:
    """The part of the closure that makes something true; the rest of it only makes something false."""
    helpers = read_whole_class_therapies(graph, taxonomy)
    return _parse([*_intolerances(helpers), *_member_covers(helpers)])


def refuting_axioms(graph: Graph, taxonomy: Taxonomy) -> Graph:
    """What the refutation of an indication needs beyond the closure: steps and indications hold only through their branches.

    Kept out of the closure module, because it makes classification slow and adds no entailed statement.
    """
    helpers = read_whole_class_therapies(graph, taxonomy)
    undecided = {NXL.UnusableOption, NXL.SubstanceNotToleratedOption, *_guideline_conditions(graph, taxonomy)}
    blocks = [*_unions(graph, taxonomy, frozenset(undecided), helpers), *_member_projections(helpers)]
    return _parse(blocks)


def closure_of(graph: Graph) -> Graph:
    """The closure module for authored modules, as triples."""
    return Graph().parse(data=_generate(graph), format="turtle")


def write(sources: Sources) -> Path:
    """Write the closure module beside the modules and return its path. Raises NotWritable."""
    path = sources.folder / FILE_NAME
    try:
        path.write_text(generate(sources), encoding="utf-8")
    except OSError as error:
        raise NotWritable(
            str(path), f"cannot be written ({error.strerror}).", "Give the folder write permission."
        ) from None
    return path


def check(sources: Sources) -> None:
    """Raise StaleClosure unless the committed closure module is what these modules generate."""
    path = sources.folder / FILE_NAME
    mend = "Run `nextline closure` and commit the file that it writes."
    if not path.is_file():
        raise StaleClosure(str(path), "there is no closure module.", mend)
    module = read_module(path)
    stated = module.graph.value(CLOSURE_IRI, NXL.sourceHash)
    if stated is None or str(stated) != content_hash(sources.graph):
        raise StaleClosure(str(path), "the closure was generated from other modules than those beside it.", mend)
    if content_hash(module.graph) != content_hash(closure_of(sources.graph)):
        raise StaleClosure(str(path), "the closure is not the one that the modules generate.", mend)


def option_steps(graph: Graph, taxonomy: Taxonomy) -> frozenset[URIRef]:
    """The branches of steps that hold through an option: the group impossible, judged unsuitable or unusable."""
    return frozenset(
        c
        for c in _guideline_conditions(graph, taxonomy)
        if any(graph.value(part, OWL.onProperty) == NXL.hasOption for part in conjuncts(graph, c))
    )


def undeciding_of_trials(graph: Graph, taxonomy: Taxonomy) -> frozenset[URIRef]:
    """The defined classes that play no part in whether trials spend a step, close an option, or put it in use."""
    statements = {c for c in taxonomy.below(NXL.TherapyOption) if (c, NXL.statement, None) in graph}
    tops = (NXL.RecommendedAgainstOption, NXL.ExhaustedOption, NXL.InUseOption)
    decided = {c for top in tops for c in taxonomy.below(top)}
    return frozenset(statements - decided) | option_steps(graph, taxonomy) | _eligible_classes(graph)


def undeciding_classes(graph: Graph, taxonomy: Taxonomy) -> frozenset[URIRef]:
    """The defined classes that play no part in a contraindication or an intolerance: advice, steps and trials."""
    options = {c for c in taxonomy.below(NXL.TherapyOption) if (c, NXL.statement, None) in graph}
    trials = taxonomy.below(NXL.TherapyCourse) | taxonomy.below(NXL.TherapeuticallyDosedPart)
    decided = taxonomy.below(NXL.ContraindicatedOption)
    return (frozenset(options) - decided) | _guideline_conditions(graph, taxonomy) | trials


def _eligible_classes(graph: Graph) -> frozenset[URIRef]:
    return frozenset(URIRef(str(c)) for c in graph.objects(None, NXL.eligibleOptionClass))


def _header(source_hash: str) -> str:
    return f"""# Generated from the modules beside it. Do not edit: run `nextline closure`.
{_PREFIXES}
<{CLOSURE_IRI}> a owl:Ontology ;
    owl:imports <{str(NXL).rstrip("/")}> ;
    dcterms:title "Nextline closure"@en ;
    dcterms:description "What open-world OWL cannot know, generated from the authored modules."@en ;
    owl:versionIRI <{CLOSURE_IRI}/{source_hash[:12]}> ;
    owl:versionInfo "{source_hash[:12]}" ;
    vann:preferredNamespacePrefix "nxl" ;
    vann:preferredNamespaceUri "{NXL}" ;
    dcterms:license <https://creativecommons.org/licenses/by/4.0/> ;
    dcterms:creator "The Nextline project"@en ;
    nxl:sourceHash "{source_hash}" .
"""


def _name(iri: URIRef) -> str:
    return f"nxl:{local_name(iri)}"


def _lines(terms: Iterable[str]) -> str:
    return "\n".join(f"    {term}" for term in terms)


def intolerance_of(substance: URIRef) -> URIRef:
    """The class of options whose substance the patient did not tolerate."""
    return NXL[f"{local_name(substance)}NotToleratedOption"]


def _intolerance_name(substance: URIRef) -> str:
    return _name(intolerance_of(substance))


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


def _guideline_conditions(graph: Graph, taxonomy: Taxonomy) -> frozenset[URIRef]:
    """The steps, scopes and indications of all guidelines, with everything below them."""
    roles = (NXL.stepClass, NXL.scopePatientClass, NXL.indicatedOptionClass)
    tops = {URIRef(str(c)) for role in roles for c in graph.objects(None, role)}
    return frozenset(c for top in tops for c in taxonomy.below(top))


def _decided_by_patient_data(graph: Graph) -> frozenset[URIRef]:
    """The classes whose negation decides a status: patient bands, courses, parts, and what closes an option."""
    taxonomy = Taxonomy.of(graph)
    tops = (NXL.Patient, NXL.TherapyCourse, NXL.CoursePart, NXL.RecommendedAgainstOption, NXL.ExhaustedOption)
    closed = {c for top in tops for c in taxonomy.below(top)}
    return frozenset(closed - _OPEN - _guideline_conditions(graph, taxonomy))


def _unions(
    graph: Graph, taxonomy: Taxonomy, classes: frozenset[URIRef], helpers: tuple[WholeClassTherapy, ...] = ()
) -> Iterator[str]:
    roles = {
        c for role in (NXL.recommendedAgainstOptionClass, NXL.exhaustedOptionClass) for c in graph.objects(None, role)
    }
    for superclass in sorted(classes):
        if (superclass, OWL.equivalentClass, None) in graph:
            continue
        members = [_name(c) for c in branches(graph, taxonomy, superclass)]
        if superclass == NXL.SubstanceNotToleratedOption:
            members += [_intolerance_name(s) for s in _member_substances(helpers)]
        if len(members) == 1:  # a union of one member is a cycle that Owlready2 cannot load
            yield f"{_name(superclass)} owl:equivalentClass {members[0]} .\n"
        elif members:
            yield f"{_name(superclass)} rdfs:subClassOf {_union(members)} .\n"
        elif superclass in roles:  # a guideline that says nothing of the kind forbids nothing by it
            yield f"{_name(superclass)} rdfs:subClassOf owl:Nothing .\n"


def _therapy_unions(graph: Graph, taxonomy: Taxonomy) -> Iterator[str]:
    """An option of a therapy is contraindicated only through a statement that concerns the therapy."""
    statements = [
        s for s in read_statements(graph, taxonomy).values() if taxonomy.is_a(s.iri, NXL.ContraindicatedOption)
    ]
    for therapy in read_therapies(graph, taxonomy):
        concerned = sorted(_name(s.iri) for s in statements if s.concerns(therapy, taxonomy))
        contraindicated = f"[ a owl:Class ; owl:intersectionOf ( {_name(therapy.iri)} nxl:ContraindicatedOption ) ]"
        if concerned:
            cover = concerned[0] if len(concerned) == 1 else _union(concerned)
            yield f"{contraindicated} rdfs:subClassOf {cover} .\n"
        else:
            yield f"{_name(therapy.iri)} owl:disjointWith nxl:ContraindicatedOption .\n"


def _union(members: Iterable[str]) -> str:
    return f"[ a owl:Class ; owl:unionOf (\n{_lines(members)}\n) ]"


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
    """A whole-class therapy uses what one of its members uses: so what closes each member closes the class."""
    for helper in helpers:
        cases = []
        for member in helper.members:
            uses = [_some("uses", _name(s)) for s in member.uses]
            cases.append(uses[0] if len(uses) == 1 else f"[ a owl:Class ; owl:intersectionOf ( {' '.join(uses)} ) ]")
        if not cases:
            continue
        substances = [_name(s) for s in sorted({s for t in helper.members for s in t.uses})]
        only = substances[0] if len(substances) == 1 else _union(substances)
        yield f"{_name(helper.iri)} rdfs:subClassOf {cases[0] if len(cases) == 1 else _union(cases)} .\n"
        yield f"{_name(helper.iri)} rdfs:subClassOf [ a owl:Restriction ; owl:onProperty nxl:uses ; owl:allValuesFrom {only} ] .\n"


def _member_projections(helpers: tuple[WholeClassTherapy, ...]) -> Iterator[str]:
    """What makes a whole class unusable makes each of its members so, for reasons that may differ from member to member."""
    for helper in helpers:
        whole = f"[ a owl:Class ; owl:intersectionOf ( {_name(helper.iri)} nxl:UnusableOption ) ]"
        for member in helper.members:
            part = f"[ a owl:Class ; owl:intersectionOf ( {_name(member.iri)} nxl:UnusableOption ) ]"
            yield f"{whole} rdfs:subClassOf {_some('forPatient', _some('hasOption', part))} ."


def _parse(blocks: Iterable[str]) -> Graph:
    return Graph().parse(data="\n".join([_PREFIXES, *blocks]), format="turtle")
