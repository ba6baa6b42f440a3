"""Agent clients that nobody here wrote log in by an address alone, and call a tool.

Each is its published package, unchanged, in an environment that is made once in the user's cache. The person, whose
browser they open, is `agents/person.py`.
"""

import asyncio
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from playwright.async_api import Route, async_playwright, expect
from services.common.tests import npm
from tests.helpers.stack import COMMANDS, ROOT, Stack

from agentgateway.oauth.pkce import challenge_of
from infrastructure.terraform import alone, cache
from local.names import PASSWORD

pytestmark = pytest.mark.slow

AGENTS = ROOT / "tests" / "agents"
TOOL = "files_list_departments"
SECONDS = 120

PYTHON = {
    "agents-mcp-2": (
        "mcp==2.3.0",
        "fastmcp==4.2.3",
        "pydantic-ai-slim[mcp]==2.68.0",
        "openai-agents==0.24.0",
    ),
    # It needs the SDK before version 2.
    "agents-mcp-1": ("mcp<2", "langchain-mcp-adapters==0.3.1"),
}
MCP_REMOTE = "0.15.1"
INSPECTOR = "0.15.0"


@pytest.fixture(scope="module")
def packages() -> Path:
    """mcp-remote, and the MCP Inspector with the TypeScript SDK that it uses."""
    folder = npm.install(
        f"agents-{MCP_REMOTE}-{INSPECTOR}",
        f"mcp-remote@{MCP_REMOTE}",
        f"@modelcontextprotocol/inspector@{INSPECTOR}",
    )
    # npm's archives do not keep the executable bit of what is no command: mcp-remote opens the browser by this.
    (folder / "node_modules/open/xdg-open").chmod(0o755)
    return folder


@pytest.fixture
def person(tmp_path: Path) -> dict[str, str]:
    """The environment of a program that alice uses."""
    own = {"BROWSER": str(AGENTS / "person.py"), "PERSON": "alice", "PERSON_PASSWORD": PASSWORD}
    folders = {"HOME": str(tmp_path), "MCP_REMOTE_CONFIG_DIR": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    return {**os.environ, **own, **folders}


def python_of(name: str) -> Path:
    """The interpreter of an environment that has only these packages."""
    packages = PYTHON[name]
    home = cache() / f"{name}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"
    with alone(name):
        if not (home / "complete").exists():
            uv = str(ROOT / "tools" / "uv")
            subprocess.run([uv, "venv", "-q", "--clear", "-p", "3.11", str(home)], check=True, timeout=60)
            install = [uv, "pip", "install", "-q", "-p", str(home / "bin/python"), *packages]
            subprocess.run(install, check=True, timeout=400)
            (home / "complete").touch()
    return home / "bin" / "python"


async def run(command: Sequence[str | Path], environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    return said.decode()


def assert_alices(said: str) -> None:
    """The tool has answered for alice, who may use finance alone."""
    assert "vendors" in said, said
    assert "employees" not in said


@pytest.mark.parametrize(
    ("program", "environment"),
    [
        ("sdk", "agents-mcp-2"),
        ("fastmcp", "agents-mcp-2"),
        ("pydantic_ai", "agents-mcp-2"),
        ("openai_agents", "agents-mcp-2"),
        ("langchain", "agents-mcp-1"),
    ],
)
async def test_a_python_library_logs_in_by_the_address_alone(
    stack: Stack, person: dict[str, str], program: str, environment: str
) -> None:
    python = await asyncio.to_thread(python_of, environment)
    assert_alices(await run([python, AGENTS / "programs.py", program, f"{stack.api}/mcp"], person))


async def test_the_inspector_logs_in_by_the_address_alone(stack: Stack, person: dict[str, str], packages: Path) -> None:
    command: list[str | Path] = [npm.NODE, AGENTS / "inspector.mjs", packages, f"{stack.api}/mcp", TOOL]
    assert_alices(await run(command, person))


async def test_mcp_remote_logs_in_by_the_address_alone(stack: Stack, person: dict[str, str], packages: Path) -> None:
    proxy = packages / "node_modules/mcp-remote/dist/proxy.js"
    server = StdioServerParameters(command=str(npm.NODE), args=[str(proxy), f"{stack.api}/mcp"], env=person)
    async with asyncio.timeout(SECONDS), Client(stdio_client(server), mode="legacy") as client:
        answer: Any = (await client.call_tool(TOOL, {})).structured_content
    assert_alices(str(answer))


async def test_our_own_command_logs_in_the_same_way(stack: Stack, person: dict[str, str]) -> None:
    own = {**person, "FILEPROC_URL": stack.api}
    own.pop("FILEPROC_TOKEN", None)
    await run([COMMANDS / "fileproc", "login"], own)
    assert_alices(await run([COMMANDS / "fileproc", "departments", "--json"], own))
    await run([COMMANDS / "fileproc", "logout"], own)


@pytest.mark.parametrize(
    "redirect",
    ["http://localhost:54545/callback", "https://claude.ai/api/mcp/auth_callback", "https://vscode.dev/redirect"],
)
async def test_a_person_agrees_in_a_real_browser_and_comes_back(
    stack: Stack, session: aiohttp.ClientSession, redirect: str
) -> None:
    """A browser applies the page's Content-Security-Policy, also to where a form leads in the end."""
    register = {"redirect_uris": [redirect], "client_name": "Notes"}
    async with session.post(f"{stack.api}/oauth/register", json=register) as response:
        client = (await response.json())["client_id"]
    verifier = "v" * 43
    asked = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": redirect,
        "state": "as-given",
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    landed: list[str] = []
    complaints: list[str] = []

    async def answer(route: Route) -> None:
        landed.append(route.request.url)
        await route.fulfill(body="You may close this window.", content_type="text/plain")

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page()
        await page.route(f"{redirect}?**", answer)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        await page.goto(f"{stack.api}/oauth/authorize?{urlencode(asked)}")
        await expect(page.get_by_role("heading")).to_have_text("Allow this program to log in as you?")
        await expect(page.get_by_text("Notes")).to_be_visible()
        await expect(page.get_by_text(urlsplit(redirect).netloc)).to_be_visible()
        await page.get_by_role("button", name="Continue").click()
        await page.get_by_label("Username").fill("alice")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button").click()
        await expect(page.get_by_text("You may close this window.")).to_be_visible()
        await browser.close()
    assert complaints == []
    query = dict(parse_qsl(urlsplit(landed[0]).query))
    assert query["state"] == "as-given"
    redeemed = {"grant_type": "authorization_code", "client_id": client, "redirect_uri": redirect}
    redeemed |= {"code": query["code"], "code_verifier": verifier}
    async with session.post(f"{stack.api}/oauth/token", data=redeemed) as response:
        token = (await response.json())["access_token"]
    async with session.get(f"{stack.api}/api/departments", headers={"authorization": f"Bearer {token}"}) as response:
        assert_alices(await response.text())
