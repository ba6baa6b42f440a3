"""The gateway as a process of its own: memory, records, metrics, start and end."""

import asyncio
import hashlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import aiohttp
import psutil
import pytest
from aiohttp import web
from services.agentgateway.tests.fakes import CHUNK, FakeApplication
from services.agentgateway.tests.world import World, authorization, gateway_process, listening_socket, until

pytestmark = pytest.mark.slow

SIZE = 300_000_000
WARM_UP = 20_000_000
GROWTH_ALLOWED = 24 * 1024 * 1024
"""A few buffers for each of four connections; a body that is held would be far above."""


async def chunks(size: int) -> AsyncIterator[bytes]:
    while size:
        part = CHUNK[:size]
        size -= len(part)
        yield part


async def upload(client: aiohttp.ClientSession, world: World, url: str, size: int, *, sized: bool) -> None:
    headers = authorization(world) | ({"content-length": str(size)} if sized else {})
    async with client.post(f"{url}/api/files?name=large.csv", headers=headers, data=chunks(size)) as response:
        assert response.status == 201
        assert (await response.json())["size"] == size


async def download(client: aiohttp.ClientSession, world: World, url: str, size: int) -> None:
    received = 0
    async with client.get(f"{url}/api/jobs/size-{size}/result", headers=authorization(world)) as response:
        assert response.content_length == size
        async for chunk in response.content.iter_any():
            received += len(chunk)
    assert received == size


async def test_300_mb_pass_both_ways_in_constant_memory(world: World) -> None:
    async with gateway_process(world) as gateway, aiohttp.ClientSession() as client:
        memory = psutil.Process(gateway.process.pid).memory_info
        await upload(client, world, gateway.url, WARM_UP, sized=True)
        await download(client, world, gateway.url, WARM_UP)
        before = memory().rss
        await upload(client, world, gateway.url, SIZE, sized=True)
        whole = hashlib.sha256()
        async for chunk in chunks(SIZE):
            whole.update(chunk)
        assert world.application.seen[-1].body_digest == whole.hexdigest()
        await download(client, world, gateway.url, SIZE)
        await asyncio.gather(
            upload(client, world, gateway.url, WARM_UP * 2, sized=False),
            upload(client, world, gateway.url, WARM_UP * 2, sized=True),
            download(client, world, gateway.url, WARM_UP * 2),
            download(client, world, gateway.url, WARM_UP * 2),
        )
        assert memory().rss - before < GROWTH_ALLOWED


async def test_a_client_that_does_not_read_makes_the_application_wait_and_costs_no_memory(world: World) -> None:
    async with gateway_process(world) as gateway:
        memory = psutil.Process(gateway.process.pid).memory_info
        host, port = gateway.url.removeprefix("http://").split(":")
        before, count = memory().rss, len(world.application.seen)
        bearer = authorization(world)["authorization"]
        request = f"GET /api/jobs/size-500000000/result HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n\r\n"
        connections = [await asyncio.open_connection(host, int(port), limit=1024) for _ in range(8)]
        for _, writer in connections:
            writer.write(request.encode())
        await until(lambda: len(world.application.seen) == count + 8)
        for reader, _ in connections:
            await reader.readexactly(100)
        assert all(seen.outcome == "open" for seen in world.application.seen[count:])
        assert memory().rss - before < GROWTH_ALLOWED
        for _, writer in connections:
            writer.close()
        await until(lambda: all(seen.outcome == "broken" for seen in world.application.seen[count:]))


async def test_a_restart_of_the_application_costs_the_requests_of_that_moment_and_no_more(world: World) -> None:
    bound = listening_socket()
    port = bound.getsockname()[1]
    bound.close()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(FakeApplication(world.application.verifier).app(), handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
        return runner

    async def ask() -> int:
        async with client.get(f"{gateway.url}/api/jobs", headers=authorization(world)) as response:
            return response.status

    runner = await start()
    try:
        async with (
            gateway_process(world, application_url=f"http://127.0.0.1:{port}") as gateway,
            aiohttp.ClientSession() as client,
        ):
            for _ in range(3):
                assert await ask() == 201
                await runner.cleanup()
                assert await ask() in (502, 503)
                runner = await start()
                # The very next one succeeds: no connection of the old application is used again.
                assert await ask() == 201
    finally:
        await runner.cleanup()


async def test_each_call_leaves_one_audit_record_without_data_and_without_tokens(world: World) -> None:
    async with gateway_process(world) as gateway, aiohttp.ClientSession() as client:
        headers = authorization(world, sub="audited")
        async with client.post(f"{gateway.url}/api/files?name=secret.csv", headers=headers, data=b"secret") as response:
            assert response.status == 201
        async with client.get(f"{gateway.url}/api/jobs/secret-id/result", headers=headers) as response:
            assert response.status == 201
        async with client.get(f"{gateway.url}/api/jobs", headers={"authorization": "Bearer secret"}) as response:
            assert response.status == 401
        await until(lambda: len(gateway.records("audit")) >= 2)
        records = gateway.records("audit")
        log = gateway.log.read_text()
    assert [(record["tool"], record["outcome"]) for record in records] == [
        ("POST /api/files", "201"),
        ("GET /api/jobs/{id}/result", "201"),
    ]
    for record in records:
        assert (record["subject"], record["username"], record["method"]) == ("audited", "alice", "cognito")
        assert record["milliseconds"] > 0
    assert "secret" not in log
    assert headers["authorization"].split()[1] not in log
    assert [record["reason"] for record in gateway.records("token.refused")]


async def test_metrics_are_on_their_own_port_and_not_on_the_gateways(world: World) -> None:
    with listening_socket() as bound:
        port = bound.getsockname()[1]
    async with gateway_process(world, metrics_port=port) as gateway, aiohttp.ClientSession() as client:
        async with client.get(f"{gateway.url}/api/jobs/j1", headers=authorization(world)) as response:
            assert response.status == 201
        async with client.get(f"http://127.0.0.1:{port}/metrics") as response:
            text = await response.text()
        async with client.get(f"{gateway.url}/metrics") as response:
            assert response.status == 404
    assert 'agentgateway_rest_requests_total{route="GET /api/jobs/{id}",status="201"} 1.0' in text
    assert "agentgateway_rest_request_seconds_bucket" in text


async def test_a_running_download_is_finished_before_the_gateway_stops(world: World) -> None:
    world.application.release.clear()
    async with gateway_process(world, shutdown_seconds=10) as gateway, aiohttp.ClientSession() as client:
        async with client.get(f"{gateway.url}/api/jobs/events/events", headers=authorization(world)) as response:
            await response.content.readuntil(b"\n\n")
            gateway.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                while await refused(client, gateway.url):
                    await asyncio.sleep(0.05)
            world.application.release.set()
            assert await response.content.read() == b"event: done\ndata: {}\n\n"
        assert await asyncio.to_thread(gateway.process.wait, 10) in (0, -signal.SIGTERM)


async def refused(client: aiohttp.ClientSession, url: str) -> bool:
    """Whether new requests are still accepted."""
    try:
        async with client.get(f"{url}/healthz", headers={"connection": "close"}):
            return True
    except aiohttp.ClientError:
        return False


def test_a_wrong_setting_stops_the_start_and_is_named(world: World) -> None:
    variables = world.variables(0, public_api_url="api.example.com", iam_role_groups={"FinanceBatch": ["finance"]})
    variables["RATE_LIMIT"] = "often"
    del variables["COGNITO_ISSUER"]
    done = subprocess.run(
        [sys.executable, "-m", "agentgateway"], env=variables, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    for name in ("PUBLIC_API_URL", "IAM_ROLE_GROUPS", "RATE_LIMIT", "COGNITO_ISSUER"):
        assert f"setting {name}" in done.stderr
    assert "Traceback" not in done.stderr
