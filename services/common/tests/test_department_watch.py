import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from services.common.tests.watched_api import WatchedApi, department

from common.department_source import DepartmentSettings, follow_departments
from common.department_watch import DepartmentWatch
from common.departments import DepartmentDirectory


@pytest.fixture
def api() -> WatchedApi:
    return WatchedApi()


@pytest_asyncio.fixture(loop_scope="session")
async def server(api: WatchedApi) -> AsyncIterator[TestServer]:
    served = await api.serve()
    yield served
    api.cut()
    await served.close()


@pytest.fixture
def settings(server: TestServer, tmp_path: Path) -> DepartmentSettings:
    token = tmp_path / "token"
    token.write_text("first\n")
    return DepartmentSettings(
        kubernetes_api_url=str(server.make_url("")).rstrip("/"),
        cluster_issuer="https://cluster.example",
        service_account="agentgateway",
        service_account_token_file=token,
    )


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_departments_are_listed_then_followed_as_they_come_change_and_go(
    api: WatchedApi, settings: DepartmentSettings
) -> None:
    await api.apply(department("hr"))
    async with DepartmentWatch(settings) as watch:
        await until(lambda: list(watch.current) == ["hr"])
        before = watch.version
        await api.apply(department("finance"))
        await until(lambda: list(watch.current) == ["finance", "hr"])
        assert watch.version > before
        await api.apply(department("hr", spec={"access": {"groups": ["people"]}}))
        await until(lambda: watch.current["hr"].spec.access.groups == ("people",))
        await api.delete("hr")
        await until(lambda: list(watch.current) == ["finance"])
    assert api.lists == 1


async def test_the_endpoint_is_the_status_of_the_object_and_the_rest_of_the_status_is_no_change(
    api: WatchedApi, settings: DepartmentSettings
) -> None:
    await api.apply(department("hr"))
    async with DepartmentWatch(settings) as watch:
        await until(lambda: "hr" in watch.current)
        assert watch.current["hr"].endpoint == "http://mcp-hr:8080/mcp"
        await api.apply(department("hr", status={"endpoint": "http://mcp-hr.other:1/mcp"}))
        await until(lambda: watch.current["hr"].endpoint == "http://mcp-hr.other:1/mcp")
        version = watch.version
        conditions = [{"type": "Ready", "status": "True"}]
        await api.apply(department("hr", status={"endpoint": "http://mcp-hr.other:1/mcp", "conditions": conditions}))
        await api.apply(department("last"))
        await until(lambda: "last" in watch.current)
        assert watch.version == version + 1


async def test_nothing_is_known_and_nobody_is_let_in_before_the_first_list(
    api: WatchedApi, settings: DepartmentSettings
) -> None:
    await api.apply(department("hr"))
    api.answer = web.Response(status=503)
    async with DepartmentWatch(settings) as watch:
        await until(lambda: api.asked >= 2)
        assert not watch.known
        assert dict(watch.current) == {}
        api.answer = None
        await until(lambda: watch.known)
        assert list(watch.current) == ["hr"]


async def test_a_version_that_is_gone_leads_to_a_new_list(api: WatchedApi, settings: DepartmentSettings) -> None:
    await api.apply(department("hr"))
    async with DepartmentWatch(settings) as watch:
        await until(lambda: api.watches)
        del api.objects["hr"]
        api.objects["finance"] = department("finance")
        api.version += 100
        api.oldest = api.version
        api.cut()
        await until(lambda: list(watch.current) == ["finance"])
    assert api.lists == 2


async def test_a_gone_that_comes_in_the_middle_of_a_watch_leads_to_a_new_list(
    api: WatchedApi, settings: DepartmentSettings
) -> None:
    async with DepartmentWatch(settings) as watch:
        await until(lambda: api.watches)
        api.objects["finance"] = department("finance")
        api.version += 1
        await api.tell("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})
        await until(lambda: "finance" in watch.current)
    assert api.lists == 2


async def test_after_a_break_the_watch_goes_on_where_the_last_bookmark_was(
    api: WatchedApi, settings: DepartmentSettings
) -> None:
    await api.apply(department("hr"))
    async with DepartmentWatch(settings) as watch:
        await until(lambda: api.watches)
        api.version = 500
        await api.tell("BOOKMARK", {"kind": "Department", "metadata": {"resourceVersion": "500"}})
        await api.apply(department("finance"))
        await until(lambda: "finance" in watch.current)
        api.cut()
        await until(lambda: len(api.watches) == 2)
        await api.apply(department("legal"))
        await until(lambda: "legal" in watch.current)
    assert (api.lists, api.watches) == (1, [11, 501])


async def test_what_was_known_stays_while_the_api_server_is_away_and_what_changed_meanwhile_is_caught_up(
    api: WatchedApi, settings: DepartmentSettings, server: TestServer
) -> None:
    await api.apply(department("hr"))
    async with DepartmentWatch(settings) as watch:
        await until(lambda: "hr" in watch.current)
        port = server.port
        assert port is not None
        api.cut()
        await server.close()
        await api.apply(department("finance"))
        await api.delete("hr")
        api.answer = web.Response(status=503)
        asked = api.asked
        again = await api.serve(port)
        try:
            await until(lambda: api.asked >= asked + 2)
            assert list(watch.current) == ["hr"]
            assert watch.known
            api.answer = None
            await until(lambda: list(watch.current) == ["finance"])
        finally:
            api.cut()
            await again.close()


async def test_the_token_is_read_again_when_the_kubelet_has_renewed_it(
    api: WatchedApi, settings: DepartmentSettings
) -> None:
    async with DepartmentWatch(settings) as watch:
        await until(lambda: watch.known)
        api.token = "second"
        api.cut()
        settings.service_account_token_file.write_text("second")
        await api.apply(department("hr"))
        await until(lambda: "hr" in watch.current)


@pytest.mark.parametrize("rubbish", [b"<html>", b"{}", b'{"metadata": {}, "items": 1}', b"[1]"])
async def test_rubbish_is_no_list_and_is_asked_for_again(
    api: WatchedApi, settings: DepartmentSettings, rubbish: bytes
) -> None:
    await api.apply(department("hr"))
    api.answer = web.Response(body=rubbish)
    async with DepartmentWatch(settings) as watch:
        await until(lambda: api.asked >= 2)
        assert not watch.known
        api.answer = None
        await until(lambda: "hr" in watch.current)


async def test_an_object_that_is_not_valid_or_is_being_deleted_is_closed_and_costs_only_itself(
    api: WatchedApi, settings: DepartmentSettings
) -> None:
    await api.apply(department("hr"))
    await api.apply(department("finance"))
    async with DepartmentWatch(settings) as watch:
        await until(lambda: list(watch.current) == ["finance", "hr"])
        await api.apply(department("hr", spec={"path": "s3://other"}))
        await until(lambda: list(watch.current) == ["finance"])
        await api.apply(department("finance", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))
        await until(lambda: not watch.current)
        await api.apply(department("hr"))
        await until(lambda: list(watch.current) == ["hr"])


async def test_the_directory_is_followed_where_one_is_set_and_the_api_server_where_none_is(
    settings: DepartmentSettings, tmp_path: Path
) -> None:
    assert isinstance(follow_departments(settings), DepartmentWatch)
    with_directory = settings.model_copy(update={"departments_dir": tmp_path})
    assert isinstance(follow_departments(with_directory), DepartmentDirectory)
