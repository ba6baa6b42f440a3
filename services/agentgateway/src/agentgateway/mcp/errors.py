"""What the MCP endpoint answers instead of a result: a JSON-RPC error with the HTTP status that fits it."""

from collections.abc import Mapping
from typing import Any

import orjson
from mcp_types import INVALID_REQUEST

# Implementation-defined codes lie in -32000..-32019 (MCP 2026-07-28, "Error Codes").
DEPARTMENT_UNAVAILABLE = -32010
DEPARTMENT_TIMEOUT = -32011
DEPARTMENT_FAULT = -32012
RATE_LIMITED = -32013


class RpcError(Exception):
    """An error the caller is told of.

    Attributes:
        status: The HTTP status.
        code: The JSON-RPC code.
        message: One sentence: what was wrong, and what would be right.
        data: Members for machines.
        outcome: The word for it in audit records and metrics.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        data: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        outcome: str = "refused",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.data = data
        self.headers = headers or {}
        self.outcome = outcome

    def body(self, request_id: int | str | None) -> bytes:
        """The JSON-RPC error response; it has no `id` where the request's is not known.

        In MCP's schema (2025-11-25 and later) `id` is optional in `JSONRPCErrorResponse`, and may not be null.
        """
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        known = {} if request_id is None else {"id": request_id}
        return orjson.dumps({"jsonrpc": "2.0", **known, "error": error})


class DepartmentFailure(RpcError):
    """The department's server did not do its part; counts against its circuit.

    Attributes:
        disconnected: It cannot be reached, closed the connection, or serves nobody, so every caller is affected.
    """

    disconnected = False


class Disconnected(DepartmentFailure):
    """No connection to the department's server, or none that lasted."""

    disconnected = True


def http_refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> RpcError:
    """A request that is refused before it is one of JSON-RPC."""
    return RpcError(status, INVALID_REQUEST, message, headers=headers)


def unavailable(department: str, retry_after: float) -> DepartmentFailure:
    """Nothing was sent to the department, so a repetition is harmless."""
    seconds = max(1, round(retry_after))
    return Disconnected(
        503,
        DEPARTMENT_UNAVAILABLE,
        f"Department '{department}' is unavailable. Retry in {seconds} s.",
        {"department": department, "retryAfterSeconds": seconds},
        headers={"retry-after": str(seconds)},
        outcome="unavailable",
    )


def timed_out(department: str, seconds: float) -> DepartmentFailure:
    """The department had the request, and did not answer in time."""
    return DepartmentFailure(
        504,
        DEPARTMENT_TIMEOUT,
        f"Department '{department}' did not answer within {seconds:g} s.",
        {"department": department, "timeoutSeconds": seconds},
        outcome="timeout",
    )


def faulty(department: str, why: str, kind: type[DepartmentFailure] = DepartmentFailure) -> DepartmentFailure:
    """The department answered what is not an answer."""
    message = f"Department '{department}' returned an invalid answer: {why}."
    return kind(502, DEPARTMENT_FAULT, message, {"department": department}, outcome="fault")


def rate_limited(message: str, seconds: int) -> RpcError:
    """The caller asks for more than one caller's share."""
    return RpcError(
        429,
        RATE_LIMITED,
        f"{message} Retry in {seconds} s.",
        {"retryAfterSeconds": seconds},
        headers={"retry-after": str(seconds)},
        outcome="rate_limited",
    )


def too_large(department: str, limit: int) -> RpcError:
    """The caller asked for more than passes through the gateway at once; the department works as it should."""
    message = f"The answer of department '{department}' is larger than {limit} bytes. Ask for fewer keys or columns."
    data = {"department": department, "limitBytes": limit}
    return RpcError(502, DEPARTMENT_FAULT, message, data, outcome="too_large")
