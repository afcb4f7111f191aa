"""Entity tags (RFC 9110, section 8.8.3) of answers that only a new build changes."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from api.services import Services


def etag_of(services: Services, *parts: str) -> str:
    """The tag of what is made from the build in force alone; `parts` tell answers from the same build apart."""
    manifest = services.build.manifest
    text = "\n".join((manifest.folder, manifest.software_version, *parts))
    return f'"{hashlib.sha256(text.encode("utf-8")).hexdigest()[:24]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether the client says that it has this version (If-None-Match, compared weakly as RFC 9110 asks)."""
    given = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    return "*" in given or etag.removeprefix("W/") in given


def not_modified(request: Request, etag: str) -> Response | None:
    """The answer 304 if the client has this version already, else None."""
    if not is_known(request, etag):
        return None
    return Response(status_code=304, headers=tagged(etag))


def tagged(etag: str) -> dict[str, str]:
    """The headers of an answer with a tag: it may be kept, and is asked about before it is used again."""
    return {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept"}
