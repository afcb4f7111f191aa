"""Content negotiation by the Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One entry of an Accept header: type and subtype (each may be `*`) and its weight from 0 to 1."""

    type: str
    subtype: str
    quality: float

    def specificity(self, media_type: str) -> int:
        """How narrowly the range matches: 3 the type itself, 2 its main type, 1 anything, 0 not at all."""
        main, _, sub = media_type.partition("/")
        if self.type == main and self.subtype == sub:
            return 3
        if self.type == main and self.subtype == "*":
            return 2
        return 1 if self.type == self.subtype == "*" else 0


def parse_accept(header: str) -> tuple[MediaRange, ...]:
    """The media ranges of an Accept header; entries that are malformed are left out.

    >>> parse_accept("text/csv;q=0.5, */*; q=0.1")[0]
    MediaRange(type='text', subtype='csv', quality=0.5)
    """
    ranges = []
    for entry in header.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        main, slash, sub = name.partition("/")
        quality = _quality(parameters)
        if slash and main and sub and quality is not None and (main != "*" or sub == "*"):
            ranges.append(MediaRange(main, sub, quality))
    return tuple(ranges)


def choose(header: str | None, offered: Sequence[str]) -> str | None:
    """The offered media type that the client prefers, or None when it accepts none of them.

    Of equal weights, the one offered first wins. No header, or an empty one, accepts everything.

    >>> choose("text/turtle;q=0.4, application/json", ["text/turtle", "application/json"])
    'application/json'
    """
    if header is None or not header.strip():
        return offered[0]
    ranges = parse_accept(header)
    best, best_quality = None, 0.0
    for media_type in offered:
        matching = [r for r in ranges if r.specificity(media_type)]
        if not matching:
            continue
        quality = max(matching, key=lambda r: (r.specificity(media_type), r.quality)).quality
        if quality > best_quality:
            best, best_quality = media_type, quality
    return best


def choose_language(header: str | None, offered: Sequence[str]) -> str:
    """The offered language that an Accept-Language header prefers, else the first: no language is refused (RFC 9110, 12.5.4).

    >>> choose_language("fr-CA, en;q=0.8", ["en", "es", "fr"]), choose_language("de", ["en", "es", "fr"])
    ('fr', 'en')
    """
    best, best_quality = offered[0], 0.0
    for entry in (header or "").split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality, language = _quality(parameters) or 0.0, name.partition("-")[0]
        if language in offered and quality > best_quality:
            best, best_quality = language, quality
    return best


def _quality(parameters: Sequence[str]) -> float | None:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value.strip())
            except ValueError:
                return None
            return quality if 0 <= quality <= 1 else None
    return 1.0
