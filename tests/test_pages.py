"""Linked data: every IRI answers with a page and with its triples, and every link between pages works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from rdflib import OWL, RDF, RDFS, BNode, Graph, URIRef
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from kg.build_folder import Build
from kg.example_text import text_with_values
from kg.namespaces import NXL, local_name
from kg.queries import bind, list_queries, run
from kg.store import KnowledgeStore
from kg.term_index import KINDS, TermIndex

ROOT = Path(__file__).resolve().parent.parent
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
GRAPH_FORMATS = {
    "text/turtle": "turtle",
    "application/ld+json": "json-ld",
    "application/n-triples": "nt",
    "application/rdf+xml": "xml",
}


@pytest.fixture(scope="module")
def client(opened: Build) -> Iterator[TestClient]:
    settings = Settings(ontology=ROOT / "ontology", queries=ROOT / "queries", reload_seconds=0)
    with TestClient(create_app(opened, settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def index(opened: Build) -> TermIndex:
    return opened.term_pages.index


@pytest.fixture(scope="module")
def store(opened: Build) -> KnowledgeStore:
    return KnowledgeStore.load(opened.graph_files)


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.headings: list[int] = []
        self.unlabelled: set[str] = set()
        self.labelled: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [address for name in ("href", "src", "action") if (address := given.get(name))]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "label":
            self.labelled.add(str(given.get("for")))
        if tag == "input" and "aria-label" not in given:
            self.unlabelled.add(str(given.get("id")))
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)


def read(text: str) -> Links:
    links = Links()
    links.feed(text)
    return links


def sample(index: TermIndex) -> list[str]:
    """Paths of the front page, every list, and one term of every kind."""
    by_kind: dict[str, list[str]] = {}
    for term, kind in index.terms.items():
        by_kind.setdefault(kind.name, []).append(f"/id/{str(term).removeprefix(str(NXL))}")
    terms = [
        paths[i]
        for paths in by_kind.values()
        for i in (0, len(paths) // 2)
        if paths[i].startswith("/id/") and "http" not in paths[i]
    ]
    return ["/", "/search?q=pain", "/sparql/editor", *(f"/browse/{kind.name}" for kind in KINDS), *terms]


def test_every_link_of_the_pages_works(client: TestClient, index: TermIndex) -> None:
    targets: dict[str, str] = {}
    for path in sample(index):
        page = client.get(path, headers=BROWSER)
        assert page.status_code == 200, path
        # Of long lists the first and the last links stand for the others, which are made in the same way.
        found = read(page.text).found
        for link in found if len(found) < 80 else [*found[:60], *found[-20:]]:
            address = urlsplit(urljoin(f"http://testserver{path}", link))
            if address.netloc == "testserver":
                targets[address._replace(fragment="").geturl().removeprefix("http://testserver")] = path
    assert len(targets) > 200
    chosen = sorted(targets)[:: max(1, len(targets) // 200)]
    chosen += [t for t in targets if not t.startswith("/id/")]
    broken = {t: targets[t] for t in chosen if client.get(t, headers=BROWSER).status_code != 200}
    assert broken == {}


def test_every_kind_of_term_answers_in_every_format(client: TestClient, index: TermIndex) -> None:
    for path in (p for p in sample(index) if p.startswith("/id/")):
        iri = URIRef(NXL + path.removeprefix("/id/"))
        for media_type, name in GRAPH_FORMATS.items():
            response = client.get(path, headers={"Accept": media_type})
            assert response.status_code == 200 and response.headers["content-type"].startswith(media_type), path
            graph = Graph().parse(data=response.text, format=name)
            assert (iri, RDF.type, None) in graph
            lists = [o for o in graph.objects() if isinstance(o, BNode)]
            assert all((node, None, None) in graph for node in lists), "a blank node is left without what it stands for"


def test_a_page_shows_what_a_reader_needs_of_a_statement(client: TestClient, index: TermIndex, opened: Build) -> None:
    knowledge = opened.knowledge
    statement = next(
        s for s in knowledge.statements.values() if s.guideline and s.line and s.severity is None and s.groups
    )
    text = client.get(f"/id/{local_name(statement.iri)}", headers=BROWSER).text
    assert statement.text.clinician in text and statement.text.patient in text and statement.locator in text
    assert statement.line and statement.review_status and statement.guideline
    shown = (statement.line, statement.review_status, statement.guideline, *statement.source, *statement.groups)
    for term in shown:
        assert f"../id/{local_name(term)}" in text, term
    group = client.get(f"/id/{local_name(statement.groups[0])}", headers=BROWSER).text
    assert f"../id/{local_name(statement.iri)}" in group, "a term lists the statements that speak of it"


def test_a_narrower_term_lists_what_is_said_of_the_broader(client: TestClient, opened: Build) -> None:
    knowledge = opened.knowledge
    said, group, leaf = next(
        (s, g, leaf)
        for s in knowledge.statements.values()
        for g in s.groups
        for leaf in knowledge.taxonomy.leaves(g)
        if leaf != g and knowledge.stated.is_a(leaf, NXL.Substance)
    )
    text = client.get(f"/id/{local_name(leaf)}", headers=BROWSER).text
    assert f"../id/{local_name(said.iri)}" in text and f"../id/{local_name(group)}" in text


def test_a_reference_links_to_where_it_can_be_read(client: TestClient, opened: Build) -> None:
    graph = opened.knowledge.graph
    for property_, address in ((NXL.doi, "https://doi.org/{}"), (NXL.pmid, "https://pubmed.ncbi.nlm.nih.gov/{}/")):
        reference, number = next(iter(sorted(graph.subject_objects(property_))))
        assert address.format(number) in client.get(f"/id/{local_name(str(reference))}", headers=BROWSER).text


def test_names_in_other_languages_are_shown_and_found(client: TestClient, opened: Build) -> None:
    graph = opened.knowledge.graph
    term, label = min(
        (s, o)
        for s, o in graph.subject_objects(RDFS.label)
        if getattr(o, "language", None) == "fr" and len(str(o)) > 12
    )
    assert f'lang="fr">{label}' in client.get(f"/id/{local_name(str(term))}", headers=BROWSER).text.replace(
        "&#39;", "'"
    )
    found = client.get("/v1/search", params={"q": str(label)}).json()["results"]
    assert str(term) in {result["iri"] for result in found}
    assert f"id/{local_name(str(term))}" in client.get("/search", params={"q": str(label)}).text


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "text/turtle"),
        ("*/*", "text/turtle"),
        (BROWSER["Accept"], "text/html"),
        ("text/html;q=0.5, text/turtle", "text/turtle"),
        ("application/ld+json", "application/ld+json"),
        ("application/json", "application/json"),
    ],
)
def test_the_format_follows_accept(client: TestClient, accept: str | None, expected: str) -> None:
    client.headers.pop("accept", None)
    response = client.get("/id/Therapy", headers={"Accept": accept} if accept else {})
    assert response.headers["content-type"].startswith(expected) and "Accept" in response.headers["vary"]
    assert '<https://w3id.org/nextline/Therapy>; rel="describes"' in response.headers["link"]


def test_the_format_can_be_asked_for_in_the_address(client: TestClient) -> None:
    response = client.get("/id/Therapy?format=n-triples", headers=BROWSER)
    assert response.headers["content-type"].startswith("application/n-triples")
    refused = client.get("/id/Therapy?format=pdf")
    assert refused.status_code == 400 and refused.json()["place"] == "format" and "turtle" in refused.json()["mend"]
    assert client.get("/id/Therapy", headers={"Accept": "image/png"}).status_code == 406


def test_what_was_read_is_not_sent_twice(client: TestClient) -> None:
    first = client.get("/id/Therapy", headers=BROWSER)
    again = client.get("/id/Therapy", headers={**BROWSER, "If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    other = client.get("/id/Therapy", headers={"Accept": "text/turtle", "If-None-Match": first.headers["etag"]})
    assert other.status_code == 200, "another format is another representation"
    head = client.head("/id/Therapy", headers=BROWSER)
    assert head.status_code == 200 and not head.content and head.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("name", ["Nowhere", "a b", "x<y>", '"', "%", "%00", "é", "../sparql", "Therapy/", "a" * 3000])
def test_an_unknown_term_says_where_to_look(client: TestClient, name: str) -> None:
    response = client.get("/id", params={"iri": f"{NXL}{name}"}, headers={"Accept": "text/turtle"})
    assert response.status_code == 404 and response.headers["content-type"] == "application/problem+json"
    assert "/v1/search?q=" in response.json()["mend"]
    page = client.get("/id", params={"iri": f"{NXL}{name}"}, headers=BROWSER)
    assert page.status_code == 404 and "search?q=" in page.text and "<y>" not in page.text


def test_an_iri_of_another_vocabulary_answers_too(client: TestClient) -> None:
    title = client.get("/id", params={"iri": "http://purl.org/dc/terms/title"}, headers={"Accept": "text/turtle"})
    assert (URIRef("http://purl.org/dc/terms/title"), RDF.type, OWL.AnnotationProperty) in Graph().parse(
        data=title.text
    )
    ours = client.get("/id", params={"iri": str(NXL.Therapy)}, follow_redirects=False)
    assert ours.status_code == 303 and ours.headers["location"] == "./id/Therapy"
    assert client.get("/id").status_code == 400


def test_links_hold_behind_a_proxy_that_keeps_its_prefix(opened: Build) -> None:
    settings = Settings(ontology=ROOT / "ontology", queries=ROOT / "queries", reload_seconds=0, root_path="/pain")
    with TestClient(create_app(opened, settings)) as client:
        page = client.get("/pain/id/Therapy", headers=BROWSER)
        assert page.status_code == 200 and client.get("/pain/web/static/site.css").status_code == 200
        assert client.get("/id/Therapy", headers=BROWSER).status_code == 200
        inner = {
            urljoin("http://testserver/pain/id/Therapy", link) for link in read(page.text).found if "://" not in link
        }
        assert inner and all(
            link.startswith("http://testserver/pain/") for link in inner if not link.endswith("#content")
        )


def test_pages_can_be_used_without_eyes_and_without_scripts_of_others(client: TestClient, index: TermIndex) -> None:
    for path in sample(index):
        response = client.get(path, headers=BROWSER)
        seen = read(response.text)
        assert '<html lang="en">' in response.text and 'href="#content"' in response.text
        assert seen.headings[0] == 1 and seen.headings.count(1) == 1, path
        assert all(after - before <= 1 for before, after in zip(seen.headings, seen.headings[1:], strict=False)), path
        assert seen.unlabelled <= seen.labelled, path
        assert not seen.inline, path
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert "Awaits clinical review" in response.text


def test_text_of_the_knowledge_and_of_the_reader_stays_text(client: TestClient) -> None:
    page = client.get("/search", params={"q": "<script>alert(1)</script>"}).text
    assert "<script>alert" not in page and "&lt;script&gt;" in page


def test_every_ready_made_question_runs_in_the_editor_as_it_does_by_itself(
    client: TestClient, store: KnowledgeStore
) -> None:
    shown = {e["name"]: e["query"] for e in client.get("/sparql/editor/examples").json()["examples"]}
    for query in list_queries(ROOT / "queries"):
        values = {p.name: p.example if p.default is None else p.default for p in query.parameters}
        assert query.question in shown[query.name]
        alone = store.query(text_with_values(query.text, bind(query, values))).rows()
        bound = run(store, query, values).rows()
        assert sorted(map(str, map(sorted, map(dict.items, alone)))) == sorted(
            map(str, map(sorted, map(dict.items, bound)))
        ), query.name


def test_a_visit_of_a_browser_to_the_endpoint_gets_the_editor(client: TestClient) -> None:
    response = client.get("/sparql", headers=BROWSER, follow_redirects=False)
    assert response.status_code == 303 and response.headers["location"] == "sparql/editor"
    asked = client.get("/sparql", params={"query": "ASK {}"}, headers={"Accept": "text/html, */*"})
    assert asked.status_code == 200 and "json" in asked.headers["content-type"]
