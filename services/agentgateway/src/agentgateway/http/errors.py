"""What the gateway refuses with.

Unauthenticated           no token, or one that is not accepted: each endpoint answers 401 in its own form
ServiceUnavailable        something that the gateway needs does not answer
ClientGone                nobody waits for the answer any more
Problem                   (common) what the REST endpoint answers: made by the functions below
├── InvalidExchange       an IAM exchange that is not of the one form
├── ExchangeRefused       STS does not know the signature
├── ExchangeReplayed      it was exchanged before
└── UnknownRole           the role is mapped to no groups
"""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from common.problem import Problem

TITLE = "A valid access token is required"


class Unauthenticated(Exception):
    """Nobody is known to call.

    Attributes:
        description: What would be right. The same words for every refused token, so that nobody learns which part of a
            forged one was good; the reason is in the log.
        error: The code of RFC 6750, section 3.1: None where no token came at all.
    """

    def __init__(self, description: str, error: Literal["invalid_token"] | None) -> None:
        super().__init__(description)
        self.description = description
        self.error = error

    def challenge(self, parameters: Mapping[str, str]) -> str:
        """The value of `WWW-Authenticate` (RFC 6750, section 3), with `parameters` in front of the error's own."""
        fields = dict(parameters)
        if self.error is not None:
            fields |= {"error": self.error, "error_description": self.description}
        return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in fields.items())


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class ServiceUnavailable(OSError):
    """A service that the gateway needs does not answer; the message names it."""


class InvalidExchange(Problem):
    """400: not a presigned request that is sent to STS."""

    def __init__(self, detail: str) -> None:
        """`detail` says what is wrong and what would be right."""
        super().__init__(400, "invalid-exchange", "Not a presigned GetCallerIdentity for this gateway", detail)


class ExchangeRefused(Problem):
    """403: STS does not accept the presigned request."""

    def __init__(self, detail: str) -> None:
        """`detail` says what STS expects."""
        super().__init__(403, "exchange-refused", "STS refused the presigned request", detail)


class ExchangeReplayed(Problem):
    """403: the presigned request was exchanged before."""

    def __init__(self) -> None:
        detail = "This presigned request was used before. Presign a new one for each exchange."
        super().__init__(403, "exchange-replayed", "The presigned request was used before", detail)


class UnknownRole(Problem):
    """403: the identity is proven, and has no rights here."""

    def __init__(self, arn: str) -> None:
        """`arn` is the caller's own."""
        detail = f"{arn} is not a session of a role that may use this gateway. Ask the platform team to add its role."
        super().__init__(403, "unknown-role", "This AWS identity may not use the gateway", detail)


def unauthenticated(error: Unauthenticated, resource_metadata: str) -> Problem:
    """401, with the address of the metadata that says how to get a token (RFC 9728, section 5.1)."""
    headers = {"www-authenticate": error.challenge({"resource_metadata": resource_metadata})}
    return Problem(401, "unauthenticated", TITLE, error.description, headers)


def rate_limited(seconds: float) -> Problem:
    """429: the caller asked more often than the limit allows."""
    wait = max(1, math.ceil(seconds))
    detail = f"You have sent too many requests. Retry in {wait} s."
    return Problem(429, "rate-limited", "Too many requests", detail, {"retry-after": str(wait)})


def too_many_at_once(seconds: float) -> Problem:
    """429: the caller has as many requests under way as one may have."""
    detail = f"You have too many requests in progress. Wait for one of them to finish, and retry in {seconds:g} s."
    return Problem(429, "rate-limited", "Too many requests", detail, {"retry-after": f"{seconds:g}"})


def not_found() -> Problem:
    """404: no such path, whatever lies behind the gateway."""
    return Problem(404, "not-found", "Not found", "There is nothing at this path.")


def method_not_allowed(allowed: Iterable[str]) -> Problem:
    """405: the path exists, for other methods."""
    methods = ", ".join(sorted(allowed))
    detail = f"This path supports {methods}."
    return Problem(405, "method-not-allowed", "Method not allowed", detail, {"allow": methods})


def cross_site(origin: str) -> Problem:
    """403: a browser's write that does not come from the application's own pages."""
    detail = f"Writes are accepted only from pages of {origin}: send Sec-Fetch-Site: same-origin or Origin: {origin}."
    return Problem(403, "cross-site-request", "Cross-site request refused", detail)


def unavailable(what: str) -> Problem:
    """503: nothing was done, so that a repetition is harmless."""
    detail = f"{what} is not available at the moment. Retry in a few seconds."
    return Problem(503, "service-unavailable", "Service unavailable", detail, {"retry-after": "5"})


def internal_error() -> Problem:
    """500: something here is wrong; the log has it."""
    detail = "The gateway failed. Retry; if this keeps happening, contact the platform team."
    return Problem(500, "internal-error", "Something went wrong here", detail)


def bad_gateway(why: str) -> Problem:
    """502: the application did not do its part."""
    return Problem(502, "bad-gateway", "The application returned an invalid answer", f"The application {why}. Retry.")


def gateway_timeout(seconds: float) -> Problem:
    """504: the application had the request, and was silent."""
    detail = (
        f"The application did not answer within {seconds:g} s. Check whether the request took effect before you retry."
    )
    return Problem(504, "gateway-timeout", "The application did not answer in time", detail)


def too_large(limit: int) -> Problem:
    """413: more than a request to this path can be."""
    return Problem(413, "too-large", "The request is too large", f"The maximum size of the body is {limit} bytes.")


def request_timeout(seconds: float) -> Problem:
    """408: the client stopped sending, or sent next to nothing."""
    detail = f"The request's body made no progress for {seconds:g} s. Retry over a faster connection."
    return Problem(408, "request-timeout", "The request arrived too slowly", detail, {"connection": "close"})
