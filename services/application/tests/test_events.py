import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.fault_proxy import Fault, calls
from services.application.tests.support.files import vendors_csv
from services.application.tests.support.stack import Platform, running_stack

pytestmark = pytest.mark.slow


def events(client: Client, job: str) -> Iterator[tuple[str, Any]]:
    """Events and comments as they come; ends when the server ends it."""
    answer = urllib3.PoolManager().request(
        "GET",
        f"{client.stack.url}/api/jobs/{job}/events",
        headers=client.headers(),
        preload_content=False,
        timeout=30,
    )
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    name, buffer = "", b""
    for chunk in answer.stream(1):
        buffer += chunk
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            field, _, value = line.strip().decode().partition(": ")
            match field:
                case "event":
                    name = value
                case "data":
                    yield name, json.loads(value)
                case "":
                    if value:
                        yield "comment", value
    answer.close()


def test_a_jobs_progress_is_told_until_it_is_done(alice: Client, finance: FakeDepartment) -> None:
    finance.delay = 0.15
    job = alice.submit(alice.upload(vendors_csv(40_000)))
    told = list(events(alice, job))
    assert [name for name, _ in told] == ["progress"] * (len(told) - 1) + ["done"]
    assert told[-1][1] == alice.job(job)
    rows = [document["progress"]["rows"] for _, document in told]
    assert rows == sorted(rows)
    assert 0 < rows[len(rows) // 2] <= 40_000
    running = [document["progress"] for _, document in told if document["progress"]["rows_per_second"]]
    assert len(running) > 1
    assert all(progress["seconds_left"] >= 0 for progress in running)
    assert len({json.dumps({**document, "updated_at": ""}) for _, document in told}) == len(told)


def test_a_finished_job_is_told_at_once(alice: Client) -> None:
    job = alice.submit(alice.upload(b"vendor_id\nV-00001\n"))
    done = alice.wait(job)
    assert list(events(alice, job)) == [("done", done)]


def test_following_survives_a_table_that_fails_for_a_moment(
    alice: Client, platform: Platform, finance: FakeDepartment
) -> None:
    finance.misbehave = lambda _: setattr(finance, "delay", 2)
    job = alice.submit(alice.upload(b"vendor_id\nV-00001\n"))
    told = events(alice, job)
    assert next(told)[0] == "progress"
    fault = platform.proxy.add(Fault(calls("dynamodb", "GetItem", holding=job.encode()), times=6, status=500))
    assert [name for name, _ in told][-1] == "done"
    assert fault.hits > 6


def test_an_api_that_is_stopped_ends_its_answers_and_goes(platform: Platform) -> None:
    with running_stack(platform, "stopped") as stack:
        client = Client(stack, ("finance",))
        told = events(client, client.submit(client.upload(b"vendor_id\nV-00001\n")))
        assert next(told)[0] == "progress"
        started = time.monotonic()
        stack.api.stop()
        assert time.monotonic() - started < 10
        # Cut off, rather than ended: whoever follows knows that there is more to come.
        with pytest.raises(urllib3.exceptions.ProtocolError):
            list(told)
        assert "Traceback" not in stack.api.output()


def test_a_comment_keeps_the_connection_while_nothing_happens(alice: Client, finance: FakeDepartment) -> None:
    def wait(_: str) -> None:
        finance.delay = 17

    finance.misbehave = wait
    job = alice.submit(alice.upload(b"vendor_id\nV-00001\n"))
    names = [name for name, _ in events(alice, job)]
    assert "comment" in names
    assert names[-1] == "done"
