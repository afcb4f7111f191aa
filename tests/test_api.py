"""The endpoints around eligibility, the canned queries, the documentation, and the shape of errors."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rdflib import RDF, Graph, URIRef
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from kg.build_folder import open_build
from kg.errors import BrokenQuery
from kg.namespaces import NXL, local_name

ROOT = Path(__file__).resolve().parent.parent
STATUSES = {
    "eligible",
    "conditional",
    "in-use",
    "exhausted",
    "not-indicated",
    "not-reached",
    "recommended-against",
    "contraindicated",
    "out-of-scope",
}
RECORD: dict[str, Any] = {
    "asOf": "2026-11-22",
    "patient": {"ageYears": 63, "findings": [{"code": "PainfulDiabeticPolyneuropathy"}]},
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(ontology=ROOT / "ontology", queries=ROOT / "queries", max_body_bytes=100_000)


@pytest.fixture(scope="module")
def client(build_folder: Path, settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(open_build(build_folder), settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def answer(client: TestClient) -> dict[str, Any]:
    """The answer to a simple record; one run of the reasoner for all tests that look at its shape."""
    response = client.post("/v1/eligibility", json=RECORD)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem document of a refused request."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert set(document) >= {"type", "title", "status", "detail", "instance", "place", "mend"}
    assert document["status"] == status
    assert document["type"].startswith("https://")
    assert "Traceback" not in response.text and 'File "' not in response.text
    return document


def changed(**patient: Any) -> dict[str, Any]:
    return {**RECORD, "patient": {**RECORD["patient"], **patient}}


# --- eligibility --------------------------------------------------------------------------------------------------


def test_every_option_has_a_status_and_its_reasons_have_sources(answer: dict[str, Any]) -> None:
    assert answer["options"]
    for option in answer["options"]:
        assert option["therapy"]["id"] and option["therapy"]["label"]
        assert isinstance(option["inUse"], bool)
        for row in option["guidelines"]:
            assert row["status"] in STATUSES
            assert {"line", "strength", "guideline"} <= set(row)
        for reason in (r for part in (option, *option["guidelines"]) for r in part["because"]):
            assert set(reason) >= {"statement", "kind", "text", "severity", "source", "locator", "reviewStatus"}
            assert reason["text"] and reason["source"] and reason["reviewStatus"]


def test_eligible_options_come_first(answer: dict[str, Any]) -> None:
    eligible = [any(r["status"] == "eligible" for r in option["guidelines"]) for option in answer["options"]]
    assert eligible == sorted(eligible, reverse=True)


def test_an_answer_names_its_day_its_knowledge_and_its_limits(client: TestClient, answer: dict[str, Any]) -> None:
    assert answer["asOf"] == "2026-11-22"
    assert answer["inputIssues"] == []
    assert answer["notice"]
    version = client.get("/version").json()
    named = {name: version[name] for name in ("versionIri", "contentHash", "programHash")}
    assert answer["knowledge"] == named | {"softwareVersion": version["software"]}
    assert answer["engine"] == version["engine"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"not json", b'{"patient": ', b"\xff\xfe", b"[" * 50_000, b'{"patient": {}} trailing'],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_json_is_400_with_its_place(client: TestClient, body: bytes) -> None:
    document = problem(client.post("/v1/eligibility", content=body, headers={"Content-Type": "application/json"}), 400)
    assert re.search(r"line|body", document["place"])


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "body"),
        ({}, "patient"),
        ({"patient": {}}, "patient.findings"),
        ({"patient": {"findings": []}}, "patient.findings"),
        (changed(colour="blue"), "patient.colour"),
        (changed(ageYears=-1), "patient.ageYears"),
        (changed(ageYears="63"), "patient.ageYears"),
        (changed(findings=[{"code": "NoSuchFinding"}]), "patient.findings"),
        (changed(findings=[{"code": "Duloxetine"}]), "patient.findings"),
        (changed(findings=[{"code": "NOSYSTEM:1"}]), "patient.findings"),
        (changed(courses=[{"substances": ["Duloxetine"], "weeks": -3}]), "patient.courses.0.weeks"),
        (
            changed(courses=[{"substances": ["Duloxetine"], "start": "2026-03-01", "end": "2026-01-01"}]),
            "patient.courses.0",
        ),
        (changed(courses=[{"substances": ["NoSuchDrug"]}]), "patient.courses"),
        (changed(medications=[{"code": "NoSuchDrug"}]), "patient.medications"),
        (changed(measurements=[{"code": "EstimatedGFR", "value": 28, "unit": "furlong"}]), "patient.measurements"),
        (changed(measurements=[{"code": "ShoeSize", "value": 43, "unit": "1"}]), "patient.measurements"),
        (
            changed(findings=[{"code": "AcuteSevereAsthma"}, {"code": "AcuteOrSevereAsthma", "status": "absent"}]),
            "patient.findings",
        ),
        (
            changed(medications=[{"code": "Phenelzine"}, {"code": "MonoamineOxidaseInhibitor", "status": "absent"}]),
            "patient.medications",
        ),
        ({**RECORD, "guidelines": ["nobody"]}, "guidelines"),
        ({**RECORD, "asOf": "tomorrow"}, "asOf"),
        ({**RECORD, "unreportedFindings": "maybe"}, "unreportedFindings"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_that_breaks_the_contract_is_422_and_names_the_field(
    client: TestClient, body: Any, place: str
) -> None:
    document = problem(client.post("/v1/eligibility", json=body), 422)
    assert document["place"].replace("[", ".").replace("]", "").startswith(place)
    assert document["mend"]


def test_an_unmapped_code_is_reported_and_the_rest_is_answered(client: TestClient) -> None:
    findings = [{"code": "PainfulDiabeticPolyneuropathy"}, {"code": "SNOMED:1"}]
    response = client.post("/v1/eligibility", json=changed(findings=findings))
    assert response.status_code == 200
    assert "SNOMED:1" in json.dumps(response.json()["inputIssues"])
    problem(client.post("/v1/eligibility", json=changed(findings=[{"code": "SNOMED:1"}])), 422)


def test_too_large_a_body_is_413(client: TestClient) -> None:
    problem(client.post("/v1/eligibility", content=b" " * 100_001, headers={"Content-Type": "application/json"}), 413)
    chunks = iter([b" " * 60_000, b" " * 60_000])
    problem(client.post("/v1/eligibility", content=chunks, headers={"Content-Type": "application/json"}), 413)


def test_another_media_type_is_415_and_another_method_405(client: TestClient) -> None:
    response = client.post("/v1/eligibility", content=b"<patient/>", headers={"Content-Type": "application/xml"})
    problem(response, 415)
    assert response.headers["accept-post"] == "application/json"
    response = client.get("/v1/eligibility")
    problem(response, 405)
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/turtle", "text/turtle; charset=utf-8"),
        ("application/ld+json", "application/ld+json"),
        ("text/html, text/turtle;q=0.4, application/ld+json;q=0.6", "application/ld+json"),
        ("application/json;q=0.1, text/*", "text/turtle; charset=utf-8"),
        ("*/*;q=0.1, application/json;q=0", "text/turtle; charset=utf-8"),
    ],
)
def test_an_answer_comes_in_the_format_that_the_client_prefers(
    client: TestClient, accept: str | None, given: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    response = client.post("/v1/eligibility", json=RECORD, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == given
    assert response.headers["vary"] == "Accept, Accept-Language"


def test_an_answer_as_rdf_has_the_options_of_the_json(client: TestClient, answer: dict[str, Any]) -> None:
    expected = sorted((o["therapy"]["iri"], row["status"]) for o in answer["options"] for row in o["guidelines"])
    for media_type in ("text/turtle", "application/ld+json"):
        response = client.post("/v1/eligibility", json=RECORD, headers={"Accept": media_type})
        graph = Graph().parse(data=response.content, format=media_type)
        therapies = {URIRef(option["therapy"]["iri"]) for option in answer["options"]}
        found = [
            (str(t), str(s))
            for o, standing in graph.subject_objects(NXL.standing)
            for s in graph.objects(standing, NXL.status)
            for t in therapies
            if (o, RDF.type, t) in graph
        ]
        assert sorted(found) == expected


@pytest.mark.parametrize(
    "accept", ["text/html", "image/png, text/csv", "application/json;q=0", "application/n-triples"]
)
def test_an_answer_in_another_format_is_406(client: TestClient, accept: str) -> None:
    document = problem(client.post("/v1/eligibility", json=RECORD, headers={"Accept": accept}), 406)
    assert document["type"].endswith("/not-acceptable")
    assert "text/turtle" in document["mend"]


def test_what_if_tells_what_a_change_makes_of_the_answer(client: TestClient, answer: dict[str, Any]) -> None:
    response = client.post("/v1/eligibility/what-if", json={"request": RECORD, "changes": [{"setAge": 16}]})
    assert response.status_code == 200, response.text
    found = response.json()
    assert {row["status"]["after"] for c in found["changes"] for row in c["guidelines"]} == {"out-of-scope"}
    assert found["before"]["inputHash"] == answer["inputHash"] != found["after"]["inputHash"]
    for field in ("asOf", "knowledge", "notice"):
        assert found[field] == answer[field]
    unchanged = client.post("/v1/eligibility/what-if", json={"request": RECORD, "changes": []}).json()
    assert unchanged["changes"] == unchanged["steps"] == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (RECORD, "request"),
        ({"request": RECORD}, "changes"),
        ({"request": changed(ageYears=-1), "changes": []}, "request.patient.ageYears"),
        ({"request": RECORD, "changes": [{"removeFinding": "Asthma"}]}, "changes.0.removeFinding"),
        ({"request": RECORD, "changes": [{"removeCourse": 0}]}, "changes.0.removeCourse"),
        ({"request": RECORD, "changes": [{"addFinding": {"code": "Ashtma"}}]}, "changes.0.addFinding.code"),
        ({"request": RECORD, "changes": [{"setAge": 1}] * 51}, "changes"),
    ],
)
def test_a_what_if_that_cannot_be_answered_is_422_and_names_the_field(
    client: TestClient, body: Any, place: str
) -> None:
    document = problem(client.post("/v1/eligibility/what-if", json=body), 422)
    assert document["place"] == place
    assert document["mend"]


def test_a_what_if_is_read_as_carefully_as_a_record(client: TestClient) -> None:
    url = "/v1/eligibility/what-if"
    problem(client.post(url, content=b"{", headers={"Content-Type": "application/json"}), 400)
    problem(client.post(url, content=b"<patient/>", headers={"Content-Type": "application/xml"}), 415)
    problem(client.post(url, content=b" " * 100_001, headers={"Content-Type": "application/json"}), 413)
    problem(client.get(url), 405)


def test_the_examples_of_what_if_can_be_sent(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/v1/eligibility/what-if"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert examples
    for example in examples.values():
        response = client.post("/v1/eligibility/what-if", json=example["value"])
        assert response.status_code == 200, response.text


def test_the_examples_are_requests_that_can_be_sent(client: TestClient) -> None:
    listed = client.get("/v1/eligibility/examples").json()["examples"]
    assert len(listed) >= 12
    for entry in listed:
        assert entry["title"]
        assert "findings" in client.get(entry["url"]).json()["patient"]
    response = client.post("/v1/eligibility", json=client.get(listed[0]["url"]).json())
    assert response.status_code == 200


@pytest.mark.parametrize("name", ["nothing", "..%2f..%2fcatalog-v001", "a" * 300])
def test_an_unknown_example_is_404(client: TestClient, name: str) -> None:
    problem(client.get(f"/v1/eligibility/examples/{name}"), 404)


# --- canned queries -----------------------------------------------------------------------------------------------


def test_the_list_of_queries_says_how_to_run_each(client: TestClient) -> None:
    listed = client.get("/v1/queries").json()["queries"]
    assert len(listed) >= 16
    for query in listed:
        assert query["question"].endswith("?")
        params = {parameter["name"]: parameter["example"] for parameter in query["parameters"]}
        response = client.get(query["url"], params=params)
        assert response.status_code == 200, response.text
        assert response.json()["results"]["bindings"]
        assert client.get(f"{query['url']}/description").json() == query


def test_a_query_answers_in_the_preferred_format(client: TestClient) -> None:
    response = client.get("/v1/queries/conflicts", headers={"Accept": "text/csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text.startswith("statement,")
    problem(client.get("/v1/queries/conflicts", headers={"Accept": "image/png"}), 406)


def test_a_parameter_is_taken_from_the_query_string(client: TestClient) -> None:
    rows = client.get("/v1/queries/lines-of-therapy", params={"therapy": "MorphineTherapy"}).json()["results"][
        "bindings"
    ]
    assert {local_name(row["therapy"]["value"]) for row in rows} == {"MorphineTherapy"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/queries/find-term", 400),
        ("/v1/queries/find-term?text=a&text=b", 400),
        ("/v1/queries/find-term?text=a&colour=blue", 400),
        ("/v1/queries/lines-of-therapy?therapy=Nothing", 400),
        ("/v1/queries/lines-of-therapy?therapy=%3Cx%3E", 400),
        ("/v1/queries/nothing", 404),
        ("/v1/queries/nothing/description", 404),
    ],
)
def test_a_wrong_query_or_parameter_is_refused_with_what_would_be_right(
    client: TestClient, path: str, status: int
) -> None:
    document = problem(client.get(path), status)
    assert "find-term" in document["mend"] or "therapy=" in document["mend"]


# --- the server ---------------------------------------------------------------------------------------------------


def test_health_and_version(client: TestClient, build_folder: Path) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    version = client.get("/version").json()
    manifest = open_build(build_folder).manifest
    assert version["versionIri"] == manifest.version_iri
    assert version["contentHash"] == manifest.content_hash
    assert version["software"] == manifest.software_version
    assert version["engine"] == "compiled"
    assert "HermiT" in version["referenceEngine"]
    assert version["reloadProblem"] is None


def test_the_documentation_needs_nothing_from_elsewhere(client: TestClient) -> None:
    """The page and everything that it loads come from this server."""
    response = client.get("/docs")
    assert 'href="./docs"' in client.get("/").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    assert loaded
    for url in [*loaded, "openapi.json"]:
        assert "//" not in url
        assert client.get(f"/{url}").status_code == 200
    assert '"validatorUrl": null' in response.text
    assert "https://" not in response.text


def test_the_description_covers_every_path_and_shows_real_examples(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    paths = document["paths"]
    assert {"/v1/eligibility", "/v1/eligibility/examples", "/sparql", "/v1/queries", "/healthz", "/version"} <= set(
        paths
    )
    for query in client.get("/v1/queries").json()["queries"]:
        assert paths[query["url"]]["get"]["summary"] == query["question"]
    body = paths["/v1/eligibility"]["post"]["requestBody"]["content"]["application/json"]
    ids = {entry["id"] for entry in client.get("/v1/eligibility/examples").json()["examples"]}
    assert set(body["examples"]) == ids
    assert [p["name"] for p in paths["/v1/eligibility"]["post"]["parameters"]] == ["explain"]
    assert "503" not in paths["/v1/eligibility"]["post"]["responses"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


@pytest.mark.parametrize(
    ("path", "name"), [("/v1/eligibility/examples/{id}", "id"), ("/v1/queries/{name}/description", "name")]
)
def test_the_description_tells_of_a_path_what_it_answers(client: TestClient, path: str, name: str) -> None:
    operation = client.get("/openapi.json").json()["paths"][path]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == [name]
    assert set(operation["responses"]) == {"200", "404"}
    assert set(operation["responses"]["404"]["content"]) == {"application/problem+json"}
    problem(client.get(path.replace(f"{{{name}}}", "nothing")), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/version",
        "/v1/queries",
        "/v1/queries/conflicts",
        "/v1/queries/conflicts/description",
        "/v1/eligibility/examples",
        "/v1/eligibility/examples/second-line-failed",
        "/docs",
        "/openapi.json",
        "/nothing",
        "/v1/eligibility",
    ],
)
def test_head_answers_what_get_answers_without_the_body(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/docs/nothing.js"])
def test_an_unknown_path_is_a_problem_document_too(client: TestClient, path: str) -> None:
    assert problem(client.get(path), 404)["instance"] == path


def test_a_fault_of_ours_is_500_and_tells_nothing_of_the_inside(
    build_folder: Path, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An example file that was damaged after the start: the cause goes to the log and not to the client."""
    (tmp_path / "examples").mkdir()
    app = create_app(open_build(build_folder), settings.model_copy(update={"ontology": tmp_path}))
    (tmp_path / "examples" / "broken.json").write_text("{ secret", encoding="utf-8")
    with TestClient(app, raise_server_exceptions=False) as client:
        document = problem(client.get("/v1/eligibility/examples/broken"), 500)
    assert "JSONDecodeError" not in json.dumps(document) and "secret" not in json.dumps(document)
    assert "JSONDecodeError" in caplog.text


@pytest.mark.parametrize("content", [b"ASK {}", b"#+ question: \xff", b"#+ question: Q?\n#+ summary: S.\nSELECT {"])
def test_a_query_file_that_breaks_while_serving_leaves_the_others(
    build_folder: Path, settings: Settings, tmp_path: Path, content: bytes
) -> None:
    """What was read before goes on, and /version says what is wrong where; mended, the file is served and described."""
    shutil.copy(ROOT / "queries" / "conflicts.rq", tmp_path)
    changed = {"queries": tmp_path, "build": build_folder, "reload_seconds": 0.01}
    app = create_app(open_build(build_folder), settings.model_copy(update=changed))
    with TestClient(app) as client:
        added = tmp_path / "added.rq"
        added.write_bytes(content)
        problem_told = waited(lambda: client.get("/version").json()["queriesProblem"])
        assert str(added) in problem_told
        assert client.get("/v1/queries/conflicts").status_code == 200
        problem(client.get("/v1/queries/added"), 404)
        added.write_text(
            "#+ question: Which classes are there?\n#+ summary: All.\n"
            "SELECT ?class { ?class a <http://www.w3.org/2002/07/owl#Class> } ORDER BY ?class\n",
            encoding="utf-8",
        )
        waited(lambda: client.get("/v1/queries/added").status_code == 200)
        assert client.get("/version").json()["queriesProblem"] is None
        assert "/v1/queries/added" in client.get("/openapi.json").json()["paths"]
        added.unlink()
        waited(lambda: client.get("/v1/queries/added").status_code == 404)
        assert "/v1/queries/added" not in client.get("/openapi.json").json()["paths"]


def waited(asked: Callable[[], Any], seconds: float = 20) -> Any:
    """What `asked` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = asked()
        if found:
            return found
    raise AssertionError("it did not come true")


def test_a_broken_query_file_stops_the_start_and_names_the_line(
    build_folder: Path, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "broken.rq"
    path.write_text("#+ question: Q?\n#+ summary: S.\n\nSELECT ?s { ?s ?p } ORDER BY ?s\n", encoding="utf-8")
    with pytest.raises(BrokenQuery, match=f"{path.name}:4: "):
        create_app(open_build(build_folder), settings.model_copy(update={"queries": tmp_path}))


# --- pages of a query ---------------------------------------------------------------------------------------------


def test_pages_make_up_the_whole_and_link_to_each_other(client: TestClient) -> None:
    path = "/v1/queries/guidelines"
    whole = client.get(path).json()["results"]["bindings"]
    assert len(whole) > 4
    found: list[Any] = []
    url = f"{path}?limit=3"
    while url:
        response = client.get(url)
        rows = response.json()["results"]["bindings"]
        assert 0 < len(rows) <= 3
        assert ('rel="prev"' in response.headers.get("link", "")) is bool(found)
        found += rows
        forward = re.search(r'<([^>]+)>; rel="next"', response.headers.get("link", ""))
        url = forward[1] if forward else ""
    assert found == whole
    assert client.get(f"{path}?offset=2").json()["results"]["bindings"] == whole[2:]
    assert "link" not in client.get(path).headers


def test_a_link_keeps_the_parameters(client: TestClient) -> None:
    response = client.get("/v1/queries/members-of-class?class=Opioid&limit=2", headers={"Accept": "text/csv"})
    assert response.status_code == 200, response.text
    assert "</v1/queries/members-of-class?class=Opioid&limit=2&offset=2>" in response.headers["link"]


@pytest.mark.parametrize("page", ["limit=0", "limit=-1", "limit=many", "limit=10001", "offset=-1", "limit=2&limit=3"])
def test_a_wrong_page_is_refused(client: TestClient, page: str) -> None:
    assert problem(client.get(f"/v1/queries/guidelines?{page}"), 400)["place"] in ("limit", "offset")


def test_the_values_of_a_parameter_are_listed_when_they_are_few(client: TestClient) -> None:
    """They are what the graph holds, and each of them is taken."""
    paths = client.get("/openapi.json").json()["paths"]
    (line,) = [p for p in paths["/v1/queries/therapies-in-line"]["get"]["parameters"] if p["name"] == "line"]
    assert line["example"] in line["schema"]["enum"] and line["schema"]["default"] in line["schema"]["enum"]
    for value in line["schema"]["enum"]:
        assert client.get("/v1/queries/therapies-in-line", params={"line": value}).status_code == 200
    (finding,) = paths["/v1/queries/contraindications-by-finding"]["get"]["parameters"][:1]
    assert "enum" not in finding["schema"]


# --- search -------------------------------------------------------------------------------------------------------


def test_a_search_names_term_match_and_type(client: TestClient) -> None:
    found = client.get("/v1/search", params={"q": "NEVRALGIE POSTHERP", "lang": "fr"}).json()["results"][0]
    assert (found["id"], found["type"], found["kind"]) == ("PostherpeticNeuralgia", "finding", None)
    assert found["iri"] == "https://w3id.org/nextline/PostherpeticNeuralgia"
    assert found["match"] == {"name": found["label"], "lang": "fr", "sort": "label"}
    statement = client.get("/v1/search", params={"q": "tramadol", "type": "statement", "limit": 1}).json()["results"]
    assert len(statement) == 1 and statement[0]["kind"]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("", "q"),
        ("q=", "q"),
        (f"q={'a' * 201}", "q"),
        ("q=a&lang=xx", "lang"),
        ("q=a&type=drug", "type"),
        ("q=a&limit=0", "limit"),
        ("q=a&limit=101", "limit"),
        ("q=a&limit=few", "limit"),
        ("q=a&colour=blue", "colour"),
    ],
)
def test_a_wrong_search_is_refused(client: TestClient, query: str, place: str) -> None:
    assert problem(client.get(f"/v1/search?{query}"), 400)["place"] == place
