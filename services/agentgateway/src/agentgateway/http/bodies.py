"""Small bodies of requests that nobody has to be authenticated for."""

import asyncio
from collections import Counter
from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from agentgateway.http.errors import request_timeout, too_large
from common.problem import invalid_request

MAX_BODY_BYTES = 16 * 1024
BODY_SECONDS = 10

Model = TypeVar("Model", bound=BaseModel)


async def read_model(request: Request, model: type[Model]) -> Model:
    """The body as JSON of one form.

    Raises:
        Problem: 400, 413 or 408.
    """
    try:
        return model.model_validate_json(await read_body(request))
    except ValidationError as error:
        raise invalid_request(error.errors(include_input=False)) from None


async def read_form(request: Request) -> dict[str, str]:
    """The body as a form (`application/x-www-form-urlencoded`); a name that comes twice has no value.

    Raises:
        Problem: 413 or 408.
    """
    pairs = parse_qsl((await read_body(request)).decode("utf-8", "replace"), keep_blank_values=True)
    counts = Counter(name for name, _ in pairs)
    # RFC 6749, section 3.2: parameters must not be repeated, but RFC 8707 lets `resource` be.
    return {name: value for name, value in pairs if counts[name] == 1}


async def read_body(request: Request) -> bytes:
    """The body, which is small and comes soon.

    Raises:
        Problem: 413 or 408.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise too_large(MAX_BODY_BYTES)
    except (TimeoutError, ClientDisconnect):
        raise request_timeout(BODY_SECONDS) from None
    return bytes(body)
