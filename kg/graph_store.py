"""The SPARQL 1.1 Graph Store HTTP Protocol, for writing whole graphs; the only module that imports httpx."""

from __future__ import annotations

import httpx

from kg.sparql_client import Access, check_url, raise_for_status, unreachable

_ATTEMPTS = 3


class GraphStore:
    """Writes graphs at one URL, such as http://localhost:7878/store."""

    def __init__(self, url: str, access: Access) -> None:
        check_url(url)
        self.url = url
        headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        login: httpx.Auth | None = None
        if access.user and not access.token:
            kind = httpx.DigestAuth if access.digest else httpx.BasicAuth
            login = kind(access.user, access.password)
        self._client = httpx.Client(auth=login, headers=headers, timeout=access.seconds, follow_redirects=False)

    def put(self, graph: str, triples: bytes) -> None:
        """Make N-Triples the whole content of a graph. Done twice it does the same, so it is tried again.

        Raises StoreUnreachable and StoreRefused.
        """
        # N-Triples are Turtle, and Turtle is what every server takes.
        headers = {"Content-Type": "text/turtle; charset=utf-8"}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = self._client.put(self.url, params={"graph": graph}, content=triples, headers=headers)
            except (httpx.TransportError, httpx.InvalidURL) as error:
                if attempt == _ATTEMPTS:
                    raise unreachable(self.url, error) from None
                continue
            if not response.is_success:
                location = response.headers.get("Location", "")
                raise_for_status(self.url, response.status_code, response.content, location, writes=True)
            return
