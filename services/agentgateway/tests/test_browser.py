"""The browser's endpoint: the load balancer knows a browser by a cookie, so no foreign page may write."""

import aiohttp
import pytest
from services.agentgateway.tests.world import APP_ORIGIN, World, running_gateway

from agentgateway.rest.paths import ROUTES

pytestmark = pytest.mark.slow

SAME = {"sec-fetch-site": "same-origin"}
ORIGIN = {"origin": APP_ORIGIN}
FOREIGN = {"origin": "https://evil.example"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 201),
        ("GET", {"sec-fetch-site": "none"}, 201),
        ("GET", {"sec-fetch-site": "cross-site"}, 201),
        ("POST", SAME, 201),
        ("POST", ORIGIN, 201),
        ("POST", SAME | ORIGIN, 201),
        ("DELETE", SAME, 201),
        ("POST", {}, 403),
        ("DELETE", {}, 403),
        ("POST", FOREIGN, 403),
        ("POST", {"origin": "null"}, 403),
        ("POST", {"origin": f"{APP_ORIGIN}.evil.example"}, 403),
        ("POST", {"origin": APP_ORIGIN.replace("https", "http")}, 403),
        ("POST", {"sec-fetch-site": "same-site"}, 403),
        ("POST", {"sec-fetch-site": "cross-site"}, 403),
        ("POST", {"sec-fetch-site": "none"}, 403),
        ("POST", {"sec-fetch-site": "cross-site"} | ORIGIN, 403),
        ("POST", SAME | FOREIGN, 403),
    ],
)
async def test_a_write_must_come_from_the_applications_own_pages(
    world: World, gateway: str, client: aiohttp.ClientSession, method: str, headers: dict[str, str], status: int
) -> None:
    before = len(world.application.seen)
    path = "/gateway/api/jobs/j1" if method == "DELETE" else "/gateway/api/jobs"
    sent = {"x-amzn-oidc-accesstoken": world.pool.token(), **headers}
    async with client.request(method, gateway + path, headers=sent) as response:
        assert response.status == status
        if status == 403:
            assert (await response.json())["type"] == "urn:fileproc:problem:cross-site-request"
        assert "access-control-allow-origin" not in response.headers
    assert len(world.application.seen) - before == (status == 201)


async def test_a_path_in_location_leads_back_through_the_browsers_face(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    headers = {"x-amzn-oidc-accesstoken": world.pool.token(), **SAME}
    async with client.post(f"{gateway}/gateway/api/files", headers=headers, data=b"x") as response:
        assert response.headers["location"] == "/gateway/api/files/f1"
    assert world.application.seen[-1].target == "/api/files"


async def test_a_token_in_authorization_does_not_count_at_the_browsers_face(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    headers = {"authorization": f"Bearer {world.pool.token()}"}
    async with client.get(f"{gateway}/gateway/api/jobs", headers=headers) as response:
        assert response.status == 401


async def test_cors_is_closed_and_opens_for_the_configured_origins_only(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    def preflight(origin: str) -> dict[str, str]:
        return {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, mcp-method",
        }

    async with client.options(f"{gateway}/api/jobs", headers=preflight("https://tool.example")) as response:
        assert response.status == 401
        assert "access-control-allow-origin" not in response.headers
    async with running_gateway(world, cors_origins=["https://tool.example"]) as opened:
        for path in ("/api/jobs", "/mcp", "/.well-known/oauth-protected-resource/mcp"):
            async with client.options(opened + path, headers=preflight("https://tool.example")) as response:
                assert response.status == 200, path
                assert response.headers["access-control-allow-origin"] == "https://tool.example"
                allowed = set(response.headers["access-control-allow-methods"].split(", "))
                assert allowed >= {method for methods in ROUTES.values() for method in methods} - {"HEAD"}
            async with client.options(opened + path, headers=preflight("https://evil.example")) as response:
                assert response.status == 400, path
                assert "access-control-allow-origin" not in response.headers
        async with client.options(f"{opened}/gateway/api/jobs", headers=preflight("https://tool.example")) as response:
            assert response.status == 401
            assert "access-control-allow-origin" not in response.headers
        bearer = {"authorization": f"Bearer {world.pool.token()}", "origin": "https://tool.example"}
        async with client.get(f"{opened}/api/jobs", headers=bearer) as response:
            assert response.headers["access-control-allow-origin"] == "https://tool.example"
            assert "access-control-allow-credentials" not in response.headers
