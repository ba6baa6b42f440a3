"""Access that is taken away while all runs: gone at once, on every interface, for what has begun and what is done."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.helpers.canaries import Canaries
from tests.helpers.data import read_data_sets
from tests.helpers.departments import edited, through_proxy, until
from tests.helpers.files import make_file
from tests.helpers.matrix import Findings, World
from tests.helpers.proxy import is_lookup
from tests.helpers.questions_mcp import mcp_questions
from tests.helpers.questions_rest import file_questions
from tests.helpers.rest import Rest
from tests.helpers.stack import Stack

pytestmark = pytest.mark.slow

ROWS = [{"vendor_id": f"V-{number:05}", "note": str(number)} for number in range(1, 50)]


def groups_become(*groups: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["spec"]["access"]["groups"] = list(groups)

    return change


def hide_terms(document: dict[str, Any]) -> None:
    document["spec"]["datasets"][0]["restrictedColumns"].append("payment_terms")


async def finished_job(rest: Rest) -> str:
    job, _ = await rest.enrich("invoices.csv", make_file("csv", ROWS))
    return str(job["id"])


async def result_status(rest: Rest, job: str, what: str = "result") -> tuple[int, str]:
    answer = await rest.call("GET", f"/api/jobs/{job}/{what}")
    return answer.status, answer.slug if answer.status >= 400 else ""


async def ask_everything(stack: Stack, session: aiohttp.ClientSession, users: tuple[str, ...]) -> Findings:
    """Every question of the matrix, judged by the departments as they are now."""
    world = World(stack, session, Canaries(read_data_sets(stack)))
    world.canaries.sizes.clear()  # of real data, sizes are numbers like any others
    await world.discover(["dana", "frank"])
    findings = Findings()
    for user in users:
        files = {"csv": await world.rest(user).upload("input.csv", make_file("csv", world.rows()))}
        await world.check(mcp_questions(world, user), findings)
        await world.check(file_questions(world, user, files), findings)
    return findings


async def has_departments(rest: Rest, *names: str) -> bool:
    listed = (await rest.good("GET", "/api/departments")).json["departments"]
    return {department["name"] for department in listed} == set(names)


async def test_a_group_that_loses_a_department_loses_it_on_every_interface(
    stack: Stack, session: aiohttp.ClientSession, rest: Callable[[str], Rest]
) -> None:
    job = await finished_job(rest("alice"))
    with edited(stack, "finance", groups_become("finance-leads")):
        await until("alice has no finance", lambda: has_departments(rest("alice"), "treasury-desk"))
        findings = await ask_everything(stack, session, ("alice", "frank", "dana"))
        assert await result_status(rest("alice"), job) == (403, "access-withdrawn")
        assert await result_status(rest("alice"), job, "report") == (403, "access-withdrawn")
    print("\n" + findings.summary())
    assert findings.wrong == []

    async def is_back() -> bool:
        return (await result_status(rest("alice"), job))[0] == 200

    await until("alice has her result again", is_back)


async def test_a_column_that_becomes_restricted_is_gone_on_every_interface(
    stack: Stack, session: aiohttp.ClientSession, rest: Callable[[str], Rest]
) -> None:
    job = await finished_job(rest("alice"))
    lead = await finished_job(rest("frank"))
    with edited(stack, "finance", hide_terms):

        async def is_withdrawn() -> bool:
            return await result_status(rest("alice"), job) == (403, "access-withdrawn")

        await until("alice's result holds a column that is not hers now", is_withdrawn)
        findings = await ask_everything(stack, session, ("alice", "frank"))
        assert (await result_status(rest("frank"), lead))[0] == 200
    assert findings.wrong == []


async def test_a_job_that_runs_while_access_is_taken_away_gives_nothing(
    stack: Stack, rest: Callable[[str], Rest]
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(request: web.Request) -> None:
        if is_lookup(request):
            reached.set()
            await go_on.wait()

    async with through_proxy(stack, "finance") as proxy:
        alice = rest("alice")
        file = await alice.upload("invoices.csv", make_file("csv", ROWS))
        proxy.fault = hold
        job = await alice.submit(file, mapping={"vendor_id": ["finance.vendors"]})
        async with asyncio.timeout(20):
            await reached.wait()
        with edited(stack, "finance", groups_become("finance-leads")):
            await until("alice has no finance", lambda: has_departments(alice, "treasury-desk"))
            go_on.set()
            state = await alice.finished(job)
            status, slug = await result_status(alice, job)
    assert (status, slug) == (409, "job-not-finished"), state
    # The job says what happened, and not of whom: that department is nothing to alice now.
    assert state["status"] == "failed", state
    assert state["error"]["type"] == "urn:fileproc:problem:access-withdrawn", state
    assert "finance" not in str(state["error"]), state


async def test_someone_without_a_group_has_nothing(rest: Callable[[str], Rest]) -> None:
    eve = rest("eve")
    assert await has_departments(eve)
    file = await eve.upload("invoices.csv", make_file("csv", ROWS))
    refused = await eve.call("POST", "/api/jobs", body={"file": file})
    assert (refused.status, refused.slug) == (403, "no-departments")
    named = await eve.call("POST", "/api/jobs", body={"file": file, "departments": ["finance"]})
    assert (named.status, named.slug) == (422, "unknown-department")
    assert "expected" not in named.json
