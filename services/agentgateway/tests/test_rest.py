"""The REST endpoint forwards the contract's paths to the application, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from services.agentgateway.tests.fakes import serving
from services.agentgateway.tests.world import World, authorization, last, listening_socket, running_gateway, until
from yarl import URL

from agentgateway.rest import application
from agentgateway.rest.paths import route_of
from common.problem import Problem

pytestmark = pytest.mark.slow

REACHABLE = [
    ("POST", "/api/files?name=invoices.csv"),
    ("GET", "/api/files/f1"),
    ("DELETE", "/api/files/f1"),
    ("POST", "/api/uploads"),
    ("POST", "/api/uploads/u1/complete"),
    ("DELETE", "/api/uploads/u1"),
    ("POST", "/api/preview"),
    ("POST", "/api/jobs"),
    ("GET", "/api/jobs?limit=50&cursor=a%2Fb"),
    ("GET", "/api/jobs/j1"),
    ("DELETE", "/api/jobs/j1"),
    ("POST", "/api/jobs/j1/retry"),
    ("GET", "/api/jobs/j1/events"),
    ("GET", "/api/jobs/j1/result"),
    ("GET", "/api/jobs/j1/report?format=text"),
    ("GET", "/api/jobs/j1/misses"),
    ("POST", "/api/jobs/j1/review"),
    ("GET", "/api/recipes/month-end?version=2"),
    ("PUT", "/api/recipes/month-end"),
    ("PUT", "/api/recipes/month-end/groups"),
    ("DELETE", "/api/recipes/month-end"),
    ("GET", "/api/departments"),
]
UNREACHABLE = [
    "/api/",
    "/api/admin",
    "/api/files/f1/",
    "/api/files//f1",
    "/api/jobs/../../metrics",
    "/api/jobs/%2e%2e/%2e%2e/metrics",
    "/api/jobs/..%2f..%2fmetrics",
    "/api/jobs/j1%2fresult",
    "/api/jobs/j1/result/extra",
    "/api/jobs/j1;v=1",
    "/api/jobs/j%0a1",
    "/api/jobs/" + "x" * 129,
    "/API/jobs",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/gateway/healthz",
    "//api/jobs",
]


@pytest.mark.parametrize(("method", "target"), REACHABLE)
async def test_each_path_of_the_contract_access_the_application_as_it_is(
    world: World, gateway: str, client: aiohttp.ClientSession, method: str, target: str
) -> None:
    body = b'{"a": 1}' if method == "POST" else None
    url = URL(gateway + target, encoded=True)
    async with client.request(method, url, headers=authorization(world), data=body) as response:
        assert response.status == 201
        assert (await response.json())["size"] == len(body or b"")
    assert (last(world.application).method, last(world.application).target) == (method, target)


@pytest.mark.parametrize("path", UNREACHABLE)
async def test_nothing_else_is_reachable(world: World, gateway: str, client: aiohttp.ClientSession, path: str) -> None:
    before = len(world.application.seen)
    url = URL(gateway + path, encoded=True)
    for method in ("GET", "POST"):
        async with client.request(method, url, headers=authorization(world), allow_redirects=False) as response:
            assert response.status == 404, method
            assert response.content_type == "application/problem+json"
            assert (await response.json())["type"] == "urn:fileproc:problem:not-found"
    assert len(world.application.seen) == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"])
async def test_a_method_that_a_path_does_not_have_is_405(
    world: World, gateway: str, client: aiohttp.ClientSession, method: str
) -> None:
    before = len(world.application.seen)
    async with client.request(method, f"{gateway}/api/jobs", headers=authorization(world)) as response:
        assert response.status == 405
        assert response.headers["allow"] == "GET, POST"
    assert len(world.application.seen) == before


async def test_the_users_token_and_what_looks_like_our_own_headers_stay_at_the_gateway(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    token = world.pool.token()
    sent = {
        "authorization": f"Bearer {token}",
        "x-caller": "eyJzdWIiOiJhZG1pbiJ9",
        "X-Amzn-Oidc-Accesstoken": token,
        "x-amzn-oidc-identity": "admin",
        "x-forwarded-for": "10.0.0.1",
        "cookie": f"session={token}",
        "connection": "keep-alive, x-hop",
        "x-hop": "1",
        "te": "trailers",
        "proxy-authorization": "Basic eDp5",
        "idempotency-key": "k-1",
        "if-none-match": '"e"',
        "range": "bytes=0-9",
    }
    async with client.get(f"{gateway}/api/jobs/j1/result", headers=sent) as response:
        assert response.status == 201
    seen = last(world.application)
    assert token not in str(seen.headers)
    assert seen.headers["authorization"].startswith("Bearer ")
    assert seen.caller.subject == "0a1b2c3d-alice"
    assert seen.headers["idempotency-key"] == "k-1"
    assert seen.headers["if-none-match"] == '"e"'
    assert seen.headers["range"] == "bytes=0-9"
    for name in sent.keys() - {"authorization", "x-caller", "idempotency-key", "if-none-match", "range"}:
        assert name.lower() not in seen.headers, name


async def test_a_response_has_security_headers_and_none_of_the_applications_cookies(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    async with client.post(f"{gateway}/api/files", headers=authorization(world), data=b"x") as response:
        headers = response.headers
    assert headers["location"] == "/api/files/f1"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "set-cookie" not in headers
    assert "access-control-allow-origin" not in headers
    assert len(headers.getall("date")) == 1
    assert "server" not in headers


async def test_a_body_of_unknown_length_is_forwarded_as_it_comes(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first,"
        begun.set()
        await go_on.wait()
        yield b"second"

    upload = asyncio.create_task(_post(client, f"{gateway}/api/files", data=parts(), headers=authorization(world)))
    await begun.wait()
    await until(lambda: last(world.application).body_bytes == 6)
    go_on.set()
    assert await upload == 201
    assert last(world.application).body_bytes == 12
    assert last(world.application).headers["transfer-encoding"] == "chunked"


async def _post(client: aiohttp.ClientSession, url: str, **arguments: Any) -> int:
    async with client.post(url, **arguments) as response:
        await response.read()
        return response.status


async def test_events_come_one_by_one_and_not_when_the_stream_ends(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    world.application.release.clear()
    async with client.get(f"{gateway}/api/jobs/events/events", headers=authorization(world)) as response:
        assert response.content_type == "text/event-stream"
        async with asyncio.timeout(5):
            assert await response.content.readuntil(b"\n\n") == b"event: progress\ndata: {}\n\n"
            world.application.release.set()
            assert await response.content.readuntil(b"\n\n") == b"event: done\ndata: {}\n\n"
            assert await response.content.read() == b""


@pytest.mark.parametrize("path", ["/api/jobs/events/events", "/api/jobs/hang", "/api/jobs/size-1000000000/result"])
async def test_the_application_learns_when_the_client_goes(
    world: World, gateway: str, client: aiohttp.ClientSession, path: str
) -> None:
    world.application.release.clear()
    before = len(world.application.seen)
    request = asyncio.create_task(client.get(gateway + path, headers=authorization(world)))
    await until(lambda: len(world.application.seen) > before)
    if request.done():
        (await request).close()
    else:
        request.cancel()
        await asyncio.wait([request])
        if not request.cancelled():
            request.result().close()
    await until(lambda: last(world.application).outcome == "broken")


@pytest.mark.parametrize("length", ["content-length: 1000000", "transfer-encoding: chunked"])
async def test_an_upload_that_breaks_off_is_not_taken_for_a_whole_one(world: World, gateway: str, length: str) -> None:
    before = len(world.application.seen)
    reader, writer = await asyncio.open_connection(*gateway.removeprefix("http://").split(":"))
    bearer = authorization(world)["authorization"]
    head = f"POST /api/files HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n{length}\r\n\r\n"
    writer.write(head.encode() + b"5\r\nhello\r\n")
    await until(lambda: len(world.application.seen) > before and last(world.application).body_bytes)
    writer.close()
    await writer.wait_closed()
    await until(lambda: last(world.application).outcome == "broken")
    assert await reader.read() == b""


async def test_an_early_answer_access_a_client_that_is_still_sending(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async with (
        asyncio.timeout(10),
        client.post(f"{gateway}/api/jobs/early/retry", headers=authorization(world), data=endless()) as response,
    ):
        assert response.status == 413
        assert (await response.json())["type"] == "urn:fileproc:problem:too-large"


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/api/jobs/drop", 502, "bad-gateway"),
        ("/api/jobs/unauthorized", 502, "bad-gateway"),
        ("/api/jobs/hang", 504, "gateway-timeout"),
    ],
)
async def test_what_the_application_does_wrong_is_told_as_a_problem(
    world: World, client: aiohttp.ClientSession, path: str, status: int, kind: str
) -> None:
    world.application.release.clear()
    async with (
        running_gateway(world, application_timeout_seconds=0.3) as gateway,
        client.get(gateway + path, headers=authorization(world)) as response,
    ):
        assert response.status == status
        assert response.content_type == "application/problem+json"
        assert (await response.json())["type"] == f"urn:fileproc:problem:{kind}"
        assert "www-authenticate" not in response.headers


async def test_an_application_that_is_away_is_503_and_worth_a_repetition(
    world: World, client: aiohttp.ClientSession
) -> None:
    async with (
        running_gateway(world, application_url="http://127.0.0.1:9") as gateway,
        client.post(f"{gateway}/api/files", headers=authorization(world), data=b"x" * 1_000_000) as response,
    ):
        assert response.status == 503
        assert int(response.headers["retry-after"]) > 0


async def test_a_connection_that_fails_is_tried_once_more_with_the_whole_body(
    world: World, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a roll-out, when a node still leads to a pod that has just ended."""
    with listening_socket() as bound:
        port = bound.getsockname()[1]
    async with AsyncExitStack() as stack:

        async def comes_back(_: float) -> None:
            await stack.enter_async_context(serving(world.application.app(), port))

        async with running_gateway(world, application_url=f"http://127.0.0.1:{port}") as gateway:
            monkeypatch.setattr(application, "sleep", comes_back)
            body = b"x" * 1_000_000
            async with client.post(f"{gateway}/api/files", headers=authorization(world), data=body) as response:
                assert response.status == 201
    assert last(world.application).body_bytes == len(body)


async def test_without_service_tokens_nothing_is_sent_to_the_application(
    world: World, client: aiohttp.ClientSession
) -> None:
    before = len(world.application.seen)
    world.cluster.available = False
    try:
        async with (
            running_gateway(world) as gateway,
            client.get(f"{gateway}/api/jobs", headers=authorization(world)) as response,
        ):
            assert response.status == 503
    finally:
        world.cluster.available = True
    assert len(world.application.seen) == before


async def test_a_response_that_breaks_off_is_not_taken_for_a_whole_one(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{gateway}/api/jobs/cut/result", headers=authorization(world)) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_no_error_shows_what_is_inside(world: World, gateway: str, client: aiohttp.ClientSession) -> None:
    for path in ("/api/jobs/drop", "/api/jobs/unauthorized", "/api/nothing"):
        async with client.get(gateway + path, headers=authorization(world)) as response:
            text = await response.text()
        assert "127.0.0.1" not in text
        assert "Traceback" not in text
        assert "aiohttp" not in text


def test_a_route_is_named_without_identifiers() -> None:
    assert route_of("GET", "/api/jobs/0b5c/result") == "GET /api/jobs/{id}/result"
    with pytest.raises(Problem) as refused:
        route_of("GET", "/api/jobs/a.b")
    assert refused.value.status == 404
