"""The official MCP conformance suite against a server that wants tokens.

    async with header_shim("http://127.0.0.1:8080", headers) as url:
        outcomes = await run_suite(f"{url}/mcp", "2026-07-28", tmp_path)
    assert_conformance(outcomes, left_out={"prompts-list": "the gateway federates tools, and no prompts"})

The suite is an npm package of a pinned version, installed once into the user's cache; Node comes from PyPI.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import yaml
from aiohttp import web
from multidict import CIMultiDict
from services.common.tests import npm

PACKAGE = "@modelcontextprotocol/conformance"
VERSION = "0.2.0-alpha.12"
SUITE_SECONDS = 180

_OUTCOME = re.compile(r"^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed$", re.MULTILINE)
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade"}


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario.

    Attributes:
        required: Whether the revision of the protocol requires it.
        problems: What the failed checks said.
    """

    required: bool
    passed: int
    failed: int
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether something was checked, and nothing failed."""
        return self.passed > 0 and self.failed == 0


def assert_conformance(outcomes: Mapping[str, Outcome], left_out: Mapping[str, str]) -> None:
    """Every required scenario went well but those `left_out`, each with its reason; and those did not."""
    bad = {name: outcome for name, outcome in outcomes.items() if outcome.required and not outcome.good}
    unexpected = {name: outcome.problems for name, outcome in bad.items() if name not in left_out}
    assert not unexpected, unexpected
    passing = left_out.keys() - bad.keys()
    assert not passing, f"left out, and yet they pass: {passing}"


async def run_suite(url: str, revision: str, folder: Path) -> dict[str, Outcome]:
    """Run all server scenarios of one revision of the protocol against `url`, which must need no headers.

    Args:
        revision: `2025-11-25` or `2026-07-28`.
        folder: Where the suite leaves its results.
    """
    package = await asyncio.to_thread(install)
    required = set(yaml.safe_load((package / "requirements" / f"{revision}.yaml").read_text())["server"])
    results = folder / f"results-{revision}"
    command: list[str | Path] = [
        package / "dist" / "index.js",
        "server",
        "--url",
        url,
        "--requirements",
        revision,
        "-o",
        results,
    ]
    process = await asyncio.create_subprocess_exec(
        npm.NODE, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(SUITE_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = _OUTCOME.findall(said.decode())
    outcomes = {
        name: Outcome(name in required, int(passed), int(failed), _problems(results, name))
        for name, passed, failed in found
    }
    assert required <= outcomes.keys(), said.decode()
    return outcomes


def _problems(results: Path, scenario: str) -> tuple[str, ...]:
    checks = [
        check for file in results.glob(f"server-{scenario}-2*/checks.json") for check in orjson.loads(file.read_bytes())
    ]
    return tuple(
        f"{check.get('name') or check.get('id')}: {check.get('errorMessage')}"
        for check in checks
        if check.get("status") == "FAILURE"
    )


def install() -> Path:
    """The folder of the suite; installed from npm where it is not yet in the user's cache."""
    return npm.install(f"conformance-{VERSION}", f"{PACKAGE}@{VERSION}") / "node_modules" / PACKAGE


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)


@asynccontextmanager
async def header_shim(target: str, headers: Mapping[str, str]) -> AsyncIterator[str]:
    """The address of a proxy on loopback that adds `headers` to each request and changes nothing else."""

    async def forward(request: web.Request) -> web.StreamResponse:
        sent = _end_to_end(request.headers)
        sent.update(headers)
        body = await request.read()
        async with session.request(
            request.method, target + request.path_qs, headers=sent, data=body, allow_redirects=False
        ) as answer:
            kept = CIMultiDict(
                (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
            )
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", forward)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        # A client that goes away ends its stream at the server too.
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
