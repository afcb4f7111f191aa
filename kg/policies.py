"""How the verdicts of several guidelines on one option are put beside each other, and made into one where that is asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from kg.guidelines import Guideline
from kg.verdicts import Standing, Status, Truth

EACH, ANY, ALL, STRICTEST = "each", "any", "all", "strictest"


class Verdict(NamedTuple):
    """What a guideline says of an option: the status, and whether it is for it, against it, or neither (None)."""

    status: Status
    is_for: bool | None

    @classmethod
    def of(cls, standing: Standing) -> Verdict:
        """The verdict of a standing; a guideline is also for an option whose line is not reached, or that is spent.

        >>> Verdict.of(Standing(True, False, False, None, False, but_for_steps=True)).is_for
        True
        >>> Verdict.of(Standing(True, False, True, False, False)).is_for
        False
        """
        if standing.in_scope is False:
            return cls(standing.status, None)
        if standing.recommended_against:
            return cls(standing.status, False)
        supports = standing.indicated is not False or standing.but_for_steps
        return cls(standing.status, True if supports else None)


def agreement(verdicts: Iterable[Verdict]) -> str:
    """Whether the guidelines that speak to this patient are all `for` an option, all `against` it, `split`, or `silent`.

    >>> agreement([Verdict(Status.ELIGIBLE, True), Verdict(Status.RECOMMENDED_AGAINST, False)])
    'split'
    >>> agreement([Verdict(Status.OUT_OF_SCOPE, None)])
    'silent'
    """
    directions = {verdict.is_for for verdict in verdicts} - {None}
    if len(directions) > 1:
        return "split"
    return {True: "for", False: "against"}[directions.pop()] if directions else "silent"  # type: ignore[index]


def overall(
    policy: str,
    guidelines: tuple[Guideline, ...],
    placing: Collection[str],
    verdicts: Mapping[str, Verdict],
    in_scope: Callable[[Guideline], Truth],
) -> tuple[Status | None, list[str]]:
    """The one status that a policy makes of the verdicts, and the codes of the guidelines that decided it.

    `each` makes none of several. The code of a guideline takes its verdict alone. `any` takes the most open, `strictest`
    the least open of what the guidelines say that are not out of scope; `all` counts those that are silent as well, so
    that an option is eligible only where every guideline says so. Only guidelines in `placing` count: those that place
    treatments of its kind in lines.
    """
    chosen = policy if policy != EACH or len(guidelines) > 1 else guidelines[0].code
    if chosen == EACH:
        return None, []
    counted = [g for g in guidelines if chosen in (ANY, ALL, STRICTEST, g.code)]
    counted = [g for g in counted if g.code in placing or g.code == chosen]
    within = [g.code for g in counted if in_scope(g) is not False]
    if not within:
        return Status.OUT_OF_SCOPE, [g.code for g in counted]
    said = {code: verdicts[code].status for code in within if code in verdicts}
    if chosen == ALL:
        said = dict.fromkeys(within, Status.NOT_INDICATED) | said
    if not said:
        return Status.NOT_INDICATED, within
    take = min if chosen == ANY else max
    status = take(said.values(), key=lambda s: s.order)
    return status, [code for code, its in said.items() if its is status]
