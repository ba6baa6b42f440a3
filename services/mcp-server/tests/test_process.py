"""The process as it runs in a pod: its settings, its ports, its end."""

import asyncio
import json
import signal
import socket
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from conftest import Running, Until

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment(running: "Running", port: int, metrics_port: int) -> dict[str, str]:
    settings = running.settings
    return {
        "AWS_ENDPOINT_URL": running.s3.meta.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "DEPARTMENT": settings.department,
        "DEPARTMENT_FILE": str(settings.department_file),
        "DEPARTMENT_DATA_BUCKET": settings.department_data_bucket,
        "AWS_REGION": settings.aws_region,
        "KUBERNETES_API_URL": settings.kubernetes_api_url,
        "CLUSTER_ISSUER": settings.cluster_issuer,
        "SERVICE_ACCOUNT": settings.service_account,
        "SERVICE_ACCOUNT_TOKEN_FILE": str(settings.service_account_token_file),
        "DATA_DIRECTORY": str(settings.data_directory / "process"),
    }


async def test_it_serves_reports_and_finishes_what_it_began_when_told_to_stop(
    finance: "Running", until: "Until"
) -> None:
    port, metrics_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mcp_server"),
        env=environment(finance, port, metrics_port),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with httpx2.AsyncClient() as http:

            async def answers(address: str) -> bool:
                try:
                    return (await http.get(address)).status_code == 200
                except httpx2.TransportError:
                    return False

            await until(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
            metrics = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
            assert 'mcp_dataset_rows{dataset="vendors",department="finance"} 3.0' in metrics

            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
            headers = finance.headers("finance") | {
                "host": f"127.0.0.1:{port}",
                "accept": "application/json, text/event-stream",
                "content-type": "application/json",
                "content-length": str(len(body)),
                "expect": "100-continue",
            }
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode())
            assert b"100" in await asyncio.wait_for(reader.readline(), 10)

            process.send_signal(signal.SIGTERM)

            async def closed() -> bool:
                return not await answers(f"http://127.0.0.1:{port}/healthz")

            await until(closed)
            writer.write(body)
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await writer.wait_closed()
        assert b"HTTP/1.1 200 OK" in answer
        said, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    events = [json.loads(line) for line in said.splitlines()]
    assert {"department.read", "dataset.loaded"} <= {event["event"] for event in events}
    assert {event["service"] for event in events} == {"mcp-finance"}


async def test_a_lacking_setting_stops_the_start_and_is_named() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mcp_server"), env={}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert "setting DEPARTMENT: Field required" in said.decode().splitlines()
