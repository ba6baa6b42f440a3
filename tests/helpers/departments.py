"""Departments that change while everything runs: their files edited, their servers' answers bent."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.helpers.proxy import Proxy, running_proxy
from tests.helpers.rest import Rest, bearer, http_session
from tests.helpers.stack import Stack

FOLLOWED_SECONDS = 10.0
"""Within which a change of a department's file must count everywhere."""


@contextmanager
def edited(stack: Stack, department: str, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """A department's file with a change in it; as it was afterwards."""
    (file,) = [
        file
        for file in stack.departments_folder.glob("*.yaml")
        if (document := yaml.safe_load(file.read_text()))["kind"] == "Department"
        and document["metadata"]["name"] == department
    ]
    before = file.read_text()
    document = yaml.safe_load(before)
    change(document)
    _replace(file, yaml.safe_dump(document, sort_keys=False))
    try:
        yield
    finally:
        _replace(file, before)


def _replace(file: Path, text: str) -> None:
    # At once, as the mount of a ConfigMap changes: nobody sees half a file.
    aside = file.with_suffix(".new")
    aside.write_text(text)
    aside.replace(file)


@asynccontextmanager
async def through_proxy(stack: Stack, department: str) -> AsyncIterator[Proxy]:
    """A department whose every caller goes through a proxy."""
    (document,) = [
        document
        for file in stack.departments_folder.glob("*.yaml")
        if (document := yaml.safe_load(file.read_text()))["kind"] == "Department"
        and document["metadata"]["name"] == department
    ]
    upstream = str(document["status"]["endpoint"]).removesuffix("/mcp")
    async with running_proxy(upstream) as proxy:

        def redirect(document: dict[str, Any]) -> None:
            document["status"]["endpoint"] = f"{proxy.url}/mcp"

        with edited(stack, department, redirect):
            async with http_session() as session:
                dana = Rest(session, stack.api, bearer(stack.tokens["dana"]))

                async def is_followed() -> bool:
                    return await _looks_up(dana, department, proxy)

                await until("application and worker come by the proxy", is_followed, 20)
            yield proxy


async def _looks_up(rest: Rest, department: str, proxy: Proxy) -> bool:
    """Have one key looked up by a job; whether that came by the proxy."""
    listed = (await rest.good("GET", "/api/departments")).json["departments"]
    data_sets = next(one for one in listed if one["name"] == department)["datasets"]
    if not data_sets:
        return False
    data_set = data_sets[0]
    file = await rest.upload("probe.csv", f"{data_set['key']}\nprobe\n".encode())
    job = await rest.submit(file, mapping={data_set["key"]: [f"{department}.{data_set['name']}"]})
    lookups = proxy.lookups
    await rest.finished(job)
    await rest.good("DELETE", f"/api/files/{file}")
    return proxy.lookups > lookups


async def until(what: str, condition: Callable[[], Awaitable[bool]], seconds: float = FOLLOWED_SECONDS) -> None:
    """Ask until it is so, or fail and say what did not happen."""
    deadline, pause = time.monotonic() + seconds, 0.05
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, 0.3)  # what asks is work for the same processors
