"""The OpenAPI description: what FastAPI derives, and the paths that it cannot derive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.eligibility import ANSWER_TYPES
from api.examples import ExampleRequest
from api.problems import MEDIA_TYPE
from api.queries import MOST_ROWS, values_of
from api.results import offered
from api.sparql import FORM, QUERY
from kg.canned import CannedQuery, Parameter, ParameterType
from kg.knowledge import Knowledge
from kg.request import EligibilityRequest
from kg.store import Form
from kg.what_if import WhatIfRequest

_EXAMPLE_QUERY = """PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX nxl: <https://w3id.org/nextline/>
SELECT ?drug ?label WHERE {
  ?drug rdfs:subClassOf+ nxl:Substance ; rdfs:label ?label . FILTER (LANG(?label) = "en")
} ORDER BY ?label LIMIT 10"""

_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "place", "mend"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "Place, problem and mend in one text."},
        "instance": {"type": "string"},
        "place": {"type": "string", "description": "The field, line or parameter concerned."},
        "mend": {"type": "string", "description": "What to do about it."},
    },
}

_NOT_FOUND = {
    "/v1/eligibility/examples/{id}": "There is no example of that name.",
    "/v1/queries/{name}/description": "There is no query of that name.",
}

Schema = dict[str, Any]

_PAGES: tuple[Schema, ...] = (
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
        "description": "How many rows of the ordered result to answer with; without it, all.",
    },
    {
        "name": "offset",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0, "default": 0},
        "description": "How many rows of the ordered result to pass over.",
    },
)


def install(app: FastAPI, examples: Sequence[ExampleRequest]) -> None:
    """Give the application its OpenAPI document, built on first use, and again when other queries or builds are served."""
    made_of: list[object] = []

    def openapi() -> Schema:
        served: list[object] = [app.state.canned.queries, app.state.services.build]
        if app.openapi_schema is None or any(a is not b for a, b in zip(made_of, served, strict=True)):
            made_of[:] = served
            app.openapi_schema = _document(app, examples, app.state.canned.queries, app.state.services.build.knowledge)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(
    app: FastAPI, examples: Sequence[ExampleRequest], queries: Sequence[CannedQuery], knowledge: Knowledge
) -> Schema:
    document: Schema = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (EligibilityRequest, WhatIfRequest):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    schemas["Problem"] = _PROBLEM_SCHEMA
    paths = {
        "/v1/eligibility": {"post": _eligibility(examples)},
        "/v1/eligibility/what-if": {"post": _what_if(examples)},
        "/v1/eligibility/verify": {"post": _verify(examples)},
        "/sparql": _sparql(),
        **{f"/v1/queries/{query.name}": {"get": _canned(query, knowledge)} for query in queries},
    }
    document["paths"] = {**paths, **document["paths"]}
    for path, description in _NOT_FOUND.items():
        responses = document["paths"][path]["get"]["responses"]
        del responses["422"]  # FastAPI tells it of each path with a parameter; a text is always valid
        responses["404"] = _problem(description)
    responses = document["paths"]["/v1/search"]["get"]["responses"]
    del responses["422"]
    responses["400"] = _problem("A parameter is missing or not valid; `place` names it.")
    for name in ("HTTPValidationError", "ValidationError"):
        del schemas[name]
    return document


def _eligibility(examples: Sequence[ExampleRequest]) -> Schema:
    return {
        "tags": ["Eligibility"],
        "summary": "Which options are open to a patient, and why?",
        "description": (
            "Evaluates a patient record by rules that the reasoner derived beforehand, in well under a second. Each "
            "option has what labels say of it, whether it is in use, and by each guideline a status, a line and the "
            "statements that the status rests on, with their sources. By Accept, the same answer comes as RDF with its "
            "provenance. "
            "It supports decisions of professionals and replaces none."
        ),
        "operationId": "eligibility",
        "parameters": [
            {
                "name": "explain",
                "in": "query",
                "required": False,
                "schema": {"type": "string", "enum": ["flat", "tree"], "default": "flat"},
                "description": "How reasons are explained: as a list of facts, or as a tree of what follows from what.",
            }
        ],
        "requestBody": _record(examples),
        "responses": {
            "200": {
                "description": "The options, those that are eligible first.",
                "content": {
                    media_type: {"schema": {"type": "object" if media_type.endswith("/json") else "string"}}
                    for media_type in ANSWER_TYPES
                },
            },
            **_refusals("The record breaks the contract; `place` names the field."),
            "406": _problem("The answer cannot be had in an accepted format."),
        },
    }


def _record(examples: Sequence[ExampleRequest]) -> Schema:
    """A request as the body, with the examples."""
    content = {
        "schema": {"$ref": "#/components/schemas/EligibilityRequest"},
        "examples": {e.id: {"summary": e.title, "value": e.request} for e in examples},
    }
    return {"required": True, "content": {"application/json": content}}


def _what_if(examples: Sequence[ExampleRequest]) -> Schema:
    return {
        "tags": ["Eligibility"],
        "summary": "What would be otherwise if the record were changed?",
        "description": (
            "Applies the changes to the record in their order, and gives what differs between the two answers: the "
            "options whose status, use, statements, missing facts or unmet steps differ, and why. Empty lists say that "
            "nothing does. Nothing is stored."
        ),
        "operationId": "eligibility_what_if",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/WhatIfRequest"},
                    "examples": {
                        e.id: {"summary": f"{e.title}; and at the age of 17?", "value": what_if_example(e)}
                        for e in examples
                    },
                }
            },
        },
        "responses": {
            "200": {
                "description": "What differs.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **_refusals("The record or a change breaks the contract, or cannot be made; `place` names the field."),
        },
    }


def _verify(examples: Sequence[ExampleRequest]) -> Schema:
    return {
        "tags": ["Eligibility"],
        "summary": "Does HermiT derive the same answer?",
        "description": (
            "Lets the reasoner derive the answer to a record anew, which takes seconds, and compares it with that of the "
            "program: every truth value, status and statement of every option."
        ),
        "operationId": "eligibility_verify",
        "requestBody": _record(examples),
        "responses": {
            "200": {
                "description": "`agrees`, how many options were compared, and the `differences`.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **_refusals("The record breaks the contract; `place` names the field."),
            "503": _problem("The reasoner did not finish in time, or too many requests wait; see Retry-After."),
        },
    }


def what_if_example(example: ExampleRequest) -> dict[str, Any]:
    """An example with a change that every record can take."""
    return {"request": example.request, "changes": [{"setAge": 17}]}


def _refusals(unprocessable: str) -> Schema:
    return {
        "400": _problem("The body is no JSON."),
        "413": _problem("The body is too large."),
        "415": _problem("The body is of another media type."),
        "422": _problem(unprocessable),
    }


def _sparql() -> Schema:
    dataset = [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "array", "items": {"type": "string", "format": "uri"}},
            "description": f"A graph of the {kind}; without any, the default graph is the union of all graphs.",
        }
        for name, kind in (("default-graph-uri", "default graph"), ("named-graph-uri", "named graphs"))
    ]
    query = {
        "name": "query",
        "in": "query",
        "required": True,
        "schema": {"type": "string"},
        "example": _EXAMPLE_QUERY,
        "description": "A SPARQL 1.1 query (SELECT, ASK, CONSTRUCT, DESCRIBE). SERVICE is refused.",
    }
    form = {
        "type": "object",
        "required": ["query"],
        "properties": {"query": {"type": "string", "example": _EXAMPLE_QUERY}},
    }
    shared = {"tags": ["SPARQL"], "responses": _result_responses((Form.ROWS, Form.GRAPH))}
    return {
        "get": {**shared, "summary": "Query by GET", "operationId": "sparql_get", "parameters": [query, *dataset]},
        "post": {
            **shared,
            "summary": "Query by POST",
            "operationId": "sparql_post",
            "parameters": dataset,
            "requestBody": {
                "required": True,
                "content": {
                    FORM: {"schema": form},
                    QUERY: {"schema": {"type": "string"}, "example": _EXAMPLE_QUERY},
                },
            },
        },
    }


def _canned(query: CannedQuery, knowledge: Knowledge) -> Schema:
    parameters = [_parameter(parameter, values_of(parameter, knowledge)) for parameter in query.parameters]
    form = Form.ROWS if query.form == "SELECT" else Form.BOOLEAN if query.form == "ASK" else Form.GRAPH
    responses = _result_responses((form,))
    responses["200"]["headers"] = {
        "Link": {"description": "With limit: the next and the previous page.", "schema": {"type": "string"}}
    }
    return {
        "tags": ["Canned queries"],
        "summary": query.question,
        "description": query.summary,
        "operationId": f"query_{query.name.replace('-', '_')}",
        "parameters": [*parameters, *_PAGES],
        "responses": {**responses, "404": _problem("There is no query of that name.")},
    }


def _parameter(parameter: Parameter, values: Sequence[str] | None) -> Schema:
    is_term = parameter.type is ParameterType.TERM

    def shown(value: str) -> str | int:
        return int(value) if parameter.type is ParameterType.INTEGER else value.removeprefix("nxl:" if is_term else "")

    schema: Schema = {"type": "integer" if parameter.type is ParameterType.INTEGER else "string"}
    if parameter.type is ParameterType.CODE:
        schema["pattern"] = "^[A-Za-z][A-Za-z0-9_.-]*:.+$"
    if parameter.type is ParameterType.IRI:
        schema["format"] = "iri"
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum, "enum": values}
    schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    if parameter.default is not None:
        schema["default"] = shown(parameter.default)
    kind = f" ({parameter.kind}, by local name, CURIE or IRI)" if parameter.kind else ""
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.default is None,
        "schema": schema,
        "example": shown(parameter.example),
        "description": parameter.description + kind,
    }


def _result_responses(forms: Sequence[Form]) -> Schema:
    content = {media_type: {"schema": {"type": "string"}} for form in forms for media_type in offered(form)}
    return {
        "200": {"description": "The result, in the format that Accept prefers.", "content": content},
        "400": _problem("The query or a parameter is not valid; `place` names line and column, or the parameter."),
        "406": _problem("No accepted format suits the result."),
        "503": _problem("The query did not finish in time, or too many wait; see Retry-After. The limit is soft."),
    }


def _problem(description: str) -> Schema:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
