"""Settings of the server and the command, from the environment (prefix NEXTLINE_) and from options."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

import kg
from kg.namespaces import NXL


def default_folder(name: str) -> Path:
    """The folder `name` in the current directory if it is there, else the one beside the library."""
    here = Path.cwd() / name
    return here if here.is_dir() else Path(kg.__file__).resolve().parent.parent / name


class Settings(BaseSettings):
    """Every limit and folder; durations are in seconds, sizes in bytes.

    `reload_seconds` is how often a newer build is looked for; 0 never looks. `query_seconds` counts from the arrival of a
    query and is exact: then its worker is killed. `query_client_seconds` is what one client may use of query time in a
    minute, `query_memory_bytes` what a query may take beside the store, `query_unsent_bytes` what results that clients
    are slow to take may hold in all, `query_send_seconds` how long a client may take nothing of its result. `root_path` is the
    prefix under which a proxy passes requests on without cutting it off. Terms whose IRI begins with `iri_base` have
    their page at `/id/` and the rest of the IRI. `store` is the query
    endpoint of an external server that answers in place of the embedded store; `store_update` is where it takes updates
    (by default the same), `graph_store` where it takes whole graphs.
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
    query_waiting: int = Field(default=256, ge=0)
    query_memory_bytes: int = Field(default=512 * 2**20, ge=2**24)
    query_client_seconds: float = Field(default=60.0, ge=0)
    query_unsent_bytes: int = Field(default=512 * 2**20, gt=0)
    query_send_seconds: float = Field(default=30.0, gt=0)
    query_text_bytes: int = Field(default=100_000, gt=0)
    query_nesting: int = Field(default=100, gt=0)
    query_operators: int = Field(default=1000, gt=0)
    query_tokens: int = Field(default=2000, gt=0)
    query_log: bool = True
    reload_seconds: float = Field(default=2.0, ge=0)
    query_result_bytes: int = Field(default=64 * 2**20, gt=0)
    query_result_rows: int = Field(default=1_000_000, gt=0)
    store: str | None = None
    store_update: str | None = None
    graph_store: str | None = None
    store_user: str = ""
    store_password: SecretStr = SecretStr("")
    store_token: SecretStr = SecretStr("")
    store_auth: Literal["basic", "digest"] = "basic"
    store_seconds: float = Field(default=120.0, gt=0)

    @property
    def build_folder(self) -> Path:
        """The folder of the build; by default `build` beside the ontology."""
        return self.build or self.ontology.resolve().parent / "build"
