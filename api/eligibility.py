"""Which options are open to a patient, and why."""

from __future__ import annotations

import json
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, Response

from api.bodies import media_type, read_body
from api.examples import find_example, read_examples
from api.problems import RequestProblem
from api.services import services_of
from kg.errors import InvalidParameter, InvalidRecord
from kg.request import EligibilityRequest, parse_request

router = APIRouter(prefix="/v1/eligibility", tags=["Eligibility"])


@router.post("", include_in_schema=False)
async def eligibility(request: Request) -> Response:
    """Evaluate a patient record."""
    services = services_of(request)
    kind = media_type(request)
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise RequestProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Content-Type",
            f"'{kind}' is not taken.",
            "Send application/json.",
            {"Accept-Post": "application/json"},
        )
    record = _parse(await read_body(request, services.settings.max_body_bytes))
    as_tree = _explain_as_tree(request)
    return JSONResponse(services.build.answerer.answer(record, today=date.today(), explain_as_tree=as_tree))


@router.get("/examples", summary="List ready-made requests")
def examples(request: Request) -> dict[str, Any]:
    """The examples; `url` gives the request itself, to be sent as it is."""
    return {
        "examples": [
            {"id": example.id, "title": example.title, "url": f"{router.prefix}/examples/{example.id}"}
            for example in read_examples(services_of(request).settings.ontology)
        ]
    }


@router.get("/examples/{id}", summary="Get a ready-made request")
def example(request: Request, id_: Annotated[str, Path(alias="id")]) -> dict[str, Any]:
    """The body for POST /v1/eligibility."""
    return find_example(services_of(request).settings.ontology, id_).request


def _explain_as_tree(request: Request) -> bool:
    wanted = request.query_params.get("explain", "flat")
    if wanted not in ("flat", "tree"):
        raise InvalidParameter("explain", f"'{wanted[:40]}' is not a way to explain.", "Use flat or tree.")
    return wanted == "tree"


def _parse(body: bytes) -> EligibilityRequest:
    try:
        return parse_request(body)
    except InvalidRecord as error:
        if _is_json(body):
            raise
        raise RequestProblem(HTTPStatus.BAD_REQUEST, "not-json", error.place, error.problem, error.mend) from None


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
