"""How long a refusal takes tells nothing of what is behind it."""

import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

import aiohttp
import pytest
from tests.helpers.rest import Answer, Rest, bearer
from tests.helpers.stack import Stack
from tests.helpers.wire import Wire

pytestmark = [pytest.mark.slow, pytest.mark.timed]

ROUNDS = 200
CLOSE = 1.3
"""Medians of interleaved requests lie within this ratio; what is looked up in one case only costs more than that."""

Request = Callable[[], Awaitable[Answer]]


async def _medians(requests: Sequence[Request]) -> list[float]:
    """Seconds of each kind of request; by turns, so that a noisy machine is noisy to all of them."""
    taken: list[list[float]] = [[] for _ in requests]
    for _ in range(ROUNDS):
        for request, seconds in zip(requests, taken, strict=True):
            begun = time.perf_counter()
            await request()
            seconds.append(time.perf_counter() - begun)
    return [median(seconds) for seconds in taken]


async def test_a_signature_that_is_wrong_early_takes_as_long_to_refuse_as_one_that_is_wrong_late(
    stack: Stack, session: aiohttp.ClientSession
) -> None:
    said, _, signature = stack.tokens["alice"].rpartition(".")

    def with_other(position: int) -> Request:
        other = "A" if signature[position] != "A" else "B"
        token = f"{said}.{signature[:position]}{other}{signature[position + 1 :]}"
        return lambda: Rest(session, stack.gateway, bearer(token)).call("GET", "/api/departments")

    # The last character of an RS256 signature carries bits that mean nothing.
    requests = [with_other(3), with_other(len(signature) - 3)]
    for request in requests:
        assert (await request()).status == 401
    early, late = await _medians(requests)
    print(f"\nrefused by a wrong signature: early {early * 1000:.2f} ms, late {late * 1000:.2f} ms")
    assert 1 / CLOSE < early / late < CLOSE


@pytest.mark.parametrize("interface", ["an endpoint", "a tool", "a job's department", "a preview's mapping"])
async def test_a_department_of_others_takes_as_long_to_refuse_as_one_that_does_not_exist(
    stack: Stack, session: aiohttp.ClientSession, interface: str
) -> None:
    rest = Rest(session, stack.gateway, bearer(stack.tokens["alice"]))
    file = await rest.upload("a.csv", b"employee_id\nE-00001\n")

    def asked(department: str) -> Request:
        wire = Wire(session, f"{stack.gateway}/mcp", rest.headers)
        own = Wire(session, f"{stack.gateway}/mcp/{department}", rest.headers)
        found: dict[str, Request] = {
            "an endpoint": lambda: own.call("tools/list"),
            "a tool": lambda: wire.tool(f"{department}_describe_datasets"),
            "a job's department": lambda: rest.call(
                "POST", "/api/jobs", body={"file": file, "departments": [department]}
            ),
            "a preview's mapping": lambda: rest.call(
                "POST", "/api/preview", body={"file": file, "mapping": {"employee_id": [f"{department}.employees"]}}
            ),
        }
        return found[interface]

    requests = [asked("hr"), asked("no")]
    answers = [await request() for request in requests]
    assert answers[0].status == answers[1].status
    there, absent = await _medians(requests)
    print(f"\nrefused at {interface}: there {there * 1000:.2f} ms, absent {absent * 1000:.2f} ms")
    assert 1 / CLOSE < there / absent < CLOSE
