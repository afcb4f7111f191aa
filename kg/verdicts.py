"""The table that turns five truth values into a status."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

Truth = bool | None


class Status(StrEnum):
    """The standing of an option for a patient by a guideline, in the order in which answers list them."""

    ELIGIBLE = "eligible"
    CONDITIONAL = "conditional"
    IN_USE = "in-use"
    NOT_REACHED = "not-reached"
    NOT_INDICATED = "not-indicated"
    EXHAUSTED = "exhausted"
    RECOMMENDED_AGAINST = "recommended-against"
    OUT_OF_SCOPE = "out-of-scope"
    CONTRAINDICATED = "contraindicated"

    @property
    def order(self) -> int:
        """The place in an answer, 0 first."""
        return _ORDER[self]


_ORDER = {status: place for place, status in enumerate(Status)}


class Standing(NamedTuple):
    """In scope, indicated, recommended against, contraindicated, exhausted: each true, false or unknown (None).

    `in_use`: a current course of it is effective, or is known to be not yet adequate. `but_for_steps`: it would be
    indicated if the steps of the guideline were met.
    """

    in_scope: Truth
    indicated: Truth
    recommended_against: Truth
    contraindicated: Truth
    exhausted: Truth
    in_use: Truth = False
    but_for_steps: bool = False

    @property
    def status(self) -> Status:
        """The status by the table: the first row whose condition is known to hold.

        >>> Standing(True, True, False, False, False).status
        <Status.ELIGIBLE: 'eligible'>
        >>> Standing(True, True, False, None, False).status
        <Status.CONDITIONAL: 'conditional'>
        >>> Standing(False, False, False, True, False).status  # label safety needs no guideline
        <Status.CONTRAINDICATED: 'contraindicated'>
        >>> Standing(True, False, False, None, False, but_for_steps=True).status
        <Status.NOT_REACHED: 'not-reached'>
        """
        if self.contraindicated:
            return Status.CONTRAINDICATED
        if self.in_scope is False:
            return Status.OUT_OF_SCOPE
        if self.recommended_against:
            return Status.RECOMMENDED_AGAINST
        if self.exhausted:
            return Status.EXHAUSTED
        if self.in_use:
            return Status.IN_USE
        if self.indicated is False:
            return Status.NOT_REACHED if self.but_for_steps else Status.NOT_INDICATED
        closed = (self.recommended_against, self.contraindicated, self.exhausted)
        if self.in_scope and self.indicated and all(value is False for value in closed):
            return Status.ELIGIBLE
        return Status.CONDITIONAL
