"""How a client that knows only this gateway's address finds out how to log in.

The gateway is the authorization server that clients see: it registers them and stands in front of the user pool, which
registers nobody and compares redirect URIs with their ports. Tokens are the user pool's; to clients they are opaque
(RFC 6749, section 1.4), so their `iss` is not this `issuer`.
"""

from typing import Any

from agentgateway.settings import Settings

PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"
AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"
REGISTRATION = "/oauth/register"
AUTHORIZE = "/oauth/authorize"
TOKEN = "/oauth/token"  # noqa: S105 - a path
REVOCATION = "/oauth/revoke"


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
    """RFC 8414, section 2: what this gateway offers to clients."""
    return {
        "issuer": settings.public_api_url,
        "authorization_endpoint": f"{settings.public_api_url}{AUTHORIZE}",
        "token_endpoint": f"{settings.public_api_url}{TOKEN}",
        "revocation_endpoint": f"{settings.public_api_url}{REVOCATION}",
        "registration_endpoint": f"{settings.public_api_url}{REGISTRATION}",
        "jwks_uri": settings.jwks_url,
        "scopes_supported": list(settings.oauth_scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": True,
        "code_challenge_methods_supported": ["S256"],
        # No member of RFC 8414: for `fileproc login --user`, which asks the user pool itself.
        "user_pool_client_id": settings.cognito_public_client_id,
    }
