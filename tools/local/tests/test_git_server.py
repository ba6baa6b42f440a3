"""The Git server of the local cluster: people push to it, Argo CD reaches it by an address on the internet."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from local.addresses import HOST
from local.kubernetes.control_plane import free_ports
from local.kubernetes.git_server import GitServer, serve

pytestmark = pytest.mark.slow

ELSEWHERE = "https://git.example.com/company/things"


def git(*arguments: str, **environment: str) -> str:
    identity = ("-c", "user.name=A developer", "-c", "user.email=developer@example.com")
    settings = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null", **environment}
    done = subprocess.run(
        ["git", *identity, *arguments], env=settings, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(clone: Path, text: str) -> str:
    (clone / "file").write_text(text)
    git("-C", str(clone), "add", ".")
    git("-C", str(clone), "commit", "--quiet", "--message", text)
    return git("-C", str(clone), "rev-parse", "HEAD")


@asynccontextmanager
async def serving(folder: Path, *webhooks: str) -> AsyncIterator[int]:
    [port] = free_ports(1)
    task = asyncio.create_task(serve(GitServer(folder, webhooks, ELSEWHERE), port))
    try:
        for _ in range(200):
            with suppress(OSError):
                (await asyncio.open_connection(HOST, port))[1].close()
                break
            await asyncio.sleep(0.05)
        yield port
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def receiver(status: int = 200) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    told: list[dict[str, Any]] = []

    async def hear(request: web.Request) -> web.Response:
        told.append({"event": request.headers["X-GitHub-Event"], **await request.json()})
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/api/webhook", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}/api/webhook", told
    finally:
        await runner.cleanup()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "git" / "things.git"))
    return tmp_path / "git"


async def test_a_push_is_received_and_told_as_github_tells_it(folder: Path, tmp_path: Path) -> None:
    async with receiver() as (webhook, told), serving(folder, webhook) as port:
        url = f"http://{HOST}:{port}/things.git"
        clone = tmp_path / "clone"
        await asyncio.to_thread(git, "clone", "--quiet", url, str(clone))
        first = commit(clone, "one")
        await asyncio.to_thread(git, "-C", str(clone), "push", "--quiet", url, "HEAD:main")
        second = commit(clone, "two")
        await asyncio.to_thread(git, "-C", str(clone), "push", "--quiet", url, "HEAD:main")
    assert [(each["event"], each["before"], each["after"]) for each in told] == [
        ("push", "0" * 40, first),
        ("push", first, second),
    ]
    assert {each["repository"]["html_url"] for each in told} == {ELSEWHERE}


async def test_a_receiver_that_fails_or_is_gone_does_not_stop_a_push(folder: Path, tmp_path: Path) -> None:
    [nobody] = free_ports(1)
    async with receiver(500) as (webhook, _), serving(folder, webhook, f"http://{HOST}:{nobody}/") as port:
        url = f"http://{HOST}:{port}/things.git"
        clone = tmp_path / "clone"
        await asyncio.to_thread(git, "clone", "--quiet", url, str(clone))
        pushed = commit(clone, "one")
        await asyncio.to_thread(git, "-C", str(clone), "push", "--quiet", url, "HEAD:main")
        assert (await asyncio.to_thread(git, "ls-remote", url, "main")).startswith(pushed)


async def test_behind_it_as_a_proxy_the_repository_has_its_address_on_the_internet(
    folder: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    git("clone", "--quiet", str(folder / "things.git"), str(work))
    pushed = commit(work, "one")
    git("-C", str(work), "push", "--quiet", "origin", "HEAD:main")
    async with serving(folder) as port:
        proxy = {"https_proxy": f"http://{HOST}:{port}", "no_proxy": "", "NO_PROXY": "", "GIT_SSL_NO_VERIFY": "true"}
        asked = await asyncio.to_thread(lambda: git("ls-remote", f"{ELSEWHERE}.git", "main", **proxy))
    assert asked.startswith(pushed)


async def test_another_repository_is_not_there(folder: Path) -> None:
    async with serving(folder) as port:
        with pytest.raises(AssertionError, match="not found"):
            await asyncio.to_thread(git, "ls-remote", f"http://{HOST}:{port}/other.git")
        with pytest.raises(AssertionError, match="not found"):
            await asyncio.to_thread(git, "ls-remote", f"http://{HOST}:{port}/../things.git/../other.git")
