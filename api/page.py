"""Pages for people: templates, and the headers that keep a page to this server."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

import kg
from api.services import services_of
from kg.namespaces import NXL, ROOT_IRI

HTML = "text/html"
# Nothing is taken from elsewhere, and no script or style stands in a page itself. `data:` is for the icons of styles.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@cache
def web_folder() -> Path:
    """The folder of templates, styles and scripts: beside the library, or where a wheel puts its data."""
    beside = Path(kg.__file__).resolve().parent.parent
    return next((f for f in (beside / "web", beside / "nextline_data" / "web") if f.is_dir()), beside / "web")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(web_folder() / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["emphasised"] = _emphasised
    return environment


def render(
    request: Request, template: str, *, status: int = HTTPStatus.OK, style_hash: str = "", **context: Any
) -> Response:
    """A page from a template; `link` in it gives the address of a term, `root` leads to the start of the server.

    `style_hash` lets a script of the page add the one style with this hash (`'sha256-…'`).
    """
    root = root_of(request)
    services = services_of(request)
    base = services.settings.iri_base
    text = (
        _environment()
        .get_template(template)
        .render(
            root=root,
            link=lambda iri: address_of(iri, root, base),
            version=services.build.manifest.software_version,
            content_hash=services.build.manifest.content_hash,
            **context,
        )
    )
    policy = POLICY.replace("style-src 'self'", f"style-src 'self' {style_hash}".rstrip())
    headers = {**_HEADERS, "Content-Security-Policy": policy, "Vary": "Accept"}
    return Response(text, status_code=status, media_type=HTML, headers=headers)


def root_of(request: Request) -> str:
    """The way from the address of a request to the start of the server, relative: it also leads there behind a proxy.

    A proxy that serves the server below a prefix may cut it off or, with the setting `root_path`, leave it on.
    """
    path: str = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1").partition("?")[0]
    prefix = request.scope.get("root_path", "")
    inner = path[len(prefix) :] if prefix and path.startswith(prefix) else path
    return "../" * (inner.count("/") - 1) or "./"


def address_of(iri: str, root: str, base: str = str(NXL)) -> str:
    """Where a term is told of: here, if it is one of ours; other IRIs of the web under themselves.

    >>> address_of("https://w3id.org/nextline/uses", "../"), address_of("https://example.org/a", "../")
    ('../id/uses', 'https://example.org/a')
    """
    if iri.startswith(base):
        return f"{root}id/{quote(iri.removeprefix(base), safe='/')}"
    if iri == str(ROOT_IRI):
        return f"{root}id/"
    return iri if iri.startswith(("http://", "https://")) else f"{root}id?iri={quote(iri, safe='')}"


def wants_page(request: Request) -> bool:
    """Whether a request comes from a browser: it names HTML among what it accepts."""
    return HTML in request.headers.get("accept", "").lower()


def _emphasised(text: str) -> Markup:
    """A definition with its marked words (`*so*`) emphasised.

    >>> str(_emphasised("A *mark* & more"))
    'A <em>mark</em> &amp; more'
    """
    return Markup(re.sub(r"\*([^*]+)\*", r"<em>\1</em>", str(escape(text))))  # noqa: S704 - escaped just before
