"""From the codes of a record to the terms of the ontology."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property

from rdflib import SKOS, Literal, URIRef

from kg.errors import InvalidRecord
from kg.knowledge import Knowledge
from kg.namespaces import NXL, SH, local_name

# Our term, given a foreign code: the same meaning; or, for a code that is wider than our term, no more than a broader one.
_EQUAL = (SKOS.exactMatch, SKOS.closeMatch)
_CATEGORY = 3  # characters before the point in codes that nest
_IN_NO_IRI = re.compile(r"[\x00-\x20<>\"{}|\\^`\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A code of a known system that the ontology maps to no term usable in its place."""

    code: str


@dataclass(frozen=True, slots=True)
class Broader:
    """A foreign code that means more than each of these terms: any of them may be there, none has to be."""

    terms: tuple[URIRef, ...]


class Vocabulary:
    """Resolves local names, CURIEs and `SYSTEM:code` to classes of one branch of the ontology."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    @cached_property
    def systems(self) -> dict[str, str]:
        """The code systems that requests may use, with the namespaces of their codes."""
        graph = self._knowledge.graph
        found = {}
        for node in graph.objects(None, SH.declare):
            prefix, namespace = graph.value(node, SH.prefix), graph.value(node, SH.namespace)
            if prefix is not None and namespace is not None:
                found[str(prefix)] = str(namespace)
        return found

    def resolve(self, code: str, root: URIRef, place: str) -> URIRef | Unmapped:
        """The term below `root` that `code` means.

        Raises InvalidRecord, naming `place`, for a local name that the ontology does not hold (with the nearest names),
        for a term of another branch, for an unknown code system, and for a code with characters that no IRI may hold.
        """
        _check_characters(code, place)
        system, colon, value = code.partition(":")
        if colon and system in ("http", "https"):
            return self._own(URIRef(code), code, root, place)
        if not colon or system == "nxl":
            return self._own(NXL[value if colon else code], code, root, place)
        foreign = self._foreign_iri(code)
        if foreign is None:
            raise InvalidRecord(
                place,
                f"the code system of '{code}' is not known.",
                f"Use one of {', '.join(sorted(self.systems))}, or an ontology name.",
            )
        return self._foreign(foreign, code, root)

    def _foreign_iri(self, code: str) -> URIRef | None:
        """The IRI of a `SYSTEM:code` of a known system, whatever its case; with the point where codes nest."""
        system, colon, value = code.partition(":")
        known = next((name for name in self.systems if name.upper() == system.upper()), None)
        if not colon or known is None:
            return None
        value = value.strip()
        if known in self._nesting:
            value = value.upper().rstrip(".")
            if len(value) > _CATEGORY and "." not in value:
                value = f"{value[:_CATEGORY]}.{value[_CATEGORY:]}"
        return URIRef(self.systems[known] + value)

    @cached_property
    def _nesting(self) -> frozenset[str]:
        """The code systems in which a code begins with the code of what it belongs to."""
        graph = self._knowledge.graph
        nodes = graph.subjects(NXL.nestsCodes, Literal(True))
        return frozenset(str(graph.value(node, SH.prefix)) for node in nodes)

    @property
    def _spaces(self) -> tuple[str, ...]:
        """The namespaces of the code systems whose codes nest."""
        return tuple(self.systems[name] for name in self._nesting)

    @cached_property
    def _matched_finding_codes(self) -> tuple[tuple[str, URIRef, URIRef], ...]:
        """The mapped codes of findings in systems whose codes nest, sorted, with how they match which term."""
        graph, branch = self._knowledge.graph, self._knowledge.findings
        matches = (*_EQUAL, SKOS.narrowMatch, SKOS.broadMatch)
        return tuple(
            sorted(
                (str(foreign), property_, URIRef(str(term)))
                for property_ in matches
                for term, foreign in graph.subject_objects(property_)
                if str(foreign).startswith(self._spaces) and term in branch
            )
        )

    def _below(self, foreign: URIRef) -> list[URIRef]:
        """The findings that have codes below a code of a system whose codes nest."""
        return sorted({term for code, _, term in self._at_or_below(foreign) if code != foreign})

    def _at_or_below(self, foreign: URIRef) -> list[tuple[str, URIRef, URIRef]]:
        """The matches of a code of a system whose codes nest, and of those that begin with it; none of a mere beginning."""
        is_code = any(len(foreign) - len(space) >= _CATEGORY for space in self._spaces if foreign.startswith(space))
        return [match for match in self._matched_finding_codes if is_code and match[0].startswith(foreign)]

    def _nearest_above(self, foreign: URIRef) -> str | None:
        """The longest mapped code that a code of a system whose codes nest begins with."""
        above = {code for code, _, _ in self._matched_finding_codes if code != foreign and foreign.startswith(code)}
        return max(above, key=len, default=None)

    def _own(self, term: URIRef, code: str, root: URIRef, place: str) -> URIRef:
        if term in self._knowledge.taxonomy.below(root) and term != root:
            return self._knowledge.same(term)
        branch = self._knowledge.taxonomy.below(root) - {root}
        names = {local_name(t).lower(): local_name(t) for t in branch}
        if local_name(term).lower() in names:
            near = [names[local_name(term).lower()]]
        else:
            near = [names[n] for n in difflib.get_close_matches(local_name(term).lower(), names, n=3, cutoff=0.75)]
        hint = f"Did you mean {' or '.join(near)}?" if near else "Search the ontology for its name."
        wrong = term in self._knowledge.taxonomy.classes
        label = self._knowledge.label(root)
        article = "an" if label[0] in "aeiou" else "a"
        problem = f"'{code}' is not {article} {label}." if wrong else f"the code '{code}' is not known."
        raise InvalidRecord(place, problem, hint)

    def _foreign(self, foreign: URIRef, code: str, root: URIRef) -> URIRef | Unmapped:
        graph, taxonomy = self._knowledge.graph, self._knowledge.taxonomy
        branch = taxonomy.below(root) - {root}
        for property_ in _EQUAL:
            exact = sorted(URIRef(str(s)) for s in graph.subjects(property_, foreign) if s in branch)
            if exact:
                return exact[0]
        # A narrower foreign code is an instance of our term; a broader one tells less than our term does, so it stands
        # for the nearest term of ours above all terms that it covers.
        narrower = sorted(URIRef(str(s)) for s in graph.subjects(SKOS.narrowMatch, foreign) if s in branch)
        if narrower:
            return sorted(taxonomy.most_specific(narrower))[0]
        covered = [URIRef(str(s)) for s in graph.subjects(SKOS.broadMatch, foreign) if s in branch]
        if covered:
            shared = frozenset.intersection(*(taxonomy.above(c) - {c} for c in covered)) & branch
            if shared:
                return sorted(taxonomy.most_specific(shared))[0]
        return Unmapped(code)

    def resolve_finding(self, code: str, place: str) -> URIRef | Broader | Unmapped:
        """The finding that `code` means, or the findings that it may mean; errors as for `resolve`.

        A code that is wider than each of our terms states none of them, nor what they have in common: diabetic
        polyneuropathy need not hurt.
        """
        _check_characters(code, place)
        foreign = self._foreign_iri(code)
        if foreign is not None:
            graph, branch = self._knowledge.graph, self._knowledge.findings
            stated = {s for p in (*_EQUAL, SKOS.narrowMatch) for s in graph.subjects(p, foreign) if s in branch}
            wider = sorted(URIRef(str(s)) for s in graph.subjects(SKOS.broadMatch, foreign) if s in branch)
            if not stated and not wider:
                wider = self._below(foreign)
                above = self._nearest_above(foreign)
                if not wider and above is not None:
                    return self.resolve_finding(self._as_code(above), place)
            if wider and not stated:
                return Broader(tuple(wider))
        return self.resolve(code, NXL.Finding, place)

    def _as_code(self, foreign: str) -> str:
        name, namespace = next((n, space) for n, space in self.systems.items() if foreign.startswith(space))
        return f"{name}:{foreign.removeprefix(namespace)}"

    def resolve_absent(self, code: str, root: URIRef, place: str) -> tuple[URIRef, ...] | Unmapped:
        """The terms below `root` that the absence of `code` denies; errors as for `resolve`.

        An equal code denies its term, a wider one every term that it covers, a narrower one nothing.
        """
        _check_characters(code, place)
        foreign = self._foreign_iri(code)
        if foreign is None:
            found = self.resolve(code, root, place)
            return found if isinstance(found, Unmapped) else (found,)
        branch = self._knowledge.taxonomy.below(root) - {root}
        graph = self._knowledge.graph
        whole = (*_EQUAL, SKOS.broadMatch)
        denied = {URIRef(str(s)) for p in whole for s in graph.subjects(p, foreign) if s in branch}
        denied |= {term for _, property_, term in self._at_or_below(foreign) if property_ in whole and term in branch}
        return tuple(sorted(denied)) if denied else Unmapped(code)

    def quantity(self, code: str, place: str) -> URIRef | Unmapped:
        """The data property that a measurement code means; errors as for `resolve`."""
        _check_characters(code, place)
        graph = self._knowledge.graph
        by_code = {str(graph.value(q, NXL.code)): q for q in self._knowledge.quantities}
        by_code |= {local_name(q): q for q in self._knowledge.quantities}
        name = code.removeprefix("nxl:").rsplit("/", 1)[-1]
        if name in by_code:
            return by_code[name]
        foreign = self._foreign_iri(code)
        if foreign is not None:
            for property_ in (*_EQUAL, SKOS.narrowMatch):
                for quantity in self._knowledge.quantities:
                    if (quantity, property_, foreign) in graph:
                        return quantity
            return Unmapped(code)
        known = sorted(str(graph.value(q, NXL.code)) for q in self._knowledge.quantities)
        raise InvalidRecord(
            place, f"the measurement '{code}' is not known.", f"Known measurements: {', '.join(known)}."
        )


def _check_characters(code: str, place: str) -> None:
    """Refuse what cannot be a part of an IRI before one is made of it: rdflib would log the code as it stands."""
    system, colon, value = code.partition(":")
    if _IN_NO_IRI.search(f"{system}{colon}{value.strip()}"):
        shown = ascii(code[:40])[1:-1]
        raise InvalidRecord(
            place,
            f"the code '{shown}{'…' if len(code) > 40 else ''}' is not known.",
            "A code holds no spaces, control characters, quotes, brackets, or any of | ^ ` \\.",
        )
