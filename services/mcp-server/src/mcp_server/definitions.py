"""What a toolset is made of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import orjson
from mcp.server import ServerRequestContext
from mcp_types import CallToolRequestParams, CallToolResult, InputRequiredResult, Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, ValidationError

from mcp_server.department import View
from mcp_server.errors import ToolError
from mcp_server.refresh import DatasetState

READ_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, destructive_hint=False, open_world_hint=False)

Schema = dict[str, Any]

Result = CallToolResult | InputRequiredResult

Answer = dict[str, Any] | Result
"""A dictionary is the structured content of a result; anything else is a result as it is."""


class Arguments(BaseModel):
    """Arguments of a tool; their JSON Schema is the tool's input schema."""

    model_config = ConfigDict(extra="forbid")


ArgumentsType = TypeVar("ArgumentsType", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool.

    Attributes:
        view: The department through the caller's eyes.
        states: The data sets as they were when the call began, so that one answer is of one version.
        context: The protocol's request, for tools that report progress.
        params: All that the client sent.
    """

    view: View
    states: Mapping[str, DatasetState]
    arguments: Mapping[str, Any]
    context: ServerRequestContext[Any, Any]
    params: CallToolRequestParams


@dataclass(frozen=True, slots=True)
class Definition:
    """A tool as it is listed for a caller, and what answers its calls."""

    tool: Tool
    handle: Callable[[Call], Awaitable[Answer]]


class Toolset(Protocol):
    """Tools that a department has; which of them, and with which schemas, may depend on the caller's view."""

    def definitions(self, view: View, states: Mapping[str, DatasetState]) -> list[Definition]:
        """The tools in a stable order; their names start with the department's prefix."""
        ...


def parse(model: type[ArgumentsType], arguments: Mapping[str, Any]) -> ArgumentsType:
    """The arguments of a call.

    Raises:
        ToolError: They are not what the schema says; names the first wrong one.
    """
    try:
        orjson.dumps(arguments)
    except TypeError as error:
        # JSON can spell half a surrogate pair, which is no text, and which no answer could repeat.
        if "surrogates" in str(error):
            raise ToolError("an argument holds half a surrogate pair, which is not a character") from error
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "arguments"
        raise ToolError(f"argument {where}: {first['msg']}") from error


def tool(name: str, description: str, arguments: type[Arguments], output: Schema) -> Tool:
    """A read-only tool; its input schema is that of `arguments`."""
    schema = arguments.model_json_schema()
    # What pydantic makes of a class's name and documentation says nothing to a client.
    for part in (schema, *schema["properties"].values()):
        part.pop("title", None)
    schema.pop("description", None)
    return Tool(name=name, description=description, input_schema=schema, output_schema=output, annotations=READ_ONLY)


STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}


def optional(schema: Schema) -> Schema:
    """The schema of a value that may be null."""
    return {**schema, "type": [schema["type"], "null"]}


def array(items: Schema) -> Schema:
    """The schema of a list."""
    return {"type": "array", "items": items}


def record(**members: Schema) -> Schema:
    """The schema of an object that has all of these members."""
    return {"type": "object", "properties": members, "required": list(members)}
