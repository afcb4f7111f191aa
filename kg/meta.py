"""What a build holds, for those who look for data and for tools: VoID counts and linksets, DCAT, prefixes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from rdflib import DCAT, DCTERMS, OWL, PROV, RDF, RDFS, SKOS, VOID, XSD, Graph, Literal, URIRef
from rdflib.term import Node

from kg.namespaces import DATASET, ENDPOINT, GRAPH, META, NXL, PREFIXES, ROOT_IRI, SH, local_name

_MATCHES = (SKOS.exactMatch, SKOS.closeMatch, SKOS.broadMatch, SKOS.narrowMatch, SKOS.relatedMatch)
_COPIED = (DCTERMS.title, DCTERMS.description, DCTERMS.creator, DCTERMS.license)
_TYPES = ("text/turtle", "application/n-triples", "application/rdf+xml", "application/ld+json")
_MEDIA_TYPES = "https://www.iana.org/assignments/media-types/"
_TITLES = {
    "asserted": "what the curators wrote",
    "inferred": "what the reasoner adds to the class hierarchy",
    "flat": "what definitions say, as direct triples",
    "examples": "example patients with their verdicts",
}


def meta_graph(ontology_hash: str, software: str, graphs: Mapping[str, Graph]) -> Graph:
    """The description of a build; `ontology_hash` is that of its content, `graphs` are by the last part of their IRI."""
    meta = Graph()
    _dataset(meta, ontology_hash, software, graphs["asserted"])
    for name, graph in graphs.items():
        iri = GRAPH[name]
        meta.add((DATASET, VOID.subset, iri))
        meta.add((iri, RDF.type, VOID.Dataset))
        meta.add((iri, DCTERMS.title, Literal(_TITLES.get(name, name), lang="en")))
        _counts(meta, iri, name, graph)
    _linksets(meta, graphs["asserted"])
    for prefix, namespace in PREFIXES.items():
        declaration = META[f"prefix/{prefix}"]
        meta.add((DATASET, SH.declare, declaration))
        meta.add((declaration, SH.prefix, Literal(prefix)))
        meta.add((declaration, SH.namespace, Literal(namespace, datatype=XSD.anyURI)))
    return meta


def _dataset(meta: Graph, ontology_hash: str, software: str, asserted: Graph) -> None:
    """The dataset with its licence, version, provenance and distributions.

    It has an IRI of its own: what is said of the ontology stands in the ontology, and no triple in two graphs.
    """
    for kind in (VOID.Dataset, DCAT.Dataset, PROV.Entity):
        meta.add((DATASET, RDF.type, kind))
    meta += ((DATASET, p, value) for p in _COPIED for value in asserted.objects(ROOT_IRI, p))
    meta += ((DATASET, URIRef(f"{DCAT._NS}version"), value) for value in asserted.objects(ROOT_IRI, OWL.versionInfo))
    meta += ((DATASET, PROV.wasDerivedFrom, value) for value in asserted.objects(ROOT_IRI, OWL.versionIRI))
    issued = (Literal(str(value), datatype=XSD.date) for value in asserted.objects(ROOT_IRI, DCTERMS.issued))
    meta += ((DATASET, DCTERMS.issued, value) for value in issued)
    meta.add((DATASET, DCTERMS.identifier, Literal(f"sha256:{ontology_hash}")))
    meta.add((DATASET, VOID.sparqlEndpoint, ENDPOINT))
    meta.add((DATASET, VOID.uriSpace, Literal(str(NXL))))
    meta += ((DATASET, VOID.vocabulary, URIRef(namespace)) for namespace in PREFIXES.values())
    meta += ((DATASET, VOID.exampleResource, term) for term in (NXL.Patient, NXL.Therapy))
    activity, agent = META.build, META.software
    meta.add((DATASET, PROV.wasGeneratedBy, activity))
    meta.add((activity, RDF.type, PROV.Activity))
    meta.add((activity, PROV.used, ROOT_IRI))
    meta.add((activity, PROV.wasAssociatedWith, agent))
    meta.add((agent, RDF.type, PROV.SoftwareAgent))
    meta.add((agent, RDFS.label, Literal(f"Nextline {software}")))
    service, distribution = META.service, META.distribution
    meta.add((service, RDF.type, DCAT.DataService))
    meta.add((service, DCAT.endpointURL, ENDPOINT))
    meta.add((service, DCAT.servesDataset, DATASET))
    meta.add((service, DCTERMS.conformsTo, URIRef("http://www.w3.org/TR/sparql11-protocol/")))
    meta.add((DATASET, DCAT.distribution, distribution))
    meta.add((distribution, RDF.type, DCAT.Distribution))
    meta.add((distribution, DCAT.accessService, service))
    meta.add((distribution, DCAT.accessURL, ENDPOINT))
    meta += ((distribution, DCTERMS.license, value) for value in asserted.objects(ROOT_IRI, DCTERMS.license))
    meta += ((distribution, DCAT.mediaType, URIRef(_MEDIA_TYPES + type_)) for type_ in _TYPES)


def _counts(meta: Graph, iri: URIRef, name: str, graph: Graph) -> None:
    """How many triples, subjects, objects, properties and classes a graph has; the last two also one by one."""
    subjects: set[Node] = set()
    objects: set[Node] = set()
    by_property: Counter[Node] = Counter()
    members: dict[Node, set[Node]] = defaultdict(set)
    for subject, predicate, target in graph:
        subjects.add(subject)
        objects.add(target)
        by_property[predicate] += 1
        if predicate == RDF.type:
            members[target].add(subject)
    classes = {c: of for c, of in members.items() if isinstance(c, URIRef)}
    _number(meta, iri, VOID.triples, len(graph))
    _number(meta, iri, VOID.distinctSubjects, len(subjects))
    _number(meta, iri, VOID.distinctObjects, len(objects))
    _number(meta, iri, VOID.properties, len(by_property))
    _number(meta, iri, VOID.classes, len(classes))
    for number, (predicate, triples) in enumerate(sorted(by_property.items()), start=1):
        part = META[f"{name}/property/{number}"]
        meta.add((iri, VOID.propertyPartition, part))
        meta.add((part, VOID.property, predicate))
        _number(meta, part, VOID.triples, triples)
    for number, (class_, found) in enumerate(sorted(classes.items()), start=1):
        part = META[f"{name}/class/{number}"]
        meta.add((iri, VOID.classPartition, part))
        meta.add((part, VOID["class"], class_))
        _number(meta, part, VOID.entities, len(found))


def _linksets(meta: Graph, asserted: Graph) -> None:
    """How many terms are mapped to each other terminology, by how well they match; one linkset for each."""
    systems = {
        str(asserted.value(declaration, SH.namespace)): str(asserted.value(declaration, SH.prefix))
        for declaration in asserted.objects(None, SH.declare)
    }
    for match in _MATCHES:
        links: Counter[str] = Counter()
        for target in asserted.objects(None, match):
            links[next((s for s in systems if str(target).startswith(s)), "")] += 1
        for namespace, triples in sorted(links.items()):
            if not namespace:
                continue
            system = systems[namespace]
            linkset, target = META[f"linkset/{system}/{local_name(match)}"], META[f"terminology/{system}"]
            meta.add((DATASET, VOID.subset, linkset))
            meta.add((linkset, RDF.type, VOID.Linkset))
            meta.add((linkset, VOID.linkPredicate, match))
            meta.add((linkset, VOID.subjectsTarget, DATASET))
            meta.add((linkset, VOID.objectsTarget, target))
            _number(meta, linkset, VOID.triples, triples)
            meta.add((target, RDF.type, VOID.Dataset))
            meta.add((target, DCTERMS.title, Literal(system)))
            meta.add((target, VOID.uriSpace, Literal(namespace)))


def _number(meta: Graph, subject: URIRef, predicate: URIRef, value: int) -> None:
    meta.add((subject, predicate, Literal(value, datatype=XSD.integer)))
