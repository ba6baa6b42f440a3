"""A client that knows only the gateway's address finds out how to log in, and does."""

from typing import Any

import aiohttp
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthRegistrationError
from mcp.client.streamable_http import streamable_http_client
from services.agentgateway.tests.fakes import serving
from services.agentgateway.tests.login import Browser, ManagedLogin, Memory, provider
from services.agentgateway.tests.world import World, running_gateway

pytestmark = pytest.mark.slow

REDIRECT = "http://127.0.0.1:51234/callback"


async def get(client: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any]]:
    async with client.get(url) as response:
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_mcp_client_that_knows_only_the_address_logs_in_by_browser(world: World, path: str, mode: Any) -> None:
    browser, memory, login = Browser(), Memory(), ManagedLogin(world.pool)
    async with (
        serving(login.app()) as pool,
        running_gateway(world, cognito_domain_url=pool) as gateway,
        httpx2.AsyncClient(auth=provider(gateway + path, REDIRECT, browser, memory)) as http,
    ):
        login.callback = f"{gateway}/oauth/callback"
        if path == "/mcp":
            async with Client(streamable_http_client(gateway + path, http_client=http), mode=mode) as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
            assert "files_submit_job" in names
        else:
            # The department itself is not up here: getting as far as asking it takes a valid token.
            body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            headers = {"accept": "application/json, text/event-stream"}
            response = await http.post(gateway + path, json=body, headers=headers)
            assert response.status_code == 503
    assert len(browser.opened) == 1
    assert memory.client is not None
    assert memory.client.redirect_uris is not None
    assert [str(uri) for uri in memory.client.redirect_uris] == [REDIRECT]


async def test_a_client_whose_redirect_is_not_on_the_list_cannot_register(world: World, gateway: str) -> None:
    wrong = "https://evil.example/callback"
    auth = provider(f"{gateway}/mcp", wrong, Browser(), Memory())
    async with httpx2.AsyncClient(auth=auth) as http:
        with pytest.raises(OAuthRegistrationError, match="invalid_redirect_uri"):
            await http.post(f"{gateway}/mcp", json={})


@pytest.mark.parametrize("resource", ["", "/mcp", "/mcp/finance", "/mcp/no-such-department"])
async def test_each_resource_has_its_own_metadata(
    world: World, gateway: str, client: aiohttp.ClientSession, resource: str
) -> None:
    status, metadata = await get(client, f"{gateway}/.well-known/oauth-protected-resource{resource}")
    assert status == 200
    assert metadata["resource"] == gateway + resource
    assert metadata["authorization_servers"] == [gateway]
    assert metadata["scopes_supported"] == ["openid"]
    assert metadata["bearer_methods_supported"] == ["header"]


@pytest.mark.parametrize("resource", ["/api", "/mcp/a/b", "/mcp/../x", "/mcp/UPPER", "/mcp/", "/x"])
async def test_what_is_no_resource_has_no_metadata(gateway: str, client: aiohttp.ClientSession, resource: str) -> None:
    status, _ = await get(client, f"{gateway}/.well-known/oauth-protected-resource{resource}")
    assert status == 404


async def test_the_authorization_server_is_described_with_pkce_and_registration(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    _, metadata = await get(client, f"{gateway}/.well-known/oauth-authorization-server")
    assert metadata["issuer"] == gateway
    ends = ("authorization", "token", "registration", "revocation")
    assert all(metadata[f"{end}_endpoint"].startswith(f"{gateway}/oauth/") for end in ends)
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["response_types_supported"] == ["code"]
    assert metadata["token_endpoint_auth_methods_supported"] == ["none"]


async def register(client: aiohttp.ClientSession, gateway: str, document: Any) -> tuple[int, dict[str, Any]]:
    async with client.post(f"{gateway}/oauth/register", json=document) as response:
        return response.status, await response.json()


async def test_registration_gives_each_client_an_identifier_of_its_own(
    gateway: str, client: aiohttp.ClientSession
) -> None:
    uris = [REDIRECT, "https://claude.ai/api/mcp/auth_callback"]
    status, registered = await register(client, gateway, {"redirect_uris": uris, "client_name": "x", "scope": "admin"})
    assert status == 201
    assert registered["redirect_uris"] == uris
    assert registered["token_endpoint_auth_method"] == "none"
    assert registered["scope"] == "openid"
    assert "client_secret" not in registered
    assert registered["client_id"] != (await register(client, gateway, {"redirect_uris": uris}))[1]["client_id"]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"redirect_uris": ["https://evil.example/callback"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [REDIRECT, "https://evil.example/callback"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_client_metadata"),
        ({"redirect_uris": "http://127.0.0.1/callback"}, "invalid_client_metadata"),
        ({}, "invalid_client_metadata"),
        ([], "invalid_client_metadata"),
    ],
    ids=str,
)
async def test_registration_refuses_in_the_form_of_rfc_7591(
    gateway: str, client: aiohttp.ClientSession, document: Any, error: str
) -> None:
    status, refused = await register(client, gateway, document)
    assert status == 400
    assert refused["error"] == error
    assert refused["error_description"]
