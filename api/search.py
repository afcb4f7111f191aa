"""Looking terms up by their names, fast enough to complete what someone types."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Request

from api.services import services_of
from kg.errors import InvalidParameter
from kg.namespaces import local_name
from kg.search import TYPES, Hit

router = APIRouter(prefix="/v1/search", tags=["Search"])

_USUAL, _MOST = 20, 100
_LONGEST = 200
_TAKEN = ("q", "lang", "type", "limit")


@router.get("", summary="Find terms by name")
async def search(
    request: Request,
    q: str = Query("", description="A name, a part of one, or a code.", examples=["neuralg"]),
    lang: str = Query("", description="Only names in this language, and codes; labels in it too."),
    type: str = Query("", description="Only terms of this type.", json_schema_extra={"enum": list(TYPES)}),  # noqa: A002
    limit: str = Query(
        str(_USUAL),
        description="How many terms at most.",
        json_schema_extra={"type": "integer", "minimum": 1, "maximum": _MOST},
    ),
) -> dict[str, Any]:
    """The terms of which a label, synonym, lay label, code or local name is like `q`, the best first.

    Case and accents do not matter. A name that equals `q` comes first, then names that begin with it, names with a word
    that does, names with all its words, and names that hold it inside; when there are none, names that are spelt alike.
    """
    build = services_of(request).build
    given = dict(request.query_params.multi_items())
    for name in given:
        if name not in _TAKEN:
            raise InvalidParameter(name[:100], "there is no such parameter.", f"Give {', '.join(_TAKEN)}.")
    if not q.strip():
        raise InvalidParameter("q", "the parameter is missing.", "Give a name, such as q=neuralgia.")
    if len(q) > _LONGEST:
        raise InvalidParameter("q", f"the text has {len(q)} characters.", f"Give at most {_LONGEST}.")
    if lang and lang not in build.search.languages:
        known = ", ".join(build.search.languages)
        raise InvalidParameter("lang", f"there are no names in '{lang[:20]}'.", f"Give one of {known}, or none.")
    if type and type not in TYPES:
        raise InvalidParameter("type", f"there is no type '{type[:50]}'.", f"Give one of {', '.join(TYPES)}, or none.")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _MOST):
        raise InvalidParameter(
            "limit", f"'{limit[:20]}' is no whole number from 1 to {_MOST}.", f"The usual is {_USUAL}."
        )
    hits = build.search.find(q, lang or None, type or None, int(limit))

    def row(hit: Hit) -> dict[str, Any]:
        return {
            "id": local_name(hit.term),
            "iri": str(hit.term),
            "label": build.search.label(hit.term, lang or "en"),
            "type": hit.type,
            "kind": build.search.kind(hit.term),
            "match": {"name": hit.name, "lang": hit.language, "sort": hit.sort},
        }

    return {"query": q, "results": [row(hit) for hit in hits]}
