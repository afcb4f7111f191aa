"""A build is a function of its sources, and of nothing else."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kg.build import build, queries_hash, renew_queries
from kg.build_folder import MANIFEST, is_current, open_build, publish
from kg.errors import BrokenQuery, BuildNotFound, NotWritable
from tests.serving import ROOT, command


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """Also in processes of their own, in which sets and blank nodes come in another order."""
    builds = []
    for name, seed in (("one", "1"), ("other", "2"), ("third", "3")):
        arguments = command("build", "--ontology", str(ROOT / "ontology"), "--build", str(tmp_path / name))
        subprocess.run(arguments, check=True, capture_output=True, cwd=ROOT, env={"PYTHONHASHSEED": seed})
        builds.append({p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")})
    assert len(builds[0]) >= 7
    assert builds[0] == builds[1] == builds[2]


ABOUT = {"version_iri": "v", "content_hash": "c", "sources_hash": "s", "software_version": "0", "graphs": {}}
PUBLISHER = """
import sys
from pathlib import Path
from kg.build_folder import publish
number = 0
while True:
    number += 1
    files = {f"{name}.nt": f"{number} of {name}\\n" * 2000 for name in ("asserted", "inferred", "program")}
    publish(Path(sys.argv[1]), files, {about} | {"content_hash": str(number)})
    print(number, flush=True)
"""


def test_whenever_a_build_is_killed_a_whole_one_is_in_force(tmp_path: Path) -> None:
    """A build that follows another without a pause, killed at moments that nobody chose."""
    program = PUBLISHER.replace("{about}", repr(ABOUT))
    moments = random.Random(7)
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        assert process.stdout is not None
        for _ in range(moments.randint(1, 30)):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        opened = open_build(tmp_path)
        texts = {path.read_text(encoding="utf-8").split(" ")[0] for path in opened.folder.iterdir()}
        assert texts == {opened.manifest.content_hash}, "files of two builds"
    assert len(list(tmp_path.iterdir())) <= 6, "what killed builds leave behind is cleared away"


def cut_off(folder: Path) -> None:
    path = folder / "asserted.nt"
    path.write_bytes(path.read_bytes()[:3])


def empty(folder: Path) -> None:
    (folder / "asserted.nt").write_bytes(b"")


def remove(folder: Path) -> None:
    (folder / "asserted.nt").unlink()


def of_another_format(folder: Path) -> None:
    manifest = folder.parent / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text(encoding="utf-8")) | {"format": 1}), encoding="utf-8")


def no_json(folder: Path) -> None:
    (folder.parent / MANIFEST).write_text("{", encoding="utf-8")


def a_folder(folder: Path) -> None:
    (folder.parent / MANIFEST).unlink()
    (folder.parent / MANIFEST).mkdir()


@pytest.mark.parametrize("damage", [cut_off, empty, remove, of_another_format, no_json, a_folder])
def test_a_damaged_build_is_never_opened(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """It is named with the mend, and the next command builds anew."""
    publish(tmp_path, {"asserted.nt": "whole"}, ABOUT)
    assert is_current(tmp_path, "s", "0")
    damage(open_build(tmp_path).folder)
    with pytest.raises(BuildNotFound, match="nextline build"):
        open_build(tmp_path)
    assert not is_current(tmp_path, "s", "0")


def test_a_build_of_other_sources_or_software_is_out_of_date(tmp_path: Path) -> None:
    publish(tmp_path, {"asserted.nt": "whole"}, ABOUT)
    assert not is_current(tmp_path, "edited", "0")
    assert not is_current(tmp_path, "s", "1")


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(NotWritable, match="--build"):
        publish(tmp_path / "file", {"asserted.nt": ""}, ABOUT)
    with pytest.raises(BuildNotFound):
        open_build(tmp_path / "file")


def test_other_questions_are_published_without_reasoning(build_folder: Path, tmp_path: Path) -> None:
    """Only their graph changes; a file that is wrong leaves the build as it was, and is named with its line."""
    target, queries = tmp_path / "build", tmp_path / "queries"
    shutil.copytree(build_folder, target)
    shutil.copytree(ROOT / "queries", queries)
    before = open_build(target).manifest
    assert before.queries_hash == queries_hash(queries)
    added = queries / "classes.rq"
    added.write_text(
        "#+ question: Which classes are there?\n#+ summary: All.\nSELECT ?c { ?c a ?t } ORDER BY ?c\n", encoding="utf-8"
    )
    after = renew_queries(target, queries)
    assert {n for n, digest in after.files.items() if before.files[n] != digest} == {"queries.nt"}
    assert after.queries_hash == queries_hash(queries) != before.queries_hash
    graph = next(iri for iri in after.graphs if iri.endswith("/queries"))
    assert after.graphs[graph] > before.graphs[graph]
    assert "classes" in (open_build(target).folder / "queries.nt").read_text(encoding="utf-8")
    added.write_text("#+ question: Which?\n#+ summary: All.\nSELECT ?c { ?c a ?t }\n", encoding="utf-8")
    with pytest.raises(BrokenQuery, match=r"classes\.rq:3: "):
        renew_queries(target, queries)
    with pytest.raises(BrokenQuery, match=r"classes\.rq:3: "):
        build(ROOT / "ontology", target, queries=queries)
    assert open_build(target).manifest == after
