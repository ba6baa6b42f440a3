"""A gate between the worker and a department: a job is held in the middle for as long as a test wants to look at it.

with site.gate.shut() as held:              # from here on no job gets further than the row of the key HELD
    person.choose(long_file(tmp_path, "many.csv"))
    held()                                  # it is in the middle now, and stays there
    …
…                                           # it goes on
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from tests.frontend.expected import SAMPLES
from tests.helpers.proxy import running_proxy

from local.addresses import Addresses
from local.preparation import OWN_DEPARTMENTS, read_departments

HELD: Final = "V-00000"
"""A key of Finance that nobody has; jobs that do not look it up are never held."""
DEPARTMENT: Final = "finance"
HELD_SECONDS: Final = 600
"""For so long a job waits for its department. No test takes longer."""
REACHED_SECONDS: Final = 120
COPIES_BEFORE, COPIES_AFTER = 500, 1500
"""Of the sample: the worker reads blocks of 1 MiB, three ahead; one is done, and not all are read."""


class Gate:
    """Open at first, and after each test."""

    def __init__(self) -> None:
        self._open, self._reached = threading.Event(), threading.Event()
        self._open.set()

    @contextmanager
    def shut(self) -> Iterator[Callable[[], None]]:
        """Hold what looks up `HELD`. Yields what waits until something is held; something must be."""
        self._reached.clear()
        self._open.clear()
        try:
            yield self._wait
            self._wait()
        finally:
            self._open.set()

    def _wait(self) -> None:
        assert self._reached.wait(REACHED_SECONDS), f"no job has come to {HELD}"

    async def pass_on(self, request: web.Request) -> None:
        """Let a call through, now or later."""
        if HELD.encode() in await request.read():
            self._reached.set()
            while not self._open.is_set():
                await asyncio.sleep(0.05)


@contextmanager
def running_gate(addresses: Addresses, folder: Path) -> Iterator[Gate]:
    """A gate, and a folder of departments (to be `DEPARTMENTS_DIR`) that are behind it."""
    gate, found = Gate(), sorted(read_departments(OWN_DEPARTMENTS).items())
    endpoints = {name: addresses.department(index) for index, (name, _) in enumerate(found)}
    behind = running_proxy(endpoints[DEPARTMENT].removesuffix("/mcp"))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(behind) as proxy:
        proxy.fault = gate.pass_on
        folder.mkdir()
        for name, (_, document) in found:
            endpoint = f"{proxy.url}/mcp" if name == DEPARTMENT else endpoints[name]
            (folder / f"{name}.yaml").write_text(yaml.safe_dump({**document, "status": {"endpoint": endpoint}}))
        yield gate


def long_file(folder: Path, name: str) -> Path:
    """The sample's rows 2,000 times (80,000), and after a quarter of them one with the key `HELD`."""
    head, _, rows = (SAMPLES / "invoices.csv").read_text().partition("\n")
    held = f"held,{HELD}{',' * (head.count(',') - 1)}\n"
    file = folder / name
    file.write_text(f"{head}\n{rows * COPIES_BEFORE}{held}{rows * COPIES_AFTER}")
    return file


LONG_ROWS: Final = 40 * (COPIES_BEFORE + COPIES_AFTER) + 1
