"""How a client that knows only this gateway's address finds out how to log in.

The user pool is the authorization server, but it neither says that it supports PKCE with S256 nor registers clients.
So the gateway publishes the metadata, with the pool's own endpoints in it, and answers registration itself.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from agentgateway.settings import LOOPBACK_HOSTS, Settings

PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"
AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
REGISTRATION = "/oauth/register"
JWKS = "/.well-known/jwks.json"


class Registration(BaseModel):
    """The part of a client's metadata (RFC 7591, section 2) that decides."""

    model_config = ConfigDict(extra="ignore")

    redirect_uris: list[str] = Field(min_length=1, max_length=20)
    client_name: str | None = Field(default=None, max_length=200)


class InvalidRedirectUri(ValueError):
    """A redirect URI is not on the list."""


def resource_metadata_url(public_api_url: str, resource: str = "") -> str:
    """Where the metadata of a resource is (RFC 9728, section 3.1); `resource` is its path, such as `/mcp`."""
    return f"{public_api_url}{PROTECTED_RESOURCE}{resource}"


def protected_resource(settings: Settings, resource: str) -> dict[str, Any]:
    """RFC 9728, section 2: what `resource` (a path, or nothing for the whole gateway) needs."""
    return {
        "resource": f"{settings.public_api_url}{resource}",
        "authorization_servers": [settings.public_api_url],
        "scopes_supported": list(settings.oauth_scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": "Internal File Processing System",
    }


def authorization_server(settings: Settings) -> dict[str, Any]:
    """RFC 8414, section 2: the user pool's endpoints under this gateway's name."""
    return {
        "issuer": settings.public_api_url,
        "authorization_endpoint": f"{settings.cognito_domain_url}/oauth2/authorize",
        "token_endpoint": f"{settings.cognito_domain_url}/oauth2/token",
        "revocation_endpoint": f"{settings.cognito_domain_url}/oauth2/revoke",
        "registration_endpoint": f"{settings.public_api_url}{REGISTRATION}",
        "jwks_uri": settings.jwks_url,
        "scopes_supported": list(settings.oauth_scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
    }


def register(settings: Settings, registration: Registration) -> dict[str, Any]:
    """RFC 7591, section 3.2.1: the one public client there is, for whoever has redirect URIs of the list.

    Raises:
        InvalidRedirectUri: The first one that is not on the list.
    """
    for uri in registration.redirect_uris:
        if not is_allowed_redirect(uri, settings.oauth_redirect_uris):
            allowed = ", ".join(settings.oauth_redirect_uris)
            raise InvalidRedirectUri(f"'{uri[:200]}' is not a redirect URI that this gateway allows: {allowed}")
    document = {
        "client_id": settings.cognito_public_client_id,
        "redirect_uris": registration.redirect_uris,
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": " ".join(settings.oauth_scopes),
    }
    return document if registration.client_name is None else {**document, "client_name": registration.client_name}


def is_allowed_redirect(uri: str, allowed: Sequence[str]) -> bool:
    """Whether `uri` is on the list; an entry for a loopback address matches with any port (RFC 8252, section 7.3)."""
    if uri in allowed:
        return True
    try:
        given = _without_port(urlsplit(uri))
    except ValueError:
        return False
    return given is not None and given in _loopback(allowed)


def _loopback(uris: Iterable[str]) -> list[SplitResult]:
    return [parts for uri in uris if (parts := _without_port(urlsplit(uri))) is not None]


def _without_port(parts: SplitResult) -> SplitResult | None:
    if parts.scheme != "http" or parts.hostname not in LOOPBACK_HOSTS:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # Only the canonical spelling: what differs in more than the port (a user, odd digits, another case) is refused.
    if parts.netloc not in (host, f"{host}:{parts.port}"):
        return None
    return parts._replace(netloc=host)
