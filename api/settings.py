"""Settings of the server and the command, from the environment (prefix NEXTLINE_) and from options."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

import kg
from kg.namespaces import NXL


def default_folder(name: str) -> Path:
    """The folder `name` in the current directory if it is there, else the one beside the library."""
    here = Path.cwd() / name
    return here if here.is_dir() else Path(kg.__file__).resolve().parent.parent / name


class Settings(BaseSettings):
    """Every limit and folder; durations are in seconds, sizes in bytes.

    `reload_seconds` is how often a newer build is looked for; 0 never looks. `query_seconds` is soft: the client gets its
    answer in time, while a query that yields nothing may go on in its thread, and keep one of the `query_workers` busy,
    until it ends. `root_path` is the prefix under which a proxy passes requests on without cutting it off. Terms whose IRI
    begins with `iri_base` have their page at `/id/` and the rest of the IRI.
    """

    model_config = SettingsConfigDict(env_prefix="NEXTLINE_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    ontology: Path = Field(default_factory=lambda: default_folder("ontology"))
    queries: Path = Field(default_factory=lambda: default_folder("queries"))
    build: Path | None = None
    root_path: str = Field(default="/", pattern=r"^/([\w.~/-]*[^/])?$")
    iri_base: str = Field(default=str(NXL), pattern=r"^https?://[^\s<>\"{}|^`\\]+[/#]$")
    max_body_bytes: int = Field(default=2**20, gt=0)
    reasoner_deadline_seconds: float = Field(default=120.0, gt=0)
    reasoner_workers: int = Field(default=2, gt=0)
    reasoner_waiting: int = Field(default=8, ge=0)
    query_seconds: float = Field(default=10.0, gt=0)
    query_workers: int = Field(default=4, gt=0)
    query_waiting: int = Field(default=32, ge=0)
    reload_seconds: float = Field(default=2.0, ge=0)
    query_result_bytes: int = Field(default=64 * 2**20, gt=0)

    @property
    def build_folder(self) -> Path:
        """The folder of the build; by default `build` beside the ontology."""
        return self.build or self.ontology.resolve().parent / "build"
