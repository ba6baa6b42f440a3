"""The watch on event loops, which other tests rely on, sees one that is blocked, and nothing in one that is not."""

import asyncio
import threading
import time

import pytest
import uvloop
from services.application.tests.support.watched import MARK, Watch


async def blocked() -> None:
    await asyncio.sleep(0.1)
    until = time.process_time() + 0.6
    while time.process_time() < until:
        pass
    await asyncio.sleep(0.1)


async def busy() -> None:
    """Work all the time, in pieces of 10 ms."""
    for _ in range(40):
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass
        await asyncio.sleep(0)


async def starved() -> None:
    """Wait, as on a machine that has no processor left for the loop."""
    await asyncio.sleep(0.1)
    time.sleep(0.4)  # noqa: ASYNC251
    await asyncio.sleep(0.1)


@pytest.mark.parametrize(("work", "is_seen"), [(blocked, True), (busy, False), (starved, False)])
def test_only_a_blocked_loop_is_reported(capfd: pytest.CaptureFixture[str], work: object, is_seen: bool) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        watch = Watch(runner.get_loop(), threading.get_ident(), start=0)
        watch.start()
        runner.run(work())  # type: ignore[operator]
    watch.join(10)
    written = capfd.readouterr().err
    assert (MARK in written) is is_seen
    assert not is_seen or "in blocked" in written
