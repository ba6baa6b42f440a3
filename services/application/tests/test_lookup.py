"""The look-up alone, on a department that a test makes misbehave."""

import asyncio
import copy
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.stack import Platform
from services.common.tests.api_server import ISSUER

from application.departments.client import DepartmentClient, new_session
from application.departments.lookup import DepartmentLookup
from application.engine import Cancelled, DatasetRef, DepartmentUnavailable
from application.errors import DepartmentRefused
from common.caller import Caller
from common.departments import DepartmentDirectory
from common.service_tokens import ServiceIdentitySettings, ServiceTokenSource

pytestmark = pytest.mark.slow

VENDORS = DatasetRef("finance", "vendors")
ALICE = Caller("1", "alice", frozenset({"finance"}), "cognito")
Make = Callable[..., DepartmentLookup]


@pytest_asyncio.fixture(loop_scope="session")
async def make(platform: Platform, tmp_path: Path) -> AsyncIterator[Make]:
    for department in platform.departments.values():
        (tmp_path / f"{department.name}.yaml").write_text(department.yaml())
    identity = ServiceIdentitySettings(
        kubernetes_api_url=platform.cluster.url,
        cluster_issuer=ISSUER,
        service_account="application-worker",
        service_account_token_file=platform.token_file,
    )
    async with new_session() as session, DepartmentDirectory(tmp_path) as directory:
        client = DepartmentClient(directory, ServiceTokenSource(identity, session), session)
        loop = asyncio.get_running_loop()

        def lookup(caller: Caller = ALICE, *, call: float = 5.0, total: float = 0.05) -> DepartmentLookup:
            return DepartmentLookup(client, loop, caller, ["finance"], call_seconds=call, total_seconds=total)

        yield lookup


async def ask(lookup: DepartmentLookup, *keys: str, columns: tuple[str, ...] = ("name", "country")) -> Any:
    return await asyncio.to_thread(lookup.lookup, VENDORS, keys, columns)


async def test_keys_are_looked_up_in_their_order(make: Make) -> None:
    batch = await ask(make(), "V-00002", "nothing", "V-00001")
    assert (batch.version, batch.columns) == ("v1", ("name", "country"))
    assert [None if row is None else list(row) for row in batch.rows] == [["Vendor 2", "NL"], None, ["Vendor 1", "NL"]]


async def test_data_sets_are_described_as_the_caller_may_see_them(make: Make) -> None:
    (dataset,) = await asyncio.to_thread(make().datasets)
    assert [column.name for column in dataset.columns] == ["vendor_id", "name", "country"]
    lead = Caller("2", "frank", frozenset({"finance", "finance-leads"}), "cognito")
    (dataset,) = await asyncio.to_thread(make(lead).datasets)
    assert [column.name for column in dataset.columns] == ["vendor_id", "name", "country", "bank_account"]


GOOD: dict[str, Any] = {
    "dataset": "vendors",
    "key": "vendor_id",
    "version": "v1",
    "columns": ["name", "country"],
    "rows": [
        {"key": "V-00001", "matched": True, "values": {"name": "One", "country": "NL"}},
        {"key": "V-00002", "matched": False},
    ],
}


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    answer = copy.deepcopy(GOOD)
    change(answer)
    return answer


RUBBISH = {
    "no rows": changed(lambda answer: answer.pop("rows")),
    "rows of another kind": changed(lambda answer: answer.update(rows="V-00001")),
    "too few rows": changed(lambda answer: answer["rows"].pop()),
    "too many rows": changed(lambda answer: answer["rows"].append(answer["rows"][0])),
    "another order": changed(lambda answer: answer["rows"].reverse()),
    "another key": changed(lambda answer: answer["rows"][0].update(key="V-00009")),
    "a row that is none": changed(lambda answer: answer["rows"].__setitem__(0, None)),
    "no verdict": changed(lambda answer: answer["rows"][0].pop("matched")),
    "another verdict": changed(lambda answer: answer["rows"][0].update(matched="yes")),
    "no values": changed(lambda answer: answer["rows"][0].pop("values")),
    "a column less": changed(lambda answer: answer["rows"][0]["values"].pop("country")),
    "a nested value": changed(lambda answer: answer["rows"][0]["values"].update(country={"a": 1})),
    "no version": changed(lambda answer: answer.pop("version")),
    "a version that is none": changed(lambda answer: answer.update(version=7)),
    "nothing at all": {},
}


async def test_the_answer_that_the_rubbish_is_made_from_is_good(make: Make, finance: FakeDepartment) -> None:
    finance.misbehave = lambda _: GOOD
    assert (await ask(make(), "V-00001", "V-00002")).rows == [["One", "NL"], None]


@pytest.mark.parametrize("what", RUBBISH)
async def test_an_answer_that_does_not_fit_the_question_is_not_believed(
    make: Make, finance: FakeDepartment, what: str
) -> None:
    finance.misbehave = lambda _: RUBBISH[what]
    with pytest.raises(DepartmentUnavailable) as caught:
        await ask(make(), "V-00001", "V-00002")
    assert caught.value.department == "finance"
    assert "does not fit the question" in caught.value.detail


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"department": "hr", "datasets": []},
        {"department": "finance", "datasets": [{}]},
        {"department": "finance", "datasets": [{"name": "x", "key": "k", "columns": ["a"]}]},
        {"department": "finance", "datasets": "vendors"},
    ],
    ids=str,
)
async def test_a_description_that_is_none_is_not_believed(
    make: Make, finance: FakeDepartment, description: dict[str, Any]
) -> None:
    finance.misbehave = lambda _: description
    with pytest.raises(DepartmentUnavailable):
        await asyncio.to_thread(make().datasets)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 500}, "HTTP status 500"),
        ({"status": 302}, "HTTP status 302"),
        ({"raw": b"<html>"}, "not one of the protocol"),
        ({"raw": b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"secret"}}'}, "an error of the protocol"),
        ({"raw": b'{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"a\\u001bb"}]}}'},
         "could not answer: ab"),
        ({"delay": 5.0}, "did not answer within"),
        ({"raw": b" " * (33 << 20)}, "longer than 32 MiB"),
    ],
    ids=["error", "redirect", "rubbish", "protocol error", "tool error", "slow", "endless"],
)  # fmt: skip
async def test_what_is_wrong_with_a_department_is_said_in_words(
    make: Make, finance: FakeDepartment, fault: dict[str, Any], words: str
) -> None:
    for name, value in fault.items():
        setattr(finance, name, value)
    with pytest.raises(DepartmentUnavailable, match=words) as caught:
        await ask(make(call=1.0 if "delay" in fault else 20.0), "V-00001")
    assert "secret" not in str(caught.value)


async def test_a_call_is_tried_again_for_as_long_as_it_may(make: Make, finance: FakeDepartment) -> None:
    finance.status = 503
    threading.Timer(0.7, finance.behave).start()
    assert (await ask(make(total=10), "V-00001")).rows == [["Vendor 1", "NL"]]


async def test_a_refusal_is_not_tried_again(make: Make, finance: FakeDepartment) -> None:
    finance.status = 403
    started = time.monotonic()
    with pytest.raises(DepartmentRefused, match="finance"):
        await ask(make(total=30), "V-00001")
    finance.behave()
    with pytest.raises(DepartmentRefused):
        await ask(make(Caller("3", "bob", frozenset({"hr"}), "cognito"), total=30), "V-00001")
    with pytest.raises(DepartmentRefused):
        await asyncio.to_thread(make(total=30).lookup, DatasetRef("finance", "nothing"), ["x"], ["name"])
    assert time.monotonic() - started < 10


async def test_a_department_that_is_not_registered_or_does_not_listen_is_unavailable(
    make: Make, platform: Platform, tmp_path: Path
) -> None:
    with pytest.raises(DepartmentUnavailable, match="not registered"):
        await asyncio.to_thread(make().describe, "marketing")
    elsewhere = platform.departments["finance"].yaml().replace("http://127.0.0.1:", "http://127.0.0.1:1")
    (tmp_path / "finance.yaml").write_text(elsewhere)
    async with asyncio.timeout(10):
        while True:
            try:
                await ask(make(), "V-00001")
            except DepartmentUnavailable as error:
                assert "cannot be reached" in error.detail  # noqa: PT017 - it takes a moment until the change is seen
                break
            await asyncio.sleep(0.05)


async def test_a_stop_ends_what_is_under_way_at_once_and_all_that_follows(make: Make, finance: FakeDepartment) -> None:
    finance.delay = 20
    lookup = make(call=30, total=60)
    asked = asyncio.create_task(ask(lookup, "V-00001"))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    lookup.stop()
    with pytest.raises(Cancelled):
        await asked
    with pytest.raises(Cancelled):
        await ask(lookup, "V-00001")
    assert time.monotonic() - started < 5


async def test_without_a_service_token_there_is_no_call(
    make: Make, platform: Platform, finance: FakeDepartment
) -> None:
    platform.cluster.available = False
    try:
        with pytest.raises(DepartmentUnavailable, match="no token"):
            await ask(make(), "V-00001")
    finally:
        platform.cluster.available = True
    assert finance.calls == []
