"""Asks a department's server, at `/readyz`, which tools it has and why it is not ready."""

from typing import Any, Final

import aiohttp

from department_operator.errors import TryAgain
from department_operator.observed import ServerStatus

TIMEOUT: Final = aiohttp.ClientTimeout(total=3, sock_connect=1)
MAX_BYTES: Final = 1 << 20


async def ask(session: aiohttp.ClientSession, address: str) -> ServerStatus:
    """What the server at `address` (host and port) says of itself.

    Raises:
        TryAgain: It does not answer, or not as a department's server does.
    """
    try:
        async with session.get(f"http://{address}/readyz", timeout=TIMEOUT, allow_redirects=False) as response:
            if response.status not in {200, 503}:
                raise TryAgain(f"{address} answered {response.status} at /readyz")
            document = await response.json()
        return _answer(document)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise TryAgain(f"{address} does not answer: {type(error).__name__}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TryAgain(f"{address} does not answer as a department's server does") from error


def _answer(document: dict[str, Any]) -> ServerStatus:
    datasets = document["datasets"]
    problem = None
    if document["department"] is None:
        problem = "the server cannot read its Department"
    elif not document["callers_verifiable"]:
        problem = "the server has no keys of the API server yet, by which it verifies callers"
    return ServerStatus(
        ready=bool(document["ready"]),
        toolset=document.get("toolset"),
        tools=tuple(document.get("tools", ())),
        datasets=tuple(
            (name, str(details["error"]) if details["rows"] is None else None) for name, details in datasets.items()
        ),
        problem=problem,
    )
