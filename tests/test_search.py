"""Terms are found by any of their names, the best first."""

from __future__ import annotations

import pytest
from rdflib import RDFS, SKOS, Literal, URIRef

from kg.build_folder import Build
from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.search import SearchIndex


@pytest.fixture(scope="module")
def index(opened: Build) -> SearchIndex:
    return opened.search


def names(index: SearchIndex, text: str) -> list[str]:
    return [local_name(hit.term) for hit in index.find(text)]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("asthma", "Asthma"),
        ("ASTHME", "Asthma"),
        ("névralgie postherpétique", "PostherpeticNeuralgia"),
        ("nevralgie postherp", "PostherpeticNeuralgia"),
        ("herpética", "PostherpeticNeuralgia"),
        ("SNOMED:195967001", "Asthma"),
        ("195967001", "Asthma"),
        ("PainfulDiabeticPolyneuropathy", "PainfulDiabeticPolyneuropathy"),
        ("neuropathy painful diab", "PainfulDiabeticPolyneuropathy"),
        ("gabapantin", "Gabapentin"),
    ],
)
def test_a_term_is_found_by_its_name(index: SearchIndex, text: str, term: str) -> None:
    assert term in names(index, text)[:3]


def test_every_name_of_every_term_finds_it(index: SearchIndex, knowledge: Knowledge) -> None:
    """Findings, substances, procedures and therapies: by each label, synonym and lay label, in each language."""
    tops = (NXL.Finding, NXL.Intervention, NXL.Therapy)
    checked = 0
    for term in sorted(t for top in tops for t in knowledge.stated.below(top)):
        for property_ in (RDFS.label, SKOS.altLabel, NXL.layLabel):
            for name in knowledge.graph.objects(term, property_):
                assert isinstance(name, Literal)
                checked += 1
                assert term in [hit.term for hit in index.find(str(name), name.language, None, 100)], name
    assert checked > 1000


def test_an_exact_name_comes_before_a_beginning_and_this_before_a_later_word(index: SearchIndex) -> None:
    found = [hit.name.casefold() for hit in index.find("neuralgia", "es", None, 50)]
    assert found[0].startswith("neuralgia")
    begins = [name.startswith("neuralgia") for name in found]
    assert begins == sorted(begins, reverse=True)
    exact = index.find("opioid")[0]
    assert (exact.term, exact.name) == (URIRef(NXL.Opioid), "opioid")


def test_each_term_is_listed_once_and_no_more_than_asked_for(index: SearchIndex) -> None:
    hits = index.find("pain", None, None, 30)
    assert len(hits) == 30 == len({hit.term for hit in hits})


def test_language_and_type_narrow(index: SearchIndex) -> None:
    assert {hit.language for hit in index.find("neuro", "fr", None, 50)} <= {"fr", None}
    assert {hit.type for hit in index.find("tramadol", None, "therapy", 50)} == {"therapy"}
    assert {hit.type for hit in index.find("gabapantin", None, "substance")} == {"substance"}
    assert not index.find("asthme", "es", "finding") or index.find("asthme", "es", "finding")[0].name != "asthme"


@pytest.mark.parametrize("text", ["", "  ", "…", "qqqqzzzz", "%", "\\", "\0", "(" * 200])
def test_what_is_no_name_finds_nothing(index: SearchIndex, text: str) -> None:
    assert index.find(text) == ()
