"""The canned queries as they are served: read at the start, and again when a file changes."""

from __future__ import annotations

import logging
from pathlib import Path

from starlette.requests import Request

from kg.canned import CannedQuery
from kg.errors import BrokenQuery, UnknownQuery
from kg.queries import list_queries

_LOG = logging.getLogger("nextline.api")


class CannedQueries:
    """The queries of a folder. `problem` says why the files as they are now are not served, or is None.

    Raises BrokenQuery when a file is not right at the start; later on, the queries read before go on being served.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._state()
        self.queries = list_queries(folder)
        self.problem: str | None = None

    def find(self, name: str) -> CannedQuery:
        """A query by name. Raises UnknownQuery, listing those that exist."""
        for query in self.queries:
            if query.name == name:
                return query
        known = ", ".join(sorted(query.name for query in self.queries)) or "none"
        raise UnknownQuery(name[:100], "there is no query of that name.", f"Queries: {known}.")

    def refresh(self) -> bool:
        """Read the files anew if one changed, came or went; whether others are served now."""
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        try:
            self.queries = list_queries(self._folder)
        except BrokenQuery as error:
            self.problem = str(error)
            _LOG.error("the queries read before go on being served: %s", error)
            return False
        self.problem = None
        _LOG.info("serving %d canned queries", len(self.queries))
        return True

    def _state(self) -> frozenset[tuple[str, int, int]]:
        """Names, times and sizes of the files."""
        found = set()
        for path in self._folder.glob("*.rq"):
            try:
                about = path.stat()
            except OSError:  # it went meanwhile
                continue
            found.add((path.name, about.st_mtime_ns, about.st_size))
        return frozenset(found)


def canned_of(request: Request) -> CannedQueries:
    """The canned queries of the application that a request came to."""
    canned: CannedQueries = request.app.state.canned
    return canned
