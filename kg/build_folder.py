"""Finished builds on disk: published whole or not at all, and checked when they are opened.

A build folder holds `manifest.json` and beside it one folder a build, named by what is in it and never changed. The
manifest names the build in force and the hash of each of its files. It is replaced last and at once, so that whoever
opens the folder gets the old build or the new one, and a server keeps what it opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

from rdflib import Graph

from kg.answer import Answerer
from kg.compiled import CompiledEngine
from kg.errors import BuildNotFound, NotWritable
from kg.knowledge import Knowledge
from kg.program import FILE_NAME as PROGRAM
from kg.program import read_program
from kg.reference import ReferenceEngine
from kg.search import SearchIndex
from kg.taxonomy import Taxonomy
from kg.term_page import TermPages

FORMAT = 6
MANIFEST = "manifest.json"
_MEND = "Run `nextline build`."


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a build was made from and what it holds.

    Version IRI and content hash of the ontology, hash of the files of its sources and examples, version of the software,
    triples by graph IRI, SHA-256 by file name, the name of the folder that holds the files, and the hash of the files of
    the canned queries.
    """

    format: int
    version_iri: str
    content_hash: str
    sources_hash: str
    software_version: str
    graphs: dict[str, int]
    files: dict[str, str]
    folder: str
    queries_hash: str = ""


@dataclass(frozen=True)
class Build:
    """A finished build, opened read-only."""

    folder: Path
    manifest: Manifest
    deadline_seconds: float = 120

    @property
    def graph_files(self) -> dict[str, Path]:
        """The file of each named graph, by graph IRI."""
        return {iri: self.folder / f"{iri.rsplit('/', 1)[-1]}.nt" for iri in self.manifest.graphs}

    @cached_property
    def knowledge(self) -> Knowledge:
        """The authored modules with their classified hierarchy."""
        asserted = self._graph("asserted.nt")
        return Knowledge(asserted, classified(asserted, self._graph("inferred.nt")))

    @cached_property
    def term_pages(self) -> TermPages:
        """What makes the pages of terms from this build."""
        return TermPages(self.knowledge)

    @cached_property
    def answerer(self) -> Answerer:
        """What answers requests from this build, by its compiled program."""
        manifest = self.manifest
        version = {
            "versionIri": manifest.version_iri,
            "contentHash": manifest.content_hash,
            "programHash": manifest.files[PROGRAM],
            "softwareVersion": manifest.software_version,
        }
        return Answerer(CompiledEngine(self.knowledge, read_program(self.folder)), version)

    @cached_property
    def search(self) -> SearchIndex:
        """The names of all terms, for looking them up."""
        return SearchIndex(self.knowledge)

    @cached_property
    def reference(self) -> ReferenceEngine:
        """The reference engine over this build, with the deadline that the build was opened with."""
        return ReferenceEngine(self.knowledge, self._graph("closure.nt"), deadline_seconds=self.deadline_seconds)

    def _graph(self, name: str) -> Graph:
        return Graph().parse(self.folder / name, format="nt")


def publish(target: Path, files: Mapping[str, str], about: Mapping[str, object]) -> Manifest:
    """Write a build into the folder `target` and put it in force.

    `files` has texts by file name, `about` the other fields of the manifest. Raises NotWritable.
    """
    hashes = {name: _digest(text.encode("utf-8")) for name, text in files.items()}
    folder = _digest(json.dumps(hashes, sort_keys=True).encode("utf-8"))[:16]
    manifest = Manifest(format=FORMAT, files=hashes, folder=folder, **about)  # type: ignore[arg-type]
    try:
        target.mkdir(parents=True, exist_ok=True)
        making = Path(mkdtemp(prefix=".making-", dir=target))
        making.chmod(0o755)
    except OSError as error:
        raise NotWritable(str(target), f"cannot be made ({error.strerror}).", "Choose a folder with --build.") from None
    try:
        for name, text in files.items():
            (making / name).write_text(text, encoding="utf-8")
        if (target / folder).exists():
            shutil.rmtree(target / folder)  # the same content, perhaps damaged since
        making.rename(target / folder)
        pointer = target / f".{MANIFEST}-{making.name}"
        pointer.write_text(json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        before = _folder_in_force(target)
        os.replace(pointer, target / MANIFEST)
    except OSError as error:
        raise NotWritable(
            str(error.filename or target), f"cannot be written ({error.strerror}).", "Choose a folder with --build."
        ) from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    _forget(target, {folder, before})
    return manifest


def open_build(target: Path, *, deadline_seconds: float = 120) -> Build:
    """Open the build in force; the deadline is that of each reasoner call of its reference engine.

    Raises BuildNotFound when there is none, when it is of another format, or when a file is missing or damaged.
    """
    manifest = _manifest(target)
    folder = target / manifest.folder
    for name, digest in manifest.files.items():
        path = folder / name
        try:
            found = _digest(path.read_bytes())
        except OSError as error:
            raise BuildNotFound(str(path), f"a file of the build cannot be read ({error.strerror}).", _MEND) from None
        if found != digest:
            raise BuildNotFound(str(path), "a file of the build is damaged.", _MEND)
    return Build(folder, manifest, deadline_seconds)


def is_current(target: Path, sources_hash: str, software_version: str) -> bool:
    """Whether `target` holds a whole build of just these sources, by this version of the software."""
    try:
        manifest = open_build(target).manifest
    except BuildNotFound:
        return False
    return (manifest.sources_hash, manifest.software_version) == (sources_hash, software_version)


def classified(asserted: Graph, inferred: Graph) -> Taxonomy:
    """The hierarchy with what HermiT added to it."""
    stated = Taxonomy.of(asserted)
    return stated.extended(Taxonomy.edges_of((str(s), str(p), str(o)) for s, p, o in inferred))


def _manifest(target: Path) -> Manifest:
    path = target / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise BuildNotFound(str(path), f"the build has format {document['format']}, not {FORMAT}.", _MEND)
        return Manifest(**document)
    except FileNotFoundError:
        raise BuildNotFound(str(target), "there is no finished build here.", _MEND) from None
    except OSError as error:
        raise BuildNotFound(str(path), f"the manifest cannot be read ({error.strerror}).", _MEND) from None
    except (ValueError, TypeError, KeyError):
        raise BuildNotFound(str(path), "the manifest cannot be read.", _MEND) from None


def _folder_in_force(target: Path) -> str:
    try:
        return _manifest(target).folder
    except BuildNotFound:
        return ""


def _forget(target: Path, kept: set[str]) -> None:
    """Remove what is neither the build in force nor the one before it, and what a build that was killed left behind."""
    for path in target.iterdir():
        is_build = path.is_dir() and len(path.name) == len("0123456789abcdef") and path.name not in kept
        left_over = path.name.startswith((".making-", f".{MANIFEST}-"))
        if path.is_dir() and (is_build or left_over):
            shutil.rmtree(path, ignore_errors=True)
        elif left_over:
            path.unlink(missing_ok=True)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
