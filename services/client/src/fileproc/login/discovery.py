"""Finds out from the gateway's address alone how to log in."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field

from fileproc.errors import FileprocError, InvalidRequest, Unavailable, Unintelligible
from fileproc.transport import Transport, parse


class _ProtectedResource(BaseModel):
    """RFC 9728, section 2."""

    resource: str
    authorization_servers: tuple[str, ...] = Field(min_length=1)
    scopes_supported: tuple[str, ...] = ()


class AuthorizationServer(BaseModel):
    """RFC 8414, section 2; `scopes` are those that the gateway asks for."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str
    revocation_endpoint: str | None = None
    jwks_uri: str | None = None
    authorization_response_iss_parameter_supported: bool = False
    user_pool_client_id: str | None = None
    scopes: tuple[str, ...] = ()

    @property
    def region(self) -> str | None:
        """The AWS region of the user pool, whose issuer and keys are under `cognito-idp.<region>…/<region>_<id>`."""
        for address in (self.issuer, self.jwks_uri or ""):
            if match := re.search(r"/([a-z]{2}(?:-[a-z]+)+-\d)_[0-9A-Za-z]+(?:/|$)", address):
                return match[1]
        return None


class _Registration(BaseModel):
    """RFC 7591, section 3.2.1."""

    client_id: str


def discover(http: Transport, url: str) -> AuthorizationServer:
    """Ask the gateway where its users log in.

    Raises:
        Unintelligible: It does not say so, says so for another gateway, or names an address that is not safe.
        Unavailable: It was not reached.
    """
    try:
        resource = parse(http.request("GET", f"{url}/.well-known/oauth-protected-resource"), _ProtectedResource)
        if origin(resource.resource) != origin(url):
            raise Unintelligible(f"{url} describes another gateway, {resource.resource}. Use that address.")
        # RFC 8414, section 3.1: the well-known part goes between host and path.
        parts = urlsplit(resource.authorization_servers[0])
        path = f"/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"
        require_private(urlunsplit((parts.scheme, parts.netloc, "", "", "")))
        answer = http.request("GET", urlunsplit((parts.scheme, parts.netloc, path, "", "")))
    except Unavailable:
        raise
    except FileprocError as error:
        raise Unintelligible(f"{url} does not say how to log in: {error}") from error
    server = parse(answer, AuthorizationServer).model_copy(update={"scopes": resource.scopes_supported})
    for endpoint in (server.authorization_endpoint, server.token_endpoint, server.registration_endpoint):
        require_private(endpoint)
    return server


def register(http: Transport, server: AuthorizationServer, redirect_uri: str) -> str:
    """The identifier of the public client that this program logs in as (RFC 7591)."""
    metadata: dict[str, Any] = {
        "client_name": "fileproc",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return parse(http.request("POST", server.registration_endpoint, json=metadata), _Registration).client_id


def origin(url: str) -> str:
    """Scheme, host and port, as RFC 6454 compares them."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def require_private(url: str) -> None:
    """Refuse to send a password or a code where others can read along (RFC 9700, section 2.6)."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise InvalidRequest(f"{url} is not safe to log in to: it must begin with https://, unless it is on this machine.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
