"""The canned queries answer what their files promise.

The expected answers are data, in `tests/golden`. After an edit of the ontology or of a query, look at what changed with

    NEXTLINE_REGENERATE_GOLDEN=1 pytest tests/test_queries.py && git diff tests/golden docs/statements.md
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from rdflib import RDFS, BNode, Literal, URIRef
from rdflib.plugins.sparql import prepareQuery

from kg.errors import BrokenQuery, InvalidParameter, UnknownQuery
from kg.namespaces import NXL, local_name
from kg.queries import CannedQuery, ParameterType, bind, list_queries, load_query, read_query, run
from kg.store import KnowledgeStore

ROOT = Path(__file__).resolve().parent.parent
QUERIES = ROOT / "queries"
STATEMENTS = ROOT / "docs" / "statements.md"
GOLDEN = Path(__file__).resolve().parent / "golden"
ALL = list_queries(QUERIES)
ON_A_PAGE = {"statement-counts"}  # docs/statements.md is its golden file
REGENERATE = bool(os.environ.get("NEXTLINE_REGENERATE_GOLDEN"))


@pytest.fixture(scope="module")
def store(build_folder: Path) -> KnowledgeStore:
    from kg.build_folder import open_build

    return KnowledgeStore.load(open_build(build_folder).graph_files)


def answer(store: KnowledgeStore, query: CannedQuery, values: dict[str, str]) -> list[dict[str, str]]:
    """The rows with IRIs shortened to their last part."""
    result = run(store, query, values)
    assert result.variables, "a canned query is a SELECT query"
    return [
        {name: local_name(term) if isinstance(term, URIRef) else str(term) for name, term in row.items()}
        for row in result.rows()
    ]


def examples_of(query: CannedQuery) -> dict[str, str]:
    return {parameter.name: parameter.example for parameter in query.parameters}


def defaults_or_examples(query: CannedQuery) -> dict[str, str]:
    return {p.name: p.example if p.default is None else p.default for p in query.parameters}


@pytest.mark.parametrize("query", [q for q in ALL if q.name not in ON_A_PAGE], ids=lambda query: query.name)
def test_the_answer_is_the_expected_one(store: KnowledgeStore, query: CannedQuery) -> None:
    """With its examples, each query answers what its golden file says, in that order.

    Examples are chosen to have few rows, so that an edit of the ontology changes few golden files.
    """
    path = GOLDEN / f"{query.name}.json"
    values = examples_of(query)
    found = {"question": query.question, "parameters": values, "rows": answer(store, query, values)}
    if REGENERATE:
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert path.is_file(), f"there is no golden file yet; see {__name__}"
    assert found == json.loads(path.read_text(encoding="utf-8"))
    assert found["rows"], "a competency question without an answer shows nothing"


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_the_defaults_of_each_query_work(store: KnowledgeStore, query: CannedQuery) -> None:
    """Without parameters, too, a query has an answer, and it comes soon."""
    begin = time.monotonic()
    assert answer(store, query, defaults_or_examples(query))
    assert time.monotonic() - begin < 2, "see whether the planner takes another way, and split the query by SELECT"


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_each_query_is_documented_and_deterministic(store: KnowledgeStore, query: CannedQuery) -> None:
    """A question, a summary, a fixed order, its parameters in the answer, and no blank node to trip over."""
    assert query.question.endswith("?")
    assert query.summary.endswith((".", "?"))
    assert re.search(r"^ORDER BY ", query.text, re.MULTILINE)
    result = run(store, query, defaults_or_examples(query))
    assert {parameter.name for parameter in query.parameters} <= set(result.variables)
    assert all(parameter.description.endswith(".") for parameter in query.parameters)
    assert not any(isinstance(term, BNode) for row in result.rows() for term in row.values())


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_each_query_is_plain_sparql_1_1(query: CannedQuery) -> None:
    """Another parser takes it as well."""
    prepareQuery(query.text)


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_no_query_knows_a_drug_or_a_disease(store: KnowledgeStore, query: CannedQuery) -> None:
    """Only parameters name substances, procedures, findings and guidelines."""
    body = "\n".join(line for line in query.text.splitlines() if not line.startswith("#+"))
    for term in sorted(set(re.findall(r"\bnxl:\w+", body))):
        for top in ("nxl:Substance", "nxl:Procedure", "nxl:Finding", "nxl:Guideline", "nxl:SafetyGuideline"):
            below = f"PREFIX nxl: <{NXL}> PREFIX rdfs: <{RDFS}> ASK {{ {term} (a|rdfs:subClassOf)+ {top} }}"
            assert not store.query(below).truth(), term


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_labels_are_read_in_one_language(store: KnowledgeStore, query: CannedQuery) -> None:
    """No two rows differ by the language of a label only."""
    if query.name == "names-of-term":  # the languages are its answer
        return
    rows = run(store, query, {p.name: p.default or p.example for p in query.parameters if p.name != "lang"}).rows()
    columns = [name for name in run(store, query, defaults_or_examples(query)).variables if name != "matchedName"]
    languages = {
        (name, term.language)
        for row in rows
        for name, term in row.items()
        if isinstance(term, Literal) and term.language
    }
    assert not [name for name in columns if len({found for column, found in languages if column == name}) > 1]


def test_golden_files_and_queries_belong_together() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == sorted({query.name for query in ALL} - ON_A_PAGE)


def test_there_are_enough_and_the_title_question_of_the_seed_is_first() -> None:
    assert len(ALL) >= 30
    assert ALL[0].name == "third-line-when-first-and-second-failed"


def test_the_three_ways_to_name_a_term_mean_the_same(store: KnowledgeStore) -> None:
    query = load_query(QUERIES, "lines-of-therapy")
    answers = [
        answer(store, query, {"therapy": name})
        for name in ("TramadolTherapy", "nxl:TramadolTherapy", "https://w3id.org/nextline/TramadolTherapy")
    ]
    assert answers[0] == answers[1] == answers[2] != []


def test_a_parameter_changes_the_answer(store: KnowledgeStore) -> None:
    query = load_query(QUERIES, "therapies-in-line")
    first, third = (answer(store, query, {"line": name}) for name in ("firstLine", "thirdLine"))
    assert not {row["therapy"] for row in first} & {row["therapy"] for row in third}


def test_contraindications_reach_down_the_hierarchy_of_findings_and_never_up(store: KnowledgeStore) -> None:
    query = load_query(QUERIES, "contraindications-by-finding")
    broad, narrow = (
        {row["statement"] for row in answer(store, query, {"finding": name})}
        for name in ("AcuteOrSevereAsthma", "AcuteSevereAsthma")
    )
    assert broad and broad <= narrow
    assert not answer(store, query, {"finding": "Asthma"})


def test_a_combination_inherits_the_contraindications_of_its_parts(store: KnowledgeStore) -> None:
    query = load_query(QUERIES, "contraindications-of-therapy")

    def statements(therapy: str) -> set[str]:
        return {row["statement"] for row in answer(store, query, {"therapy": therapy})}

    parts = statements("GabapentinTherapy") | statements("AmitriptylineTherapy")
    assert statements("GabapentinWithAmitriptylineTherapy") == parts


@pytest.mark.parametrize("text", ['"', "'", "} #", '") } DROP ALL', "\\", "\n", "?term", "<x>"])
def test_a_text_parameter_stays_a_text(store: KnowledgeStore, text: str) -> None:
    """Whatever stands in a parameter, it is a value and never a part of the query."""
    rows = answer(store, load_query(QUERIES, "find-term"), {"text": f"no such {text} name"})
    assert rows == []


def test_what_is_inherited_is_marked(store: KnowledgeStore) -> None:
    rows = answer(store, load_query(QUERIES, "contraindications-of-therapy"), {"therapy": "TramadolTherapy"})
    assert {(row["inherited"], row["interventionLabel"] == row["groupLabel"]) for row in rows} == {
        ("true", False),
        ("false", True),
    }


def test_a_milder_statement_of_another_jurisdiction_is_no_contraindication(store: KnowledgeStore) -> None:
    """The reasoner finds it contraindicated, by the other label; what it says itself stays a caution."""
    differing = answer(store, load_query(QUERIES, "jurisdictions-that-differ"), {})
    milder = {row["milderStatement"] for row in differing}
    query = load_query(QUERIES, "contraindications-of-therapy")
    assert milder
    assert not milder & {row["statement"] for row in answer(store, query, {"therapy": "DuloxetineTherapy"})}


def test_a_lower_egfr_asks_for_other_doses(store: KnowledgeStore) -> None:
    query = load_query(QUERIES, "dose-adjustments-at-egfr")
    at = {
        egfr: {row["statement"] for row in answer(store, query, {"egfr": egfr})}
        for egfr in ("14", "15", "29", "30", "95")
    }
    assert at["15"] == at["29"]
    assert at["14"] - at["15"] and at["29"] - at["30"] and at["30"] - at["29"]
    assert not at["95"]


def test_an_exclusion_reaches_down_both_hierarchies(store: KnowledgeStore) -> None:
    """A narrower finding excludes what a broader one does, and a combination what each part is excluded by."""
    query = load_query(QUERIES, "therapies-excluded-by-finding")
    broad, narrow = (
        {row["therapy"] for row in answer(store, query, {"finding": name})}
        for name in ("AcuteOrSevereAsthma", "AcuteSevereAsthma")
    )
    assert {"MorphineTherapy", "MorphineWithGabapentinTherapy"} <= broad <= narrow
    assert not answer(store, query, {"finding": "Asthma"})


def test_each_guideline_has_a_position_on_a_therapy(store: KnowledgeStore) -> None:
    guidelines = {row["label"] for row in answer(store, load_query(QUERIES, "guidelines"), {})}
    rows = answer(store, load_query(QUERIES, "positions-on-therapy"), {"therapy": "LamotrigineTherapy"})
    assert {row["position"] for row in rows} == {"for", "against", "inconclusive", "silent"}
    assert {row["guidelineLabel"] for row in rows} < guidelines, "those on safety take none"


def test_a_drug_with_a_code_is_not_listed_without(store: KnowledgeStore) -> None:
    without = {
        row["substance"] for row in answer(store, load_query(QUERIES, "drugs-without-code"), {"system": "rxnorm"})
    }
    assert without
    for substance in sorted(without):
        codes = answer(store, load_query(QUERIES, "codes-of-term"), {"term": substance})
        assert not [row for row in codes if row["match"] == "exact" and row["code"].startswith("RxNorm:")]
    assert answer(store, load_query(QUERIES, "drugs-without-code"), {"system": "NoSuchSystem"}) == []


def test_every_statement_is_counted_once(store: KnowledgeStore) -> None:
    counted = sum(
        int(row[status])
        for row in answer(store, load_query(QUERIES, "statement-counts"), {})
        for status in ("unverified", "underReview", "approved")
    )
    every = f"PREFIX nxl: <{NXL}> SELECT DISTINCT ?s {{ GRAPH <{NXL}graph/asserted> {{ ?s nxl:statement ?text }} }}"
    assert counted == len(store.query(every).rows())


def test_the_table_of_statements_is_what_the_query_answers(store: KnowledgeStore) -> None:
    """The page shows the counts of the graph; written anew as the golden files are."""
    rows = answer(store, load_query(QUERIES, "statement-counts"), {})
    table = "".join(f"| {' | '.join(row.values())} |\n" for row in rows)
    page = STATEMENTS.read_text(encoding="utf-8")
    head, shown, rest = re.split(r"(?<=\|---\|\n)((?:\|.*\|\n)*)", page, maxsplit=1)
    if REGENERATE:
        STATEMENTS.write_text(f"{head}{table}{rest}", encoding="utf-8")
        shown = table
    assert shown == table


def test_a_term_is_found_in_each_language(store: KnowledgeStore) -> None:
    query = load_query(QUERIES, "find-term")
    found = {
        row["label"] for lang in ("en", "fr", "es") for row in answer(store, query, {"text": "asthma", "lang": lang})
    }
    assert {"asthma", "asthme", "asma"} <= found


def test_a_text_parameter_ignores_case(store: KnowledgeStore) -> None:
    query = load_query(QUERIES, "find-term")
    upper, lower = (answer(store, query, {"text": text}) for text in ("NEURALGIA", "neuralgia"))
    assert [row["term"] for row in upper] == [row["term"] for row in lower] != []


def test_integers_are_bound_as_integers(tmp_path: Path) -> None:
    query = read_query(written(tmp_path, parameters="[{name: n, type: integer, example: 3, description: A number.}]"))
    assert query.parameters[0].type is ParameterType.INTEGER
    assert bind(query, {"n": "007"}) == {"n": Literal(7)}
    with pytest.raises(InvalidParameter, match="no whole number"):
        bind(query, {"n": "7.5"})


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("lines-of-therapy", {"drug": "Tramadol"}, "has no such parameter"),
        ("find-term", {}, "missing"),
        ("find-term", {"text": "  "}, "missing"),
        ("lines-of-therapy", {"therapy": "Tramadol Therapy"}, "no local name"),
        ("lines-of-therapy", {"therapy": "<https://w3id.org/nextline/X>"}, "no local name"),
        ("lines-of-therapy", {"therapy": "SNOMED:1"}, "no local name"),
        ("lines-of-therapy", {"therapy": "NoSuchTherapy"}, "holds no term"),
        ("lines-of-therapy", {"therapy": "Tramadol"}, "is no nxl:Therapy"),
        ("therapies-in-line", {"line": "Tramadol"}, "is no nxl:TreatmentLine"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_would_be_right(
    store: KnowledgeStore, name: str, values: dict[str, str], message: str
) -> None:
    query = load_query(QUERIES, name)
    with pytest.raises(InvalidParameter, match=message) as caught:
        run(store, query, values)
    assert query.parameters[0].name in caught.value.mend
    assert query.parameters[0].example in caught.value.mend


@pytest.mark.parametrize("name", ["nothing", "../queries/find-term", "find-term.rq", "", "Find-Term", "a" * 500])
def test_an_unknown_query_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(UnknownQuery) as caught:
        load_query(QUERIES, name)
    assert "find-term" in caught.value.mend


@pytest.mark.parametrize(
    "parameters",
    ["[{name: n}]", "[{name: n, type: float, example: 1, description: D.}]", "5", "[["],
)
def test_a_file_with_a_bad_header_is_named(tmp_path: Path, parameters: str) -> None:
    path = written(tmp_path, parameters=parameters)
    with pytest.raises(BrokenQuery) as caught:
        list_queries(tmp_path)
    assert re.fullmatch(rf"{re.escape(str(path))}:\d+", caught.value.place)


@pytest.mark.parametrize(
    ("header", "line", "told"),
    [
        ("#+ question: What\n#+ summary: That.", 1, "question mark"),
        ("#+ question: What?\n#+ summary: That", 2, "full stop"),
        ("#+ question: What?\n#+ sumary: That.", 2, "no field 'sumary'"),
        ("#+ question: What?\n#+ summary: That.\n#+ question: Who?", 3, "stands twice"),
        ("#+ question: What?\n#+ summary: [", 2, "no YAML"),
        (
            "#+ question: What?\n#+ summary: That.\n#+ parameters:\n#+   - name: n\n#+     type: float",
            4,
            "'description'",
        ),
        (
            "#+ question: What?\n#+ summary: That.\n#+ parameters:\n"
            "#+   - {name: n, description: D., type: integer,\n#+      example: x}",
            5,
            "no whole number",
        ),
        (
            "#+ question: What?\n#+ summary: That.\n#+ parameters:\n#+   - {name: m, description: D., type: iri, example: 'x:y'}",
            4,
            "no variable of the SELECT",
        ),
        (
            "#+ question: What?\n#+ summary: That.\n#+ parameters:\n"
            "#+   - {name: limit, description: D., type: iri, example: 'x:y'}",
            4,
            "every query has it",
        ),
        (
            "#+ question: What?\n#+ summary: That.\n#+ parameters:\n#+   - {name: n, description: D., type: enum, example: a}",
            4,
            "list of values",
        ),
    ],
)
def test_what_is_wrong_in_a_header_is_told_with_its_line(tmp_path: Path, header: str, line: int, told: str) -> None:
    path = tmp_path / "some-query.rq"
    path.write_text(f"{header}\nSELECT ?n {{ ?n ?p ?o }}\nORDER BY ?n\n", encoding="utf-8")
    with pytest.raises(BrokenQuery, match=re.escape(told)) as caught:
        read_query(path)
    assert caught.value.place == f"{path}:{line}"


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("SELECT ?n {\n ?n ?p ] }\nORDER BY ?n", 4, "closes nothing"),
        ("SELECT ?n { ?n ?p ?o }", 3, "no ORDER BY"),
        ("SELECT ?n { ?n ?p ?o }\nORDER BY ?n\nLIMIT 5", 5, "LIMIT"),
        ("SELECT ?n {\n SERVICE <x:y> { ?n ?p ?o } }\nORDER BY ?n", 4, "SERVICE"),
    ],
)
def test_what_is_wrong_in_a_text_is_told_with_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    path = tmp_path / "some-query.rq"
    path.write_text(f"#+ question: What?\n#+ summary: That.\n{text}\n", encoding="utf-8")
    with pytest.raises(BrokenQuery, match=told) as caught:
        read_query(path)
    assert caught.value.place == f"{path}:{line}"


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("type: enum, values: [a, b]", "a", "c"),
        ("type: code", "SNOMED:1", "SNOMED"),
        ("type: iri", "https://example.org/x", "x y"),
        ("type: integer, minimum: 2, maximum: 4", "4", "5"),
    ],
)
def test_each_type_takes_only_its_values(tmp_path: Path, field: str, good: str, bad: str) -> None:
    query = read_query(written(tmp_path, parameters=f"[{{name: n, {field}, example: '{good}', description: D.}}]"))
    assert str(bind(query, {"n": good})["n"]) == good
    with pytest.raises(InvalidParameter, match=re.escape(bad)):
        bind(query, {"n": bad})


def test_a_file_without_a_header_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bare.rq"
    path.write_text("ASK { ?s ?p ?o }")
    with pytest.raises(BrokenQuery, match="header"):
        read_query(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenQuery, match="no such folder"):
        list_queries(tmp_path / "absent")
    with pytest.raises(BrokenQuery, match="no such folder"):
        load_query(tmp_path / "absent", "find-term")


def written(folder: Path, parameters: str) -> Path:
    path = folder / "some-query.rq"
    path.write_text(
        f"#+ question: What?\n#+ summary: That.\n#+ parameters: {parameters}\nSELECT ?n {{ ?n ?p ?o }}\nORDER BY ?n\n"
    )
    return path
