"""ContextForge, the gateway that a call's cost is compared with: its release, in its fastest mode.

It runs from a virtual environment of its own in the user's cache, with stateful sessions, caches on, and without rate
limits, plugins, its web interface or its metrics.
"""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import platformdirs

RELEASE = "mcp-contextforge-gateway==1.0.7"
START_SECONDS = 120
PROTOCOL_VERSION = "2025-06-18"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": PROTOCOL_VERSION,
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
UV = os.environ.get("UV", "uv")
"""The uv that runs us; it need not be on PATH."""


@dataclass(frozen=True)
class ContextForge:
    """A running gateway with one department behind it, and the headers of a session with it."""

    pid: int
    url: str
    tool: str
    headers: dict[str, str]


def installed() -> Path:
    """The virtual environment, made at the first use."""
    home = Path(platformdirs.user_cache_dir("internal-file-processing-system")) / "contextforge-1.0.7"
    if not (home / "bin" / "uvicorn").exists():
        subprocess.run([UV, "venv", "--quiet", "--clear", "--python", "3.11", str(home)], check=True)
        subprocess.run([UV, "pip", "install", "--quiet", "--python", str(home / "bin/python"), RELEASE], check=True)
    return home


def environment(folder: Path) -> dict[str, str]:
    """Its settings; the secrets live for one run."""
    password = f"{secrets.token_urlsafe(16)}-Aa1!"
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": f"sqlite:///{folder / 'contextforge.db'}",
        "USE_STATEFUL_SESSIONS": "true",
        "CACHE_TYPE": "memory",
        "ENVIRONMENT": "development",
        "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "AUTH_ENCRYPTION_SECRET": secrets.token_urlsafe(48),
        "BASIC_AUTH_PASSWORD": password,
        "PLATFORM_ADMIN_EMAIL": "admin@example.com",
        "PLATFORM_ADMIN_PASSWORD": password,
        "DEFAULT_USER_PASSWORD": password,
        "SSRF_ALLOW_LOCALHOST": "true",
        "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
        "RATE_LIMITING_ENABLED": "false",
        "TOOL_RATE_LIMIT": "1000000",
        "PLUGINS_ENABLED": "false",
        "MCPGATEWAY_UI_ENABLED": "false",
        "MCPGATEWAY_ADMIN_API_ENABLED": "false",
        "OBSERVABILITY_ENABLED": "false",
        "DB_METRICS_RECORDING_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
    }


@contextmanager
def running(folder: Path, port: int, department_url: str) -> Iterator[ContextForge]:
    """Start it on loopback, register one department, and stop it at the end."""
    home = installed()
    settings = environment(folder)
    command = [str(home / "bin/uvicorn"), "mcpgateway.main:app", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "contextforge.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--log-level", "warning"], env=settings, cwd=folder, stdout=log, stderr=log
        )
    try:
        yield _register(process.pid, home, settings, f"http://127.0.0.1:{port}", department_url)
    finally:
        process.kill()
        process.wait()


def _register(pid: int, home: Path, settings: dict[str, str], url: str, department_url: str) -> ContextForge:
    create = [str(home / "bin/python"), "-m", "mcpgateway.utils.create_jwt_token", "--username", "admin@example.com"]
    made = subprocess.run(
        [*create, "--exp", "60", "--admin", "--secret", settings["JWT_SECRET_KEY"]],
        env=settings,
        capture_output=True,
        text=True,
        check=True,
    )
    headers = {"authorization": f"Bearer {made.stdout.strip().splitlines()[-1]}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=30) as client:
        deadline = time.monotonic() + START_SECONDS
        while not _healthy(client):
            if time.monotonic() > deadline:
                raise TimeoutError(f"ContextForge did not answer within {START_SECONDS} s")
            time.sleep(0.5)
        gateway = {"name": "bench", "url": department_url, "transport": "STREAMABLEHTTP"}
        client.post("/gateways", json=gateway).raise_for_status()
        (tool,) = client.get("/tools").raise_for_status().json()
        mcp_headers = headers | {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": PROTOCOL_VERSION,
        }
        session = (
            client.post("/mcp/", json=INITIALIZE, headers=mcp_headers).raise_for_status().headers["mcp-session-id"]
        )
        mcp_headers["mcp-session-id"] = session
        client.post("/mcp/", json=INITIALIZED, headers=mcp_headers).raise_for_status()
    return ContextForge(pid, f"{url}/mcp/", tool["name"], mcp_headers)


def _healthy(client: httpx2.Client) -> bool:
    try:
        return client.get("/health").is_success
    except httpx2.TransportError:
        return False
