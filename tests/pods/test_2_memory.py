"""Memory of each pod, while a lot is asked of all of them: within what base/ says."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
import pytest_asyncio
from tests.helpers.departments import until
from tests.helpers.jobs import MAPPING, Task
from tests.helpers.rest import Rest, bearer
from tests.pods.load import visitor
from tests.pods.memory import asked, megabytes, most, reach_limit
from tests.pods.world import DEPLOYMENTS, READY_SECONDS, World

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(900)]

PIECE = b"V-00017,E-00017,C-00017\n" * 43_690
"""A mebibyte, nearly."""
LARGE, HOSTILE, IN_THE_CHAT = 300, 100, 50
JOBS = {"json": 60_000, "xlsx": 20_000, "parquet": 100_000}
JOB_SECONDS = 300
KEYS = [f"V-{number:05}" for number in range(5_000)]
LOOK_UP = {"name": "finance_lookup_vendors", "arguments": {"keys": KEYS}}


async def pieces(count: int) -> AsyncIterator[bytes]:
    yield b"vendor_id,employee_id,contract_id\n"
    for _ in range(count):
        yield PIECE


async def is_refused(rest: Rest, path: str) -> None:
    """A body that is far too large for JSON is answered before its end, or cut off."""
    try:
        answer = await rest.call("POST", path, data=pieces(HOSTILE), headers={"Content-Type": "application/json"})
    except aiohttp.ClientError:
        return
    assert answer.status == 413, answer


async def enrich(rest: Rest, extension: str, rows: int) -> None:
    """A job of a format that needs memory."""
    content = Task.of_size(extension, rows).content()
    state = await rest.finished(
        await rest.submit(await rest.upload(f"invoices.{extension}", content), mapping=MAPPING), JOB_SECONDS, every=0.5
    )
    assert state["status"] == "succeeded", state


async def look_up(rest: Rest) -> None:
    """As many keys as one call may have."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": LOOK_UP}
    accepted = {"Accept": "application/json, text/event-stream"}

    async def answered() -> bool:
        answer = await rest.call("POST", "/mcp", body=body, headers=accepted)
        assert answer.status in (200, 429), answer
        return answer.status == 200

    # A caller who sends more than the limit lets through is told to try again.
    await asyncio.gather(*(until("look-ups are answered", answered, READY_SECONDS) for _ in range(20)))


async def attach(world: World) -> None:
    """A large file in the chat."""
    headers = {"x-amzn-oidc-accesstoken": world.page_token("alice"), "Origin": world.cluster.app_url}
    async with visitor(world.url("frontend", 7860), headers) as rest:
        chat = await rest.good("GET", "/fileproc/playground")
        flow = chat.headers["location"].removeprefix("/flow/").partition("#")[0]
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(PIECE * IN_THE_CHAT), filename="invoices.csv")
        await rest.good("POST", f"/fileproc/attachments/{flow}", data=form)


def test_a_service_at_its_memory_limit_is_killed_alone_and_comes_back(world: World) -> None:
    before = world.restarts()
    pod = world.pod("mcp-legal")
    reach_limit(world, pod)
    assert world.restarted(before) == [pod["metadata"]["name"]]


async def all_are_available(rest: Rest) -> bool:
    """One was killed a moment ago."""
    return all(each["available"] for each in (await rest.good("GET", "/api/departments")).json["departments"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def restarts_under_load(world: World) -> AsyncIterator[list[str]]:
    """The pods whose container was started again while all were busy."""
    before = world.restarts()
    async with visitor(world.api, bearer(world.tokens["dana"])) as dana:
        await until("all departments are available", lambda: all_are_available(dana), READY_SECONDS)
        await asyncio.gather(
            dana.good("POST", "/api/files?name=large.csv", data=pieces(LARGE)),
            is_refused(dana, "/api/preview"),
            is_refused(dana, "/mcp"),
            *(enrich(dana, extension, rows) for extension, rows in JOBS.items()),
            look_up(dana),
            attach(world),
        )
    yield world.restarted(before)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_memory_under_load_is_within_each_pods_limit(
    world: World, restarts_under_load: list[str], name: str, report_figure: Callable[[str], None]
) -> None:
    pods = world.pods(name)
    request, limit = asked(pods[0], "requests"), asked(pods[0], "limits")
    # An autoscaler may be about to make one, or take one away.
    used = max(map(most, pods))
    report_figure(f"{name}: {used:.0f} MB at most under load; asks for {request}, may have {limit}")
    assert 0 < used < megabytes(limit)
    assert not {pod["metadata"]["name"] for pod in pods} & set(restarts_under_load)
