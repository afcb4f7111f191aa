"""Requests to an external SPARQL 1.1 server; the only module that imports SPARQLWrapper."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

from SPARQLWrapper import BASIC, JSON, POST, URLENCODED, SPARQLWrapper

from kg.errors import InvalidQuery, QueryFailure, StoreRefused, StoreUnreachable

_CHUNK = 2**16
_EXCERPT = 300
_TRANSIENT = frozenset({429, 502, 503, 504})
# Virtuoso cuts a result to its ResultSetMaxRows and says so in a header only.
_CUT = "X-SPARQL-MaxRows"


@dataclass(frozen=True, slots=True)
class Access:
    """Where an external server takes queries and updates, and who asks.

    `user` with `password`, or a bearer `token`, go with every request; `digest` answers a digest challenge instead of
    sending the password along. `seconds` is the time that one request may take.
    """

    query_url: str
    update_url: str
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    digest: bool = False
    seconds: float = 120

    def __post_init__(self) -> None:
        """Raises StoreRefused for what is no HTTP URL, or holds a password."""
        for url in (self.query_url, self.update_url):
            check_url(url)


def check_url(url: str) -> None:
    """Raises StoreRefused for what is no HTTP URL, or holds a password, which would stand in every log."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", url):
        raise StoreRefused(url, "this is no HTTP URL.", "Give one such as http://localhost:7878/query.")
    if parts.username or parts.password:
        place = f"{parts.scheme}://…@{parts.hostname}"
        raise StoreRefused(place, "the URL holds a password.", "Leave it out, and set NEXTLINE_STORE_PASSWORD.")


@dataclass(frozen=True, slots=True)
class Received:
    """The body of an answer, and its media type without parameters."""

    media_type: str
    body: bytes


class SparqlClient:
    """Sends queries and updates to one server; may be used in several threads at once."""

    def __init__(self, access: Access) -> None:
        self.access = access

    def query(
        self,
        text: str,
        *,
        accept: str,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        result_bytes: int | None = None,
        seconds: float | None = None,
    ) -> Received:
        """The answer to a query in a media type of `accept`. Reading is safe: a connection that breaks is tried again once.

        Raises StoreUnreachable, StoreRefused, QueryFailure when `seconds` pass, InvalidQuery when the server does not
        take the query or the result has more than `result_bytes`.
        """
        for graph, add in ((default_graphs, "default-graph-uri"), (named_graphs, "named-graph-uri")):
            if any(re.search(r"[\s<>\"{}|\\^`]", iri) or ":" not in iri for iri in graph):
                raise InvalidQuery(add, "the name of a graph is no IRI.", "Give absolute IRIs.")
        wrapper = self._wrapper(text, "SELECT")
        wrapper.addCustomHttpHeader("Accept", accept)
        for iri in default_graphs:
            wrapper.addParameter("default-graph-uri", iri)
        for iri in named_graphs:
            wrapper.addParameter("named-graph-uri", iri)
        allowed = self.access.seconds if seconds is None else seconds
        deadline = time.monotonic() + allowed
        try:
            received = self._send(wrapper, allowed, result_bytes, deadline)
        except StoreUnreachable:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            received = self._send(wrapper, left, result_bytes, deadline)
        if received.media_type not in [part.partition(";")[0].strip() for part in accept.split(",")]:
            raise StoreRefused(
                self.access.query_url,
                f"the answer is {received.media_type or 'of no type'}, not {accept}{_excerpt(received.body)}.",
                "Give the URL at which the server takes SPARQL queries.",
            )
        return received

    def update(self, text: str) -> None:
        """Have an update done. It is sent once: whether to send it again is for the caller to decide.

        Raises StoreUnreachable and StoreRefused.
        """
        self._send(self._wrapper(text, "INSERT"), self.access.seconds, None, None)

    def _wrapper(self, text: str, kind: str) -> _Wrapper:
        access = self.access
        wrapper = _Wrapper(access.query_url, access.update_url, returnFormat=JSON)
        wrapper.setQuery(text)
        wrapper.queryType = kind  # which of the two protocols: not to be guessed from words in the text
        wrapper.setMethod(POST)
        wrapper.setRequestMethod(URLENCODED)
        wrapper.setOnlyConneg(True)  # the format by Accept alone, and not by parameters of its own invention
        if access.token:
            wrapper.addCustomHttpHeader("Authorization", f"Bearer {access.token}")
        elif access.user and not access.digest:
            wrapper.setHTTPAuth(BASIC)
            wrapper.setCredentials(access.user, access.password)
        wrapper.opener = _opener(access)
        return wrapper

    def _send(self, wrapper: _Wrapper, seconds: float, result_bytes: int | None, deadline: float | None) -> Received:
        is_update = wrapper.isSparqlUpdateRequest()
        place = self.access.update_url if is_update else self.access.query_url
        wrapper.allowed = seconds
        try:
            response = wrapper.query().response
            return Received(_media_type(response), _read(response, place, result_bytes, deadline))
        except urllib.error.HTTPError as error:
            raise_for_status(place, error.code, error.read(_CHUNK), error.headers.get("Location", ""), is_update)
        except TimeoutError:
            raise self._late(place, seconds, is_update) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._late(place, seconds, is_update) from None
            raise unreachable(place, error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(place, error) from None

    def _late(self, place: str, seconds: float, is_update: bool) -> StoreUnreachable | QueryFailure:
        problem = f"the server did not answer within {seconds:.3g} seconds."
        if is_update:
            return StoreUnreachable(place, problem, "Try again, or allow more with NEXTLINE_STORE_SECONDS.")
        return QueryFailure(place, problem, "Make the query more selective, or try again later.")


class _Wrapper(SPARQLWrapper):
    """SPARQLWrapper with an opener of its own.

    Its own way changes the opener of the whole process for digest log-in, and follows redirects with the password.
    """

    opener: urllib.request.OpenerDirector
    allowed: float  # seconds; its own setting takes whole ones

    def _query(self) -> tuple[Any, str]:
        return self.opener.open(self._createRequest(), timeout=self.allowed), self.returnFormat


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _opener(access: Access) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if access.digest and access.user:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        for url in (access.query_url, access.update_url):
            passwords.add_password(None, url, access.user, access.password)
        handlers.append(urllib.request.HTTPDigestAuthHandler(passwords))
    return urllib.request.build_opener(*handlers)


def _read(response: Any, place: str, result_bytes: int | None, deadline: float | None) -> bytes:
    found = bytearray()
    while chunk := response.read1(_CHUNK):
        found += chunk
        if result_bytes is not None and len(found) > result_bytes:
            raise InvalidQuery("query", f"the result has more than {result_bytes} bytes.", "Add a LIMIT or a filter.")
        if deadline is not None and time.monotonic() > deadline:
            raise QueryFailure(place, "the answer did not come in time.", "Make the query more selective.")
    length = response.headers.get("Content-Length")
    if length is not None and length.isdigit() and len(found) < int(length):
        raise StoreUnreachable(place, "the answer broke off.", "Try again.")
    if response.headers.get(_CUT):
        raise StoreRefused(
            place,
            f"the server cut the result to {response.headers[_CUT]} rows.",
            "Raise its limit (in Virtuoso ResultSetMaxRows).",
        )
    return bytes(found)


def raise_for_status(place: str, code: int, body: bytes, location: str, writes: bool) -> NoReturn:
    """Raise the error that says what an HTTP status means here, with what the server told."""
    told = _excerpt(body)
    if 300 <= code < 400:
        raise StoreRefused(place, f"the server sends on to {location[:200] or 'another place'}.", "Give that URL.")
    if code == 401:
        raise StoreRefused(
            place,
            f"the server asks for a log-in, or refuses this one{told}.",
            "Set NEXTLINE_STORE_USER and NEXTLINE_STORE_PASSWORD, or NEXTLINE_STORE_TOKEN; see NEXTLINE_STORE_AUTH too.",
        )
    if code == 403:
        raise StoreRefused(
            place,
            f"the server forbids this{told}.",
            "Give the user the right to it, or another user by the environment.",
        )
    if code in (404, 405, 410, 501):
        what = "updates" if writes else "queries"
        raise StoreRefused(
            place, f"the server takes no {what} here ({code}){told}.", f"Give the URL at which it takes SPARQL {what}."
        )
    if code in _TRANSIENT:
        raise StoreUnreachable(place, f"the server is busy or away ({code}){told}.", "Try again in a while.")
    if writes or code in (406, 415):
        raise StoreRefused(place, f"the server refuses the request ({code}){told}.", "See its log.")
    if code in (400, 413, 414, 500):
        raise QueryFailure(place, f"the server cannot answer the query ({code}){told}.", "Change the query.")
    raise StoreRefused(place, f"the server answers {code}{told}.", "See its log.")


def unreachable(place: str, reason: object) -> StoreUnreachable:
    """The error for a connection that was refused, broke off, or could not be had."""
    return StoreUnreachable(place, f"the server cannot be reached ({reason}).", "Start it, or give another URL.")


def _media_type(response: Any) -> str:
    return str(response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


def _excerpt(body: bytes) -> str:
    """The beginning of what a server told, without the markup of an error page."""
    text = body.decode("utf-8", "replace")
    if re.search(r"(?i)<html|<!doctype", text):
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text)
    text = " ".join(text.split())[:_EXCERPT].rstrip(".")
    return f": {text}" if text else ""
