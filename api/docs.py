"""The documentation page, with its script and style served from here: no request leaves the server."""

from __future__ import annotations

from importlib import resources

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
# "validatorUrl" would have the page send its address to a public validator.
_PARAMETERS = {"validatorUrl": None, "tryItOutEnabled": True, "displayRequestDuration": True}


def install(app: FastAPI) -> None:
    """Serve /docs and its assets."""
    app.router.routes.extend(
        [
            Route("/docs", _page, name="docs"),
            *(_asset(name, media_type) for name, media_type in _ASSETS.items()),
        ]
    )


def _page(request: Request) -> Response:
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=f"{request.app.title}: documentation",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon-32x32.png",
        swagger_ui_parameters=_PARAMETERS,
    )


def _asset(name: str, media_type: str) -> Route:
    def serve(request: Request) -> Response:
        content = resources.files("fastapi_swagger.resources").joinpath(name).read_bytes()
        return Response(content, media_type=media_type, headers={"Cache-Control": "max-age=86400"})

    return Route(f"/docs/{name}", serve, name=name)
