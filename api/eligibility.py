"""Which options are open to a patient, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.bodies import media_type, read_body
from api.examples import find_example, read_examples
from api.negotiation import choose, choose_language
from api.problems import RequestProblem
from api.services import services_of
from kg.answer import input_hash
from kg.answer_rdf import serialise_answer
from kg.errors import InvalidParameter, InvalidRecord
from kg.request import LANGUAGES, parse_request
from kg.store import ResultFormat
from kg.verification import Comparison
from kg.what_if import parse_what_if, what_if

_PREFIX = "/v1/eligibility"
router = APIRouter(prefix=_PREFIX, tags=["Eligibility"])

_T = TypeVar("_T")
_JSON = "application/json"
ANSWER_TYPES = (_JSON, ResultFormat.TURTLE.value, ResultFormat.JSON_LD.value)


async def eligibility(request: Request) -> Response:
    """Evaluate a patient record; the answer is JSON or, where Accept prefers it, RDF."""
    services = services_of(request)
    wanted = _wanted(request)
    as_tree = _explain_as_tree(request)
    record = _parsed(await _json_body(request), parse_request)
    if "lang" not in record.model_fields_set:
        language = choose_language(request.headers.get("accept-language"), LANGUAGES)
        record = record.model_copy(update={"lang": language})
    answer = services.answerer.answer(record, today=date.today(), explain_as_tree=as_tree)
    headers = {
        "Vary": "Accept, Accept-Language",
        "Content-Language": "en" if record.lang == "en" else f"{record.lang}, en",
    }
    if wanted == _JSON:
        return Response(orjson.dumps(answer), media_type=_JSON, headers=headers)
    charset = "; charset=utf-8" if wanted.startswith("text/") else ""
    written = await run_in_threadpool(serialise_answer, answer, services.build.knowledge, ResultFormat(wanted))
    return Response(written, headers={"Content-Type": wanted + charset, **headers})


async def verify_answer(request: Request) -> Response:
    """Let HermiT derive an answer anew and say whether it agrees; takes seconds, while other requests are answered."""
    services = services_of(request)
    record = _parsed(await _json_body(request), parse_request)
    found = await services.reasoner.run(  # also to open the reference takes seconds
        lambda: Comparison(services.answerer, services.build.reference).of_request(record)
    )
    return JSONResponse(
        {
            "agrees": not found.differences,
            "options": found.options,
            "differences": [asdict(difference) for difference in found.differences],
            "knowledge": services.answerer.version,
            "inputHash": input_hash(record),
        }
    )


async def eligibility_what_if(request: Request) -> Response:
    """Say what changes to a record would make of its answer."""
    given = _parsed(await _json_body(request), parse_what_if)
    return JSONResponse(what_if(services_of(request).answerer, given.request, given.changes, today=date.today()))


@router.get("/examples", summary="List ready-made requests")
def examples(request: Request) -> dict[str, Any]:
    """The examples; `url` gives the request itself, to be sent as it is."""
    return {
        "examples": [
            {"id": example.id, "title": example.title, "url": f"{_PREFIX}/examples/{example.id}"}
            for example in read_examples(services_of(request).settings.ontology)
        ]
    }


@router.get("/examples/{id}", summary="Get a ready-made request")
def example(request: Request, id_: Annotated[str, Path(alias="id")]) -> dict[str, Any]:
    """The body for POST /v1/eligibility."""
    return find_example(services_of(request).settings.ontology, id_).request


# Plain routes: FastAPI's own handling would cost as much as the answer.
routes = [
    Route(_PREFIX, eligibility, methods=["POST"]),
    Route(f"{_PREFIX}/verify", verify_answer, methods=["POST"]),
    Route(f"{_PREFIX}/what-if", eligibility_what_if, methods=["POST"]),
]


def _explain_as_tree(request: Request) -> bool:
    wanted = request.query_params.get("explain", "flat")
    if wanted not in ("flat", "tree"):
        raise InvalidParameter("explain", f"'{wanted[:40]}' is not a way to explain.", "Use flat or tree.")
    return wanted == "tree"


def _wanted(request: Request) -> str:
    """The media type to answer in. Raises RequestProblem (406) when none suits."""
    wanted = choose(request.headers.get("accept"), ANSWER_TYPES)
    if wanted is None:
        raise RequestProblem(
            HTTPStatus.NOT_ACCEPTABLE,
            "not-acceptable",
            "Accept",
            "the answer cannot be had in an accepted format.",
            f"Accept one of {', '.join(ANSWER_TYPES)}.",
        )
    return wanted


async def _json_body(request: Request) -> bytes:
    """The body. Raises RequestProblem when it is of another media type (415) or too large (413)."""
    kind = media_type(request)
    if kind and kind != _JSON and not kind.endswith("+json"):
        raise RequestProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Content-Type",
            f"'{kind}' is not taken.",
            "Send application/json.",
            {"Accept-Post": _JSON},
        )
    return await read_body(request, services_of(request).settings.max_body_bytes)


def _parsed(body: bytes, parse: Callable[[bytes], _T]) -> _T:
    """What a body says. Raises RequestProblem (400) when it is no JSON, and what `parse` raises when it is."""
    try:
        return parse(body)
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
