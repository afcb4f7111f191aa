"""A build is a function of its sources, and of nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.serving import ROOT, command


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """Also in processes of their own, in which sets and blank nodes come in another order."""
    builds = []
    for name, seed in (("one", "1"), ("other", "2"), ("third", "3")):
        arguments = command("build", "--ontology", str(ROOT / "ontology"), "--build", str(tmp_path / name))
        subprocess.run(arguments, check=True, capture_output=True, cwd=ROOT, env={"PYTHONHASHSEED": seed})
        builds.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert len(builds[0]) >= 5
    assert builds[0] == builds[1] == builds[2]
