"""A curator's work: a new drug and a new contraindication are edits of the ontology and of nothing else."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from kg import closure
from kg.answer import Answerer
from kg.build import build
from kg.build_folder import open_build
from kg.request import parse_request
from kg.sources import load_sources
from tests.answers import by_guideline

SUBSTANCES = """
nxl:Dosulepin a owl:Class ;
    rdfs:label "dosulepin"@en ;
    IAO:0000115 "A *tricyclic antidepressant* that is also called dothiepin."@en ;
    rdfs:subClassOf nxl:TricyclicAntidepressant .
"""
THERAPIES = """
nxl:DosulepinTherapy a owl:Class ;
    rdfs:label "dosulepin monotherapy"@en ;
    IAO:0000115 "A *monotherapy* with dosulepin."@en ;
    rdfs:subClassOf nxl:Monotherapy,
        [ a owl:Restriction ; owl:onProperty nxl:uses ; owl:someValuesFrom nxl:Dosulepin ],
        [ a owl:Restriction ; owl:onProperty nxl:uses ; owl:allValuesFrom nxl:Dosulepin ] .
"""
FINDINGS = """
nxl:Mania a owl:Class ;
    rdfs:label "mania"@en ;
    IAO:0000115 "A *psychiatric finding* of an abnormally raised mood."@en ;
    rdfs:subClassOf nxl:PsychiatricFinding .
"""
SAFETY = """
nxl:DosulepinInMania a owl:Class ;
    rdfs:label "dosulepin in mania"@en ;
    IAO:0000115 "A *contraindicated option* that uses dosulepin in a patient with mania."@en ;
    dcterms:source nxl:refNextlineEditors ;
    rdfs:subClassOf nxl:ContraindicatedOption ;
    owl:equivalentClass [ a owl:Class ; owl:intersectionOf ( nxl:TherapyOption
        [ a owl:Restriction ; owl:onProperty nxl:uses ; owl:someValuesFrom nxl:Dosulepin ]
        [ a owl:Restriction ; owl:onProperty nxl:forPatient ; owl:someValuesFrom
            [ a owl:Restriction ; owl:onProperty nxl:hasFinding ; owl:someValuesFrom nxl:Mania ] ] ) ] ;
    nxl:layStatement "Dosulepin must not be taken in a manic phase."@en ;
    nxl:locator "section 4.3" ;
    nxl:reviewStatus nxl:unverified ;
    nxl:severity nxl:absolute ;
    nxl:statement "Do not give dosulepin in mania."@en .
"""
EDITS = {"substances.ttl": SUBSTANCES, "therapies.ttl": THERAPIES, "findings.ttl": FINDINGS, "safety.ttl": SAFETY}


@pytest.fixture(scope="module")
def edited(ontology: Path, tmp_path_factory: pytest.TempPathFactory) -> Answerer:
    """The answerer over a copy of the ontology in which a tricyclic and what forbids it were added."""
    folder = tmp_path_factory.mktemp("curator")
    copy = folder / "ontology"
    shutil.copytree(ontology, copy)
    for name, text in EDITS.items():
        with (copy / name).open("a", encoding="utf-8") as module:
            module.write(text)
    closure.write(load_sources(copy))
    build(copy, folder / "build")
    return open_build(folder / "build").answerer


def standing(answerer: Answerer, findings: list[str]) -> tuple[str, set[str]]:
    """The status of the new option and the statements that are given for it."""
    record = {"ageYears": 50, "sex": "male", "findings": [{"code": name} for name in findings]}
    request = parse_request(json.dumps({"unreportedFindings": "absent", "patient": record}))
    answer = answerer.answer(request, today=date(2026, 11, 22))
    option = by_guideline(answer)["DosulepinTherapy"]
    return option["status"], {reason["label"] for reason in option["because"]}


def test_the_new_tricyclic_is_first_line_like_its_class(edited: Answerer) -> None:
    status, reasons = standing(edited, ["PainfulDiabeticPolyneuropathy"])
    assert status == "eligible"
    assert "tricyclic antidepressant as first line" in reasons


def test_the_new_finding_forbids_it(edited: Answerer) -> None:
    status, reasons = standing(edited, ["PainfulDiabeticPolyneuropathy", "Mania"])
    assert status == "contraindicated"
    assert "dosulepin in mania" in reasons
