"""How much query time a client has used: each gets so many seconds a minute, however it spreads them."""

from __future__ import annotations

import math
from http import HTTPStatus

from api.problems import RequestProblem

_MOST_CLIENTS = 10_000
_MINUTE = 60.0


class Budget:
    """Seconds of query time by client; what was used comes back evenly within a minute. 0 seconds means no limit."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._used: dict[str, tuple[float, float]] = {}

    def check(self, client: str, now: float) -> None:
        """Raises RequestProblem (429) for a client that has used its time up, saying when to come again."""
        if not self._seconds:
            return
        over = self._used_now(client, now) - self._seconds
        if over > 0:
            wait = math.ceil(over * _MINUTE / self._seconds)
            raise RequestProblem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too-many-requests",
                "client",
                f"your queries have used up the {self._seconds:g} seconds a minute that one client gets.",
                f"Try again in {wait} seconds, with fewer or cheaper queries.",
                {"Retry-After": str(wait)},
            )

    def spend(self, client: str, seconds: float, now: float) -> None:
        """Take off what a query took."""
        if not self._seconds:
            return
        if len(self._used) >= _MOST_CLIENTS and client not in self._used:
            self._used = {c: used for c, used in self._used.items() if self._used_now(c, now) > 0}
        self._used[client] = (self._used_now(client, now) + seconds, now)

    def _used_now(self, client: str, now: float) -> float:
        used, since = self._used.get(client, (0.0, now))
        return max(0.0, used - (now - since) * self._seconds / _MINUTE)
