"""The ontology as the engines use it: hierarchies, therapies, statements and guidelines, read once from the graphs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from rdflib import OWL, RDF, RDFS, Graph, Literal, URIRef

from kg.guidelines import Guideline, read_guidelines
from kg.namespaces import NXL
from kg.statements import Statement, conjuncts, read_statements
from kg.taxonomy import Taxonomy
from kg.therapies import Therapy, WholeClassTherapy, read_therapies, read_whole_class_therapies

_KIND_ORDER = (
    "contraindication",
    "recommendation-against",
    "exhaustion",
    "in-use",
    "indication",
    "reservation",
    "interaction",
    "dose-adjustment",
    "caution",
    "limited-efficacy",
    "prerequisite",
    "dosing",
)


class Knowledge:
    """A read-only view of an ontology: `graph` holds the authored modules, `taxonomy` the classified hierarchy.

    `stated` is the hierarchy as authored: it tells what kind of statement an author meant, also where the reasoner finds
    two statements to have the same extension.
    """

    def __init__(self, graph: Graph, taxonomy: Taxonomy | None = None) -> None:
        self.graph = graph
        self.stated = Taxonomy.of(graph)
        self.taxonomy = taxonomy or self.stated
        self._contraindications: dict[URIRef, tuple[Statement, ...]] = {}
        self._wash_outs: dict[URIRef, int] = {}

    @property
    def interventions(self) -> Taxonomy:
        """The hierarchy in which substances and procedures stand."""
        return self.taxonomy

    @cached_property
    def therapies(self) -> tuple[Therapy, ...]:
        """The therapies considered as options, ordered by IRI."""
        return read_therapies(self.graph, self.taxonomy)

    @cached_property
    def whole_class_therapies(self) -> tuple[WholeClassTherapy, ...]:
        """The helpers that stand for whole groups."""
        return read_whole_class_therapies(self.graph, self.taxonomy)

    @cached_property
    def statements(self) -> dict[URIRef, Statement]:
        """Every statement by IRI."""
        return read_statements(self.graph, self.stated)

    @cached_property
    def guidelines(self) -> dict[str, Guideline]:
        """Every guideline by the code that requests use."""
        return read_guidelines(self.graph)

    def statements_below(self, kind: URIRef) -> tuple[Statement, ...]:
        """The statements that were authored below a class, ordered by IRI."""
        below = self.stated.below(kind)
        return tuple(self.statements[iri] for iri in sorted(below & self.statements.keys()))

    def kind_code(self, statement: str) -> str | None:
        """The code of the kind that a statement was authored as, or None."""
        known = self.statements.get(URIRef(statement))
        code = self.graph.value(known.kind, NXL.kindCode) if known is not None and known.kind is not None else None
        return None if code is None else str(code)

    def display_order(self, statement: str) -> tuple[int, int, str]:
        """Where answers list a statement: by its kind, then by its severity."""
        known = self.statements.get(URIRef(statement))
        code = self.kind_code(statement)
        kind = _KIND_ORDER.index(code) if code in _KIND_ORDER else len(_KIND_ORDER)
        return (kind, self.individual_rank(known.severity if known else None), statement)

    def individual_code(self, individual: URIRef | None) -> str | None:
        """The short code of a value such as a severity or a line, or None."""
        code = None if individual is None else self.graph.value(individual, NXL.code)
        return None if code is None else str(code)

    def individual_rank(self, individual: URIRef | None) -> int:
        """The rank of a value; values without one come last."""
        rank = None if individual is None else self.graph.value(individual, NXL.rank)
        return int(str(rank)) if rank is not None else 1_000

    @cached_property
    def findings(self) -> frozenset[URIRef]:
        """All finding classes."""
        return self.taxonomy.below(NXL.Finding) - {NXL.Finding}

    @cached_property
    def quantities(self) -> tuple[URIRef, ...]:
        """The data properties that hold a measurement: those of a patient that have a request code."""
        found = (p for p in self.graph.subjects(RDF.type, OWL.DatatypeProperty) if (p, NXL.code, None) in self.graph)
        return tuple(sorted(URIRef(str(p)) for p in found))

    @cached_property
    def excluded_findings(self) -> dict[URIRef, frozenset[URIRef]]:
        """The findings that a class of patients never has, by class: its superclasses `not (hasFinding some …)`."""
        found: dict[URIRef, frozenset[URIRef]] = {}
        for term in sorted(self.stated.below(NXL.Patient)):
            operands = [self.graph.value(s, OWL.complementOf) for s in self.graph.objects(term, RDFS.subClassOf)]
            fillers = {
                self.graph.value(o, OWL.someValuesFrom)
                for o in operands
                if o is not None and self.graph.value(o, OWL.onProperty) == NXL.hasFinding
            }
            below = {b for f in fillers if isinstance(f, URIRef) for b in self.taxonomy.below(f)}
            if below:
                found[term] = frozenset(below)
        return found

    @cached_property
    def never_assumed_absent(self) -> frozenset[URIRef]:
        """The findings about which silence never means absence, with everything below them."""
        flagged = self.graph.subjects(NXL.neverAssumedAbsent, Literal(True))
        return frozenset(c for f in flagged for c in self.taxonomy.below(URIRef(str(f))))

    def deniable_findings(
        self, present: Iterable[URIRef], kept: frozenset[URIRef], absent: Iterable[URIRef] = ()
    ) -> frozenset[URIRef]:
        """The most general findings that are neither reported nor unspecified, and that deny nothing in `kept`.

        A finding above a reported one is implied by it; one below a reported one is unspecified, unless it is absent.
        """
        reported = tuple(present)
        implied = frozenset(c for f in reported for c in self.taxonomy.above(f))
        denied = frozenset(c for f in absent for c in self.taxonomy.below(f))
        unspecified = frozenset(c for f in reported for c in self.taxonomy.below(f)) - denied
        free = {
            f
            for f in self.findings - implied - unspecified
            if not self.taxonomy.below(f) & (kept | implied | unspecified)
        }
        return frozenset(f for f in free if not (self.taxonomy.above(f) - {f}) & free)

    def contraindications_of(self, therapy: Therapy) -> tuple[Statement, ...]:
        """The contraindications whose intervention side holds for every option of the therapy."""
        if therapy.iri not in self._contraindications:
            below = self.statements_below(NXL.ContraindicatedOption)
            self._contraindications[therapy.iri] = tuple(s for s in below if s.concerns(therapy, self.taxonomy))
        return self._contraindications[therapy.iri]

    @cached_property
    def finding_by_field(self) -> dict[str, URIRef]:
        """The findings that a field of the record reports, by the name of the field (the finding's code)."""
        coded = ((f, self.graph.value(f, NXL.code)) for f in self.findings)
        return {str(code): finding for finding, code in coded if code is not None}

    @cached_property
    def dosed_groups(self) -> frozenset[URIRef]:
        """The interventions for which some class of parts names a therapeutic dose in mg a day."""
        groups = set()
        for part_class in self.taxonomy.below(NXL.TherapeuticallyDosedPart):
            substance, dosed = None, False
            for conjunct in conjuncts(self.graph, part_class):
                property_ = self.graph.value(conjunct, OWL.onProperty)
                dosed = dosed or property_ == NXL.dailyDoseMg
                if property_ == NXL.ofSubstance:
                    substance = self.graph.value(conjunct, OWL.someValuesFrom)
            if dosed and isinstance(substance, URIRef):
                groups.add(substance)
        return frozenset(groups)

    @cached_property
    def longest_wash_out_days(self) -> int:
        """The longest time since the last intake, in days, that any medication class of the ontology asks about."""
        return max((self._window(c) for c in self.taxonomy.below(NXL.Medication)), default=0)

    def wash_out_days(self, group: URIRef) -> int:
        """The longest time since the last intake that the ontology asks about for something of a group, in days."""
        if group not in self._wash_outs:
            related = (days for other, days in self._asked_medications if not self.are_disjoint(group, other))
            self._wash_outs[group] = max(related, default=0)
        return self._wash_outs[group]

    @cached_property
    def _asked_medications(self) -> frozenset[tuple[URIRef, int]]:
        """The groups that some expression asks about as a medication, with the days that it looks back."""
        found = set()
        for head in self.graph.objects(None, OWL.intersectionOf):
            members = list(self.graph.items(head))
            groups = [
                self.graph.value(m, OWL.someValuesFrom)
                for m in members
                if self.graph.value(m, OWL.onProperty) == NXL.ofSubstance
            ]
            windows = [
                self._window(m) for m in members if isinstance(m, URIRef) and self.stated.is_a(m, NXL.Medication)
            ]
            found |= {(g, days) for g in groups if isinstance(g, URIRef) for days in windows}
        return frozenset(found)

    def _window(self, medication_class: URIRef) -> int:
        bounds = [0]
        for conjunct in conjuncts(self.graph, medication_class):
            if self.graph.value(conjunct, OWL.onProperty) == NXL.daysSinceLast:
                datatype = self.graph.value(conjunct, OWL.someValuesFrom)
                head = self.graph.value(datatype, OWL.withRestrictions)
                facets = self.graph.items(head) if head is not None else ()
                bounds += [int(str(b)) for f in facets for _, b in self.graph.predicate_objects(f)]
        return max(bounds)

    def are_disjoint(self, one: URIRef, other: URIRef) -> bool:
        """Whether no intervention can be both: a leaf is of no group but its own, other groups only if it is stated."""
        if self.taxonomy.is_leaf(one) or self.taxonomy.is_leaf(other):
            return not (self.taxonomy.is_a(one, other) or self.taxonomy.is_a(other, one))
        pairs = ((a, b) for a in self.taxonomy.above(one) for b in self.taxonomy.above(other))
        return any(pair in self._disjoint_pairs for pair in pairs)

    @cached_property
    def _disjoint_pairs(self) -> frozenset[tuple[URIRef, URIRef]]:
        pairs = set()
        for one, other in self.graph.subject_objects(OWL.disjointWith):
            pairs.add((URIRef(str(one)), URIRef(str(other))))
        for axiom in self.graph.subjects(RDF.type, OWL.AllDisjointClasses):
            for head in self.graph.objects(axiom, OWL.members):
                members = [URIRef(str(m)) for m in self.graph.items(head)]
                pairs |= {(a, b) for a in members for b in members if a != b}
        return frozenset(pairs | {(b, a) for a, b in pairs})

    def same(self, term: URIRef) -> URIRef:
        """The one object that stands for a class everywhere: looking it up in a table costs least."""
        return self._same.get(term, term)

    @cached_property
    def _same(self) -> dict[URIRef, URIRef]:
        return {term: term for term in self.taxonomy.classes}

    def label(self, term: URIRef, lang: str = "en") -> str:
        """The label of a term in a language, else in English, else its local name."""
        labels = {getattr(v, "language", None): str(v) for v in sorted(self.graph.objects(term, RDFS.label), key=str)}
        fallback = labels.get("en") or next(iter(labels.values()), str(term).rsplit("/", 1)[-1])
        return labels.get(lang) or fallback
