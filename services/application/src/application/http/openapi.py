"""The OpenAPI document, which the gateway hands out as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from application.http.schemas import ProblemDocument

Responses = dict[int | str, dict[str, Any]]

_BINARY: Final = {"type": "string", "format": "binary"}

ONE_FILE: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "name",
            "in": "query",
            "required": False,
            "description": "Name of the file; its extension tells the format. A form's part has a name of its own.",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": _BINARY}}
            },
        },
    },
}
"""The body of an upload: the file itself, or a form with one part."""


def answers(status: int, model: type[BaseModel], description: str) -> Responses:
    """The response of an operation that succeeds."""
    return {status: {"model": model, "description": description}}


def content(status: int, description: str, *media_types: str) -> Responses:
    """A response whose body is no JSON of ours."""
    return {status: {"description": description, "content": {each: {"schema": {}} for each in media_types}}}


def document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """How ``app`` makes its document: FastAPI's, in which every refusal is a problem, by whichever service it is."""

    def made() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schemas = found["components"]["schemas"]
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
            found["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            found["security"] = [{"bearer": []}]
            problem = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
            refused = {"description": "Refused", "content": {"application/problem+json": problem}}
            for operations in found["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    operation["responses"]["default"] = refused
            app.openapi_schema = found
        return app.openapi_schema

    return made
