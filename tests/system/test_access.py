"""Who sees what: users, departments, tools, data sets, columns, formats, interfaces crossed, from the data itself."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from tests.helpers.canaries import CELL, Canaries, as_object
from tests.helpers.data import (
    DataSet,
    expected_rows,
    object_key,
    read_data_sets,
)
from tests.helpers.files import FORMATS, TABLES, everything_in, make_file, read_table
from tests.helpers.matrix import Findings, World
from tests.helpers.proxy import running_proxy
from tests.helpers.questions_mcp import mcp_questions
from tests.helpers.questions_recipes import CHANGES, recipe_questions, shared_recipe
from tests.helpers.questions_rest import file_questions, questions_about_others
from tests.helpers.rest import Answer, bearer
from tests.helpers.stack import USERS, Stack
from tests.helpers.wire import message

from local import names

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

JOB_VIEWS = ("", "/events", "/report", "/report?format=text", "/report?format=html", "/misses", "/result")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stack: Stack, session: aiohttp.ClientSession) -> AsyncIterator[World]:
    """The stack with data in which every cell says where it belongs; its own data comes back afterwards."""
    s3, bucket = stack.client("s3"), names.DATA_BUCKET
    canaries = Canaries(read_data_sets(stack))
    kept: dict[str, bytes] = {}
    for data_set in canaries.data_sets:
        key = object_key(data_set.department, data_set.object)
        kept[key] = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        s3.put_object(Bucket=bucket, Key=key, Body=as_object(data_set.object, canaries.rows(data_set)))
    try:
        published = World(stack, session, _with(canaries, read_data_sets(stack)))
        await _until_served(published)
        await published.discover(["dana", "frank"])
        assert len(published.tools) > 10
        yield published
    finally:
        for key, body in kept.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body)


def _with(canaries: Canaries, data_sets: Sequence[DataSet]) -> Canaries:
    """The same numbering of columns, for the data sets as they are now."""
    renewed = Canaries(data_sets)
    renewed.sizes = canaries.sizes
    return renewed


async def _until_served(world: World) -> None:
    """Wait until every data set that a demo user can see is served as it was published."""
    deadline = time.monotonic() + 40
    while True:
        answer = await world.rest("dana").good("GET", "/api/departments")
        sizes = {f"{d['name']}.{s['name']}": s["rows"] for d in answer.json["departments"] for s in d["datasets"]}
        wanted = {ref: size for ref, size in world.canaries.sizes.items() if not ref.startswith("zq")}
        if sizes == wanted:
            return
        assert time.monotonic() < deadline, f"published {wanted}, served {sizes}"
        await asyncio.sleep(0.2)


async def test_the_lists_of_each_user_hold_exactly_what_the_departments_say(world: World) -> None:
    for user in USERS:
        own = [data_set for data_set in world.data_sets if data_set.permits(user)]
        listed = (await world.rest(user).good("GET", "/api/departments")).json["departments"]
        tools = message(await world.wire(user, "/mcp", "modern").call("tools/list"))["result"]["tools"]
        assert {
            f"{department['name']}.{data_set['name']}": {column["name"] for column in data_set["columns"]}
            for department in listed
            for data_set in department["datasets"]
        } == {data_set.ref: {data_set.key, *data_set.visible(user)} for data_set in own}
        assert {tool["name"] for tool in tools if "_lookup_" in tool["name"]} == {
            f"{data_set.prefix}lookup_{data_set.name}" for data_set in own
        }
        prefixes = tuple({data_set.prefix for data_set in own} | {"files_"})
        assert all(tool["name"].startswith(prefixes) for tool in tools)


async def test_no_interface_tells_a_user_what_is_not_theirs(world: World) -> None:
    findings = Findings()
    files = {user: await world.upload_all(user) for user in USERS}
    for user in USERS:
        await world.check(mcp_questions(world, user), findings)
        await world.check(file_questions(world, user, files[user]), findings)
    jobs = await _run_jobs(world, files, findings)
    for user in USERS:
        others = [other for other in USERS if other != user]
        others_files = [files[other]["csv"] for other in others]
        await world.check(
            questions_about_others(world, user, others_files, [jobs[other] for other in others]), findings
        )
    print("\n" + findings.summary())
    assert findings.wrong == []
    assert sum(findings.checked.values()) > 2500


async def _run_jobs(world: World, files: dict[str, dict[str, str]], findings: Findings) -> dict[str, str]:
    """A job for each user and format on all that is theirs, looked at from everywhere; one job of each user."""
    jobs = {}
    for user in USERS:
        allowed = any(data_set.permits(user) for data_set in world.data_sets)
        for extension in FORMATS:
            answer = await world.rest(user).call("POST", "/api/jobs", body={"file": files[user][extension]})
            _note(world, findings, f"REST jobs {extension}", user, answer)
            if not allowed:
                assert answer.status == 403, answer
                jobs[user] = "0" * 32
                continue
            job = await world.rest(user).finished(answer.json["id"])
            jobs[user] = job["id"]
            assert job["status"] == "succeeded", (user, extension, job)
            for path in JOB_VIEWS:
                answer = await world.rest(user).good("GET", f"/api/jobs/{job['id']}{path}")
                _note(world, findings, f"REST job{path.partition('?')[0]} {extension}", user, answer)
            assert _is_right(world, user, extension, answer.body), (user, extension)
            for tool in ("files_job_status", "files_job_report", "files_list_misses", "files_job_result"):
                answer = await world.wire(user, "/mcp", "modern").tool(tool, job=job["id"])
                _note(world, findings, f"MCP {tool} {extension}", user, answer)
        _note(world, findings, "REST jobs", user, await world.rest(user).good("GET", "/api/jobs"))
    return jobs


def _note(world: World, findings: Findings, interface: str, user: str, answer: Answer) -> None:
    findings.checked[interface] += 1
    said = json.dumps(world.rows())
    findings.wrong += [f"{interface} as {user}: leaks {leak}" for leak in world.leaks(user, answer, said)]


def _is_right(world: World, user: str, extension: str, result: bytes) -> bool:
    """Whether a result has exactly what is this user's: a table cell by cell, a document by what is found in it."""
    mapped = [
        (data_set.key, data_set, data_set.visible(user)) for data_set in world.data_sets if data_set.permits(user)
    ]
    if extension in TABLES:
        rows = read_table(extension, result)
        expected = list(expected_rows(extension, world.rows(), mapped))
        return [{name: _plain(value) for name, value in row.items()} for row in rows] == [
            {name: _plain(value) for name, value in row.items()} for row in expected
        ]
    return CELL.search(everything_in(result)) is not None


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


async def test_a_shared_recipe_tells_and_adds_what_is_its_readers_alone(world: World) -> None:
    findings = Findings()
    files = {user: await world.rest(user).upload("input.csv", make_file("csv", world.rows())) for user in USERS}
    for owner in ("dana", "frank"):
        recipe = await shared_recipe(world, owner)
        for user in USERS:
            await world.check(recipe_questions(world, user, recipe, files[user]), findings)
            if not recipe.reads(user):
                continue
            job = await world.rest(user).good(
                "POST", "/api/jobs", body={"file": files[user], "recipe": recipe.identity}
            )
            assert (await world.rest(user).finished(job.json["id"]))["status"] == "succeeded"
            for path in JOB_VIEWS:
                answer = await world.rest(user).good("GET", f"/api/jobs/{job.json['id']}{path}")
                _note(world, findings, f"REST job by recipe{path.partition('?')[0]}", user, answer)
            if user != owner:
                for method, path, body in CHANGES[1:]:
                    answer = await world.rest(user).call(method, path.format(recipe.identity), body=body)
                    assert (answer.status, answer.slug) == (403, "recipe-not-yours"), (user, method, path)
    print("\n" + findings.summary())
    assert findings.wrong == []


async def test_the_logs_hold_no_data_and_no_credentials(world: World) -> None:
    logs = world.stack.logs
    assert logs
    read = 0
    for file in logs:
        text = file.read_text(errors="replace")
        read += len(text)
        assert CELL.search(text) is None, f"{file.name}: {CELL.search(text)}"
        # A JSON Web Token starts with {" in base64url.
        assert re.search(r"eyJ[A-Za-z0-9_-]{20,}\.", text) is None, file.name
        assert not any(key in text for data_set in world.data_sets for key in world.keys(data_set)[:2] if len(key) > 3)
    print(f"\n{read:,} characters of {len(logs)} logs read")


async def test_the_checker_finds_what_a_leaky_gateway_tells(world: World) -> None:
    """The same questions through a proxy that asks as somebody else: nearly every answer must be reported."""
    async with running_proxy(world.stack.api) as proxy:
        proxy.headers = bearer(world.stack.tokens["frank"])
        leaky = World(world.stack, world.session, world.canaries, proxy.url)
        leaky.tools, leaky.resources = world.tools, world.resources
        findings = Findings()
        await leaky.check(mcp_questions(leaky, "bob"), findings)
        file = await leaky.rest("frank").upload("input.csv", make_file("csv", leaky.rows()))
        await leaky.check(file_questions(leaky, "alice", {"csv": file}), findings)
    text = "\n".join(findings.wrong)
    for leak in (
        "cell finance.vendors.bank_account",
        "cell finance.vendors.name",
        "count finance.vendors",
        "name finance_lookup_vendors",
    ):
        assert f"leaks {leak}" in text
    assert "answered, though not allowed" in text
    assert "refused, though allowed" in text
