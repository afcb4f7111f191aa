"""Which store answers queries, by the settings: the embedded one, or an external server."""

from __future__ import annotations

from api.settings import Settings
from kg.build_folder import Build
from kg.errors import StoreRefused
from kg.graph_store import GraphStore
from kg.remote_store import RemoteStore
from kg.sparql_client import Access, SparqlClient
from kg.store import KnowledgeStore, Queryable


def open_store(build: Build, settings: Settings) -> Queryable:
    """The graphs of a build: in memory, or on the server that the settings name, which has to hold just this build.

    Raises BuildNotFound, StoreUnreachable, StoreRefused, StoreMismatch.
    """
    if settings.store is None:
        return KnowledgeStore.load(build.graph_files)
    manifest = build.manifest
    store = RemoteStore(SparqlClient(access_of(settings)), tuple(manifest.graphs))
    store.require(manifest.content_hash, manifest.folder, manifest.graphs)
    return store


def access_of(settings: Settings) -> Access:
    """How the external server is spoken to. Raises StoreRefused when none is named, or its URL is none."""
    if settings.store is None:
        raise StoreRefused("--store", "there is no URL of an external server.", "Give it, or set NEXTLINE_STORE.")
    return Access(
        query_url=settings.store,
        update_url=settings.store_update or settings.store,
        user=settings.store_user,
        password=settings.store_password.get_secret_value(),
        token=settings.store_token.get_secret_value(),
        digest=settings.store_auth == "digest",
        seconds=settings.store_seconds,
    )


def graph_store_of(settings: Settings) -> GraphStore | None:
    """Where the external server takes whole graphs, or None. Raises StoreRefused when the URL is none."""
    return None if settings.graph_store is None else GraphStore(settings.graph_store, access_of(settings))
