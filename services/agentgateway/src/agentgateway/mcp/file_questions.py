"""An unclear mapping, as a question to the user: a result that needs input (MCP 2026-07-28, elicitation).

The client asks its user, and calls the tool again with the answers and the state. The state is as good as arguments:
the application checks what is in it for each call, so it is not sealed.
"""

from collections.abc import Mapping
from typing import Any

from mcp_types import (
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    InputResponses,
)
from pydantic import BaseModel, ConfigDict, ValidationError

UNCLEAR = "urn:fileproc:problem:unclear-mapping"
REQUEST = "mapping"
NONE = "none"
_LONGEST_STATE = 100_000


class State(BaseModel):
    """What the second call needs to know of the first: the file, what is certain, and the columns of the questions."""

    model_config = ConfigDict(extra="forbid")

    file: str
    mapping: dict[str, list[str]]
    columns: list[str]


def can_ask(capabilities: ClientCapabilities | None) -> bool:
    """Whether a client shows forms; one that names no mode does."""
    asked = None if capabilities is None else capabilities.elicitation
    return asked is not None and (asked.form is not None or asked.url is None)


def question(file: str, preview: Mapping[str, Any]) -> InputRequiredResult | None:
    """The open questions of a preview as one form; None where there are none."""
    questions = preview.get("questions")
    if not questions:
        return None
    mapping: dict[str, list[str]] = {}
    for entry in preview["mapping"]:
        mapping.setdefault(entry["column"], []).append(entry["dataset"])
    state = State(file=file, mapping=mapping, columns=[each["column"] for each in questions])
    properties = {
        _field(number): {
            "type": "string",
            "title": each["column"],
            "description": each["detail"],
            "oneOf": [
                *({"const": candidate, "title": candidate} for candidate in each["candidates"]),
                {"const": NONE, "title": "None of these"},
            ],
        }
        for number, each in enumerate(questions)
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    form = ElicitRequestFormParams(message="What do these columns hold?", requested_schema=schema)
    return InputRequiredResult(
        input_requests={REQUEST: ElicitRequest(params=form)}, request_state=state.model_dump_json()
    )


def answered(arguments: Mapping[str, Any], text: str, responses: InputResponses) -> dict[str, Any]:
    """The arguments of the first call with what the user answered; without, if they did not.

    Raises:
        ValueError: The state is none of ours.
    """
    try:
        state = State.model_validate_json(text[:_LONGEST_STATE])
    except ValidationError:
        raise ValueError("requestState is not one that this tool gave: call it again without") from None
    kept = {name: given for name, given in arguments.items() if name not in {"name", "text", "base64"}}
    response = responses.get(REQUEST)
    if not isinstance(response, ElicitResult) or response.action != "accept":
        return {**kept, "file": state.file}
    mapping = {column: list(names) for column, names in state.mapping.items()}
    for number, column in enumerate(state.columns):
        chosen = (response.content or {}).get(_field(number))
        if isinstance(chosen, str) and chosen != NONE:
            mapping.setdefault(column, []).append(chosen)
    return {**kept, "file": state.file, "mapping": mapping}


def _field(number: int) -> str:
    return f"column_{number + 1}"
