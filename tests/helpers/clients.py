"""The main job by each client that people have: curl as in the quick start, `fileproc`, the official MCP client."""

import asyncio
import base64
import json
import os
import re
import shlex
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.helpers.stack import COMMANDS, ROOT, Stack

SECONDS = 60
SAMPLE = "tools/local/samples/invoices.csv"

Enrich = Callable[[Stack, str, Path, Path], Awaitable[bytes]]
"""Enriches a file as a user, in a folder to work in; the result's bytes."""


def quick_start_commands(containing: str) -> str:
    """The block of commands in the quick start that has this word."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/quick-start.md").read_text(), re.DOTALL)
    (block,) = [block for block in blocks if containing in block]
    return str(block)


async def shell(stack: Stack, commands: str, variables: dict[str, str] | None = None) -> str:
    """Standard output of commands as the quick start has them, typed where it says: at the top of the repository."""
    # `uv run X` starts the X of this environment; `env`, because to the shell `local` is a word of its own.
    script = f'set -euo pipefail\nuv() {{ shift; env "$@"; }}\n{commands}'
    environment = {**stack.shell_environment, **(variables or {}), "PATH": f"{COMMANDS}:{os.environ['PATH']}"}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(SECONDS):
        said, complaint = await process.communicate()
    assert process.returncode == 0, f"{commands}\n{said.decode()}\n{complaint.decode()}"
    return said.decode()


async def by_curl(stack: Stack, user: str, file: Path, folder: Path) -> bytes:
    """The quick start's own commands, for another file."""
    target = folder / f"curl-{user}-{file.name}"
    commands = quick_start_commands("curl")
    for old, new in ((SAMPLE, str(file)), ("invoices.csv", file.name), ("enriched.csv", str(target))):
        assert old in commands
        commands = commands.replace(old, new)
    variables = {"FILEPROC_URL": stack.api, "FILEPROC_TOKEN": stack.tokens[user]}
    events = await shell(stack, commands, variables)
    assert "event: done" in events
    return target.read_bytes()


async def by_fileproc(stack: Stack, user: str, file: Path, folder: Path) -> bytes:
    """The command."""
    target = folder / f"fileproc-{user}-{file.name}"
    variables = {"FILEPROC_URL": stack.api, "FILEPROC_TOKEN": stack.tokens[user]}
    said = await shell(stack, shlex.join(["fileproc", "enrich", str(file), "-o", str(target), "--json"]), variables)
    document = json.loads(said)
    assert document["job"]["status"] == "succeeded"
    assert document["size"] == target.stat().st_size
    return target.read_bytes()


async def by_mcp(stack: Stack, user: str, file: Path, mode: Literal["auto", "legacy"]) -> bytes:
    """The official client, given nothing but address and token."""
    data = await asyncio.to_thread(file.read_bytes)
    is_text = file.suffix in (".csv", ".jsonl", ".json", ".txt", ".md")
    content = {"text": data.decode()} if is_text else {"base64": base64.b64encode(data).decode()}
    headers = {"Authorization": f"Bearer {stack.tokens[user]}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=SECONDS) as http,
        Client(streamable_http_client(f"{stack.api}/mcp", http_client=http), mode=mode) as client,
    ):
        job = await call(client, "files_submit_job", name=file.name, **content)
        async with asyncio.timeout(SECONDS):
            while job["status"] not in ("succeeded", "failed", "cancelled"):
                job = await call(client, "files_job_status", job=job["id"], wait_seconds=10)
        assert job["status"] == "succeeded", job
        result = await call(client, "files_job_result", job=job["id"])
        if "text" in result:
            return str(result["text"]).encode()
        if "base64" in result:
            return base64.b64decode(result["base64"])
        answer = await http.get(result["url"])
        answer.raise_for_status()
        return answer.content


async def by_mcp_auto(stack: Stack, user: str, file: Path, _: Path) -> bytes:
    """The client as it is by default: the stateless era."""
    return await by_mcp(stack, user, file, "auto")


async def by_mcp_legacy(stack: Stack, user: str, file: Path, _: Path) -> bytes:
    """The client with the handshake of the era before."""
    return await by_mcp(stack, user, file, "legacy")


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a tool's answer."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer
    assert answer.structured_content is not None
    return dict(answer.structured_content)


CLIENTS: dict[str, Enrich] = {
    "curl": by_curl,
    "fileproc": by_fileproc,
    "mcp auto": by_mcp_auto,
    "mcp legacy": by_mcp_legacy,
}
