"""The compiler: from the classified ontology to the program that the compiled engine runs.

It reads the axioms themselves and knows no names but those of the core vocabulary. What it does not support exactly it
refuses, naming the class and the mend: an axiom that is passed over in silence would be a wrong answer later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

from rdflib import OWL, RDF, RDFS, XSD, Graph, Literal, URIRef
from rdflib.term import Node

from kg.errors import UnsupportedAxiom
from kg.expressions import EVERYTHING, Expression, bounds, conjunction, disjunction, walk
from kg.guidelines import Guideline
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.program import Denial, OptionClass, Program, Rules
from kg.statements import branches, conjuncts, expression_key
from kg.therapies import Therapy

_BOUNDS = {
    XSD.minInclusive: ("low", False),
    XSD.minExclusive: ("low", True),
    XSD.maxInclusive: ("high", False),
    XSD.maxExclusive: ("high", True),
}
_KINDS = (NXL.Monotherapy, NXL.CombinationTherapy)
SEXES = (NXL.FemalePatient, NXL.MalePatient)


class _Refusal(Exception):
    """An expression outside what is supported; the caller knows in which class it stands."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.problem = problem
        self.mend = mend


def compile_program(knowledge: Knowledge, place_of: dict[URIRef, str] | None = None) -> Program:
    """Compile every class that can decide or explain a verdict.

    `place_of` tells the module of a class, for messages. Raises UnsupportedAxiom for the first axiom that cannot be
    evaluated soundly and completely.
    """
    return _Compiler(knowledge, place_of or {}).program()


class _Compiler:
    def __init__(self, knowledge: Knowledge, place_of: dict[URIRef, str]) -> None:
        self.knowledge = knowledge
        self.graph: Graph = knowledge.graph
        self.place_of = place_of
        self.classes: dict[str, Expression] = {}
        self.options: dict[str, OptionClass] = {}
        self._under_way: list[URIRef] = []

    def program(self) -> Program:
        knowledge = self.knowledge
        for statement in sorted(knowledge.statements):
            if knowledge.stated.is_a(statement, NXL.TherapyOption):
                self._option(statement)
        rules = {}
        for code, guideline in knowledge.guidelines.items():
            rules[code] = Rules(
                scope=self._named(guideline.scope),
                indicated=self._option_classes(guideline.indicated),
                recommended_against=self._option_classes(guideline.recommended_against),
                exhausted=self._option_classes(guideline.exhausted),
                in_use=self._option_classes(guideline.in_use),
                steps={str(s): self._named(s) for s in guideline.steps},
            )
            self._check_eligible(guideline)
        contraindicated = self._option_classes(NXL.ContraindicatedOption)
        for iri in contraindicated:
            self._check_contraindication(iri)
        for statement in sorted(knowledge.statements):
            if not knowledge.stated.is_a(statement, NXL.TherapyOption):
                self._named_of_record(statement)
        for course_class in sorted(knowledge.stated.below(NXL.TherapyCourse) - {NXL.TherapyCourse}):
            self._named(course_class)
        self._check_cases(rules)
        return Program(
            classes=self.classes,
            options=self.options,
            rules=rules,
            contraindicated=contraindicated,
            denials=self._denials(),
            concerned={str(t.iri): self._concerned(t) for t in knowledge.therapies},
        )

    def _concerned(self, therapy: Therapy) -> tuple[str, ...]:
        """The classes of options whose intervention side every option of the therapy meets; for the others, none does."""
        is_a = self.knowledge.taxonomy.is_a
        return tuple(
            iri
            for iri, option in sorted(self.options.items())
            if (option.kind is None or is_a(therapy.iri, URIRef(option.kind)))
            and all(any(is_a(used, URIRef(group)) for used in therapy.uses) for group in option.groups)
        )

    # -- options

    def _option_classes(self, kind: URIRef) -> tuple[str, ...]:
        """The defined classes of options at or below `kind`; each is compiled."""
        eligible = {g.eligible for g in self.knowledge.guidelines.values()}
        below = self.knowledge.stated.below(kind) - eligible
        defined = sorted(c for c in below if (c, OWL.equivalentClass, None) in self.graph)
        return tuple(str(c) for c in defined if self._option(c) is not None)

    def _option(self, iri: URIRef) -> OptionClass | None:
        if iri == NXL.JudgedUnsuitableOption:  # no definition: a clinician's judgement in the record says so
            self.options[str(iri)] = OptionClass((), None, EVERYTHING, (), ())
        if str(iri) not in self.options:
            if (iri, OWL.equivalentClass, None) not in self.graph:
                return None
            with self._at(iri):
                self.options[str(iri)] = self._read_option(iri)
        return self.options[str(iri)]

    def _read_option(self, iri: URIRef) -> OptionClass:
        parts = conjuncts(self.graph, iri)
        if not parts:
            raise _Refusal(
                "the definition of a class of options is no conjunction.",
                "Define it as TherapyOption and (uses some …) and (forPatient some …).",
            )
        groups, kind = set[str](), None
        patient: list[Expression] = []
        repeats: list[Expression] = []
        shares: list[Expression] = []
        for part in parts:
            if part == NXL.TherapyOption:
                continue
            if part in _KINDS:
                kind = str(part)
                continue
            property_, filler = self._some(part)
            if property_ == NXL.uses and isinstance(filler, URIRef):
                groups.add(str(filler))
            elif property_ == NXL.forPatient:
                patient.append(self._patient(filler))
            elif property_ == NXL.repeats:
                repeats.append(self._course(filler))
            elif property_ == NXL.sharesSubstance:
                shares.append(self._part(filler))
            else:
                raise _Refusal(
                    f"the part '{self._tell(part)}' of a class of options is not supported.",
                    "Use TherapyOption, Monotherapy or CombinationTherapy, uses some a named group, forPatient some (…), "
                    "repeats some (…) and sharesSubstance some (…).",
                )
        return OptionClass(tuple(sorted(groups)), kind, conjunction(patient), tuple(repeats), tuple(shares))

    def _check_contraindication(self, iri: str) -> None:
        """A contraindication rests on the patient as reported: on no trial, and on no lack of a report."""
        option = self.options[iri]
        asked = [e for part in (option.patient, *option.repeats, *option.shares) for e in self._everything_in(part)]
        if option.repeats or option.shares or any(e[0] in ("had-course", "whole") for e in asked):
            raise self._error(
                URIRef(iri),
                "the contraindication rests on an earlier trial or on another option.",
                "Name what forbids it as a finding, a measurement or a medication of the patient.",
            )
        if any(e[0] == "not" for e in asked):
            raise self._error(
                URIRef(iri),
                "the contraindication rests on something that is not so.",
                "Make the lack a finding of its own, marked nxl:neverAssumedAbsent.",
            )

    def _everything_in(self, expression: Expression) -> Iterator[Expression]:
        """The expression and all inside it, through named classes."""
        for inner in walk(expression):
            yield inner
            if inner[0] == "named":
                yield from self._everything_in(self.classes[inner[1]])

    def _check_eligible(self, guideline: Guideline) -> None:
        """The statuses are read from the five classes of a guideline, so the definition has to name just these."""
        graph, eligible = self.graph, guideline.eligible
        closing = (NXL.ContraindicatedOption, guideline.recommended_against, guideline.exhausted)
        found, denied, scope = set[Node](), set[Node](), set[Node]()
        for part in conjuncts(graph, eligible):
            if isinstance(part, URIRef):
                found.add(part)
            elif graph.value(part, OWL.onProperty) == NXL.forPatient:
                scope |= set(graph.objects(part, OWL.someValuesFrom))
            else:
                denied |= set(graph.objects(part, OWL.complementOf))
        if (found - {NXL.TherapyOption}, denied, scope) != ({guideline.indicated}, set(closing), {guideline.scope}):
            raise self._error(
                eligible,
                "the definition of what is eligible is not: indicated, in scope, and neither contraindicated, recommended "
                "against nor exhausted.",
                "Define it by the five classes that the guideline names.",
            )

    # -- patients

    def _named(self, term: URIRef) -> Expression:
        """A named class of patients, courses or parts; its definition is compiled once."""
        if term in (NXL.Patient, NXL.TherapyCourse, NXL.CoursePart):
            return EVERYTHING
        if term in SEXES:
            return ("sex", str(term))
        if term in _KINDS:
            return ("kind", str(term))
        if str(term) not in self.classes:
            if term in self._under_way:
                raise _Refusal(
                    f"the definition of '{self._label(term)}' comes back to itself.",
                    "Let contraindications, steps and bands refer to findings, courses and other bands only.",
                )
            self._under_way.append(term)
            with self._at(term):
                self.classes[str(term)] = self._definition(term)
            self._under_way.pop()
        return ("named", str(term))

    def _definition(self, term: URIRef) -> Expression:
        definitions = list(self.graph.objects(term, OWL.equivalentClass))
        stated = self.knowledge.stated
        root = next((r for r in (NXL.Patient, NXL.TherapyCourse, NXL.CoursePart) if stated.is_a(term, r)), None)
        if root is None:
            raise _Refusal(
                f"'{self._label(term)}' is a class of neither patients, courses nor parts.",
                "Use a class below one of these here.",
            )
        read = {NXL.Patient: self._patient, NXL.TherapyCourse: self._course, NXL.CoursePart: self._part}[root]
        if definitions:
            return conjunction([read(definition) for definition in definitions])
        parts = branches(self.graph, stated, term)
        return disjunction([self._named(part) for part in parts])

    def _patient(self, node: Node) -> Expression:
        plain = self._boolean(node, self._patient)
        if plain is not None:
            return plain
        property_, filler = self._some(node)
        if property_ == NXL.hasFinding and isinstance(filler, URIRef):
            return ("finding", str(filler))
        if property_ == NXL.takes:
            return self._takes(filler)
        if property_ == NXL.hadCourse:
            return ("had-course", self._course(filler))
        if property_ == NXL.hasOption:
            return self._whole(filler)
        if (property_, RDF.type, OWL.DatatypeProperty) in self.graph:
            return ("quantity", str(property_), self._bounds(property_, filler))
        raise self._unsupported(node, "patients", "hasFinding, takes, hadCourse, hasOption and quantities")

    def _boolean(self, node: Node, read: Callable[[Node], Expression]) -> Expression | None:
        """And, or, not and names; None for everything else."""
        if isinstance(node, URIRef):
            return self._named(node)
        head = self.graph.value(node, OWL.intersectionOf)
        if head is not None:
            return conjunction([read(member) for member in self.graph.items(head)])
        if self.graph.value(node, OWL.unionOf) is not None:
            raise _Refusal(
                f"there is an 'or' in a definition: {self._tell(node)}.",
                "Make a superclass without a definition, and one defined subclass for each alternative.",
            )
        operand = self.graph.value(node, OWL.complementOf)
        return None if operand is None else ("not", read(operand))

    def _whole(self, node: Node) -> Expression:
        members = [node] if isinstance(node, URIRef) else self._members(node)
        helpers = [m for m in members if m in {h.iri for h in self.knowledge.whole_class_therapies}]
        kinds = [m for m in members if m not in helpers and m != NXL.TherapyOption]
        if len(helpers) != 1 or any(not isinstance(k, URIRef) for k in kinds):
            raise _Refusal(
                f"'hasOption some ({self._tell(node)})' names no whole-class therapy, or more than one.",
                "Use one subclass of whole-class therapy and kinds of option: one member's fate is not the group's.",
            )
        allowed = (NXL.ContraindicatedOption, NXL.JudgedUnsuitableOption, NXL.UnusableOption)
        for kind in kinds:
            if kind not in allowed:
                raise _Refusal(
                    f"a step asks whether a whole class is '{self._label(URIRef(str(kind)))}'.",
                    f"Ask for one of {', '.join(local_name(k) for k in allowed)}: a step must not rest on what is "
                    "indicated, exhausted or eligible.",
                )
        self._option_classes(NXL.ContraindicatedOption)
        return ("whole", str(helpers[0]), *sorted(str(k) for k in kinds))

    def _takes(self, node: Node) -> Expression:
        groups: list[str] = []
        windows: list[tuple[object, ...]] = []
        self._medication(node, groups, windows)
        if len(groups) != 1 or len(windows) > 1:
            raise _Refusal(
                f"'takes some ({self._tell(node)})' names {len(groups)} groups and {len(windows)} windows.",
                "Name one class of medications with its days, and ofSubstance some one group.",
            )
        return ("takes", groups[0], windows[0] if windows else bounds(None, False, None, False))

    def _medication(self, node: Node, groups: list[str], windows: list[tuple[object, ...]]) -> None:
        if node == NXL.Medication:
            return
        if isinstance(node, URIRef):
            for definition in self.graph.objects(node, OWL.equivalentClass):
                self._medication(definition, groups, windows)
            return
        head = self.graph.value(node, OWL.intersectionOf)
        if head is not None:
            for member in self.graph.items(head):
                self._medication(member, groups, windows)
            return
        property_, filler = self._some(node)
        if property_ == NXL.ofSubstance and isinstance(filler, URIRef):
            groups.append(str(filler))
        elif property_ == NXL.daysSinceLast:
            windows.append(self._bounds(property_, filler))
        else:
            raise self._unsupported(node, "medications", "ofSubstance and daysSinceLast")

    # -- courses and parts

    def _course(self, node: Node) -> Expression:
        plain = self._boolean(node, self._course)
        if plain is not None:
            return plain
        value = self._value(node)
        if value is not None:
            return value
        property_ = self.graph.value(node, OWL.onProperty)
        least = self.graph.value(node, OWL.minQualifiedCardinality)
        if property_ == NXL.hasCoursePart and least is not None:
            return ("has-part", int(str(least)), self._part(self.graph.value(node, OWL.onClass) or NXL.CoursePart))
        property_, filler = self._some(node)
        if property_ == NXL.uses and isinstance(filler, URIRef):
            return ("uses", str(filler))
        if property_ == NXL.hasCoursePart:
            return ("has-part", 1, self._part(filler))
        if property_ == NXL.courseOf:
            return ("of-patient", self._patient(filler))
        if (property_, RDF.type, OWL.DatatypeProperty) in self.graph:
            return ("number", str(property_), self._bounds(property_, filler))
        raise self._unsupported(node, "courses", "uses, hasCoursePart, courseOf, numbers and values")

    def _part(self, node: Node) -> Expression:
        plain = self._boolean(node, self._part)
        if plain is not None:
            return plain
        value = self._value(node)
        if value is not None:
            return value
        property_, filler = self._some(node)
        if property_ == NXL.ofSubstance and isinstance(filler, URIRef):
            return ("substance", str(filler))
        if property_ == NXL.partOfCourse:
            return ("of-course", self._course(filler))
        if (property_, RDF.type, OWL.DatatypeProperty) in self.graph:
            return ("number", str(property_), self._bounds(property_, filler))
        raise self._unsupported(node, "parts of courses", "ofSubstance, partOfCourse, numbers and values")

    def _value(self, node: Node) -> Expression | None:
        value = self.graph.value(node, OWL.hasValue)
        if value is None:
            return None
        if not isinstance(value, Literal) or not isinstance(value.toPython(), bool | str):
            raise _Refusal(
                f"'{self._tell(node)}' asks for a value that is neither a text nor true or false.",
                "Use a datatype restriction for numbers.",
            )
        return ("value", str(self.graph.value(node, OWL.onProperty)), value.toPython())

    # -- small readers

    def _some(self, node: Node) -> tuple[URIRef, Node]:
        property_ = self.graph.value(node, OWL.onProperty)
        filler = self.graph.value(node, OWL.someValuesFrom)
        if not isinstance(property_, URIRef) or filler is None:
            raise _Refusal(
                f"the restriction '{self._tell(node)}' is not supported.",
                "Use 'some' restrictions; what only or at most says is left to the closure.",
            )
        return property_, filler

    def _members(self, node: Node) -> list[Node]:
        head = self.graph.value(node, OWL.intersectionOf)
        return list(self.graph.items(head)) if head is not None else [node]

    def _bounds(self, property_: URIRef, datatype: Node) -> tuple[object, ...]:
        ranges = set(self.graph.objects(property_, RDFS.range))
        if len(ranges) != 1 or not ranges <= {XSD.decimal, XSD.integer}:
            raise _Refusal(
                f"the property '{self._label(property_)}' has no range of numbers.",
                "Give it one range, xsd:decimal or xsd:integer.",
            )
        if isinstance(datatype, URIRef):
            return bounds(None, False, None, False)
        found: dict[str, tuple[Decimal, bool]] = {}
        head = self.graph.value(datatype, OWL.withRestrictions)
        if head is None:
            raise _Refusal(
                f"the bound of '{self._label(property_)}' is no datatype restriction.",
                "Write it as xsd:decimal[>= …, < …].",
            )
        for facet in self.graph.items(head):
            for predicate, bound in self.graph.predicate_objects(facet):
                if predicate not in _BOUNDS:
                    raise _Refusal(
                        f"the facet {local_name(str(predicate))} is not supported.",
                        "Use minInclusive, minExclusive, maxInclusive and maxExclusive.",
                    )
                side, is_open = _BOUNDS[URIRef(str(predicate))]
                if side in found:
                    raise _Refusal("a datatype restriction has two bounds on one side.", "Keep the narrower one.")
                found[side] = (Decimal(str(bound)), is_open)
        low, low_open = found.get("low", (None, False))
        high, high_open = found.get("high", (None, False))
        return bounds(low, low_open, high, high_open)

    def _denials(self) -> tuple[Denial, ...]:
        """The findings that patients of a sex never have; no other consequence of a class of patients is supported."""
        for term in sorted(self.knowledge.stated.below(NXL.Patient)):
            for superclass in self.graph.objects(term, RDFS.subClassOf):
                if isinstance(superclass, URIRef) or self.graph.value(superclass, OWL.onProperty) == NXL.hasOption:
                    continue  # named, or: the patient has an option of each whole-class therapy
                operand = self.graph.value(superclass, OWL.complementOf)
                if term not in SEXES or operand is None or self.graph.value(operand, OWL.onProperty) != NXL.hasFinding:
                    raise self._error(
                        term,
                        f"a class of patients has the superclass '{self._tell(superclass)}', which is not supported.",
                        "Only the classes of a sex may exclude findings, as not (hasFinding some …); coverings and other "
                        "consequences belong on the statements.",
                    )
        excluded = self.knowledge.excluded_findings
        return tuple(Denial(str(of), str(finding)) for of in sorted(excluded) for finding in sorted(excluded[of]))

    def _check_cases(self, rules: Mapping[str, Rules]) -> None:
        """Refuse classes that would hold whatever is true: one alternative asks for what another one denies.

        With three truth values, unknown or not unknown is unknown; a reasoner would argue by cases and say true.
        """
        targets = [[r.scope] for r in rules.values()]
        targets += [[self.options[c].patient for c in r.indicated] for r in rules.values()]
        targets += [[step] for r in rules.values() for step in r.steps.values()]
        for target in targets:
            everything = [e for part in target for e in self._everything_in(part)]
            asked = {e[1] for e in everything if e[0] == "finding"}
            for denial in (e for e in everything if e[0] == "not"):
                if denial[1][0] not in ("finding", "named"):
                    raise self._error(
                        self._owner(denial), "the definition denies something that has no name.", "Name it as a class."
                    )
            for denied in (e[1][1] for e in everything if e[0] == "not" and e[1][0] == "finding"):
                met = sorted(a for a in self._alternatives(disjunction(target)) if self._is_a(denied, a) and a in asked)
                if met:
                    raise self._error(
                        URIRef(denied),
                        f"one alternative asks for '{self._label(URIRef(met[0]))}' and another one for the absence of "
                        "this, so that one of them always holds.",
                        "Leave out the condition that makes no difference.",
                    )

    def _alternatives(self, expression: Expression) -> set[str]:
        """The findings each of which is enough for an expression, through names."""
        match expression:
            case ("any", *parts):
                return {term for part in parts for term in self._alternatives(part)}
            case ("named", name):
                return self._alternatives(self.classes[name])
            case ("finding", term):
                return {term}
        return set()

    def _is_a(self, term: str, other: str) -> bool:
        return self.knowledge.taxonomy.is_a(URIRef(term), URIRef(other))

    def _owner(self, expression: Expression) -> URIRef:
        return URIRef(
            next((name for name, known in self.classes.items() if expression in walk(known)), str(NXL.Patient))
        )

    def _named_of_record(self, statement: URIRef) -> None:
        """Statements about patients, courses or parts; others, such as evidence, decide nothing."""
        roots = (NXL.Patient, NXL.TherapyCourse, NXL.CoursePart)
        if any(self.knowledge.stated.is_a(statement, root) for root in roots):
            self._named(statement)

    # -- messages

    @contextmanager
    def _at(self, term: URIRef) -> Iterator[None]:
        """Let a refusal name the class in whose definition it was met."""
        try:
            yield
        except _Refusal as refusal:
            raise self._error(term, refusal.problem, refusal.mend) from None

    def _error(self, term: URIRef, problem: str, mend: str) -> UnsupportedAxiom:
        return UnsupportedAxiom(f"{self.place_of.get(term, 'ontology')}: {self._label(term)}", problem, mend)

    def _unsupported(self, node: Node, of: str, allowed: str) -> _Refusal:
        return _Refusal(
            f"the condition '{self._tell(node)}' on {of} is not supported.",
            f"About {of}, conditions may use {allowed}.",
        )

    def _tell(self, node: Node) -> str:
        text = expression_key(self.graph, node)
        return text.replace(str(NXL), "").replace(str(OWL), "")[:200]

    def _label(self, term: URIRef) -> str:
        return f"{self.knowledge.label(term)} ({local_name(term)})"
