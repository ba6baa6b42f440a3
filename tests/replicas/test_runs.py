"""Runs of flows on a canvas: what is built at one replica is known to all, and its events are where it runs."""

import json

import pytest
from tests.frontend.site import Site
from tests.frontend.test_components import (
    canvas,
    test_a_lookup_gives_the_columns_that_the_user_may_see,
    test_altered_code_in_a_stored_flow_does_not_run,
    test_departments_lists_what_the_user_may_use,
    test_ones_flow_has_the_components_of_this_version_when_it_is_opened,
    test_the_tools_of_ones_departments_are_there_for_an_agent,
)
from tests.replicas.replica import REPLICAS, replica

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

__all__ = [
    "canvas",
    "test_a_lookup_gives_the_columns_that_the_user_may_see",
    "test_altered_code_in_a_stored_flow_does_not_run",
    "test_departments_lists_what_the_user_may_use",
    "test_ones_flow_has_the_components_of_this_version_when_it_is_opened",
    "test_the_tools_of_ones_departments_are_there_for_an_agent",
]


def own_flow(site: Site) -> str:
    """The flow that alice has from her first login on."""
    with replica(site, REPLICAS[0], "alice") as client:
        opened = str(client.get("/fileproc/playground").headers["location"])
    return opened.removeprefix("/flow/").removesuffix("#playground")


def test_what_the_chat_asks_for_streams_from_whichever_replica_runs_the_flow(site: Site) -> None:
    run = {"flow_id": own_flow(site), "input_value": "hello", "mode": "stream", "stream_protocol": "agui"}
    for name in REPLICAS:
        with replica(site, name, "alice") as client, client.stream("POST", "/api/v2/workflows", json=run) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
        events = [json.loads(line) for line in lines]
        assert (events[0]["type"], events[-1]["type"]) == ("RUN_STARTED", "RUN_FINISHED")
        said = "".join(event.get("delta", "") for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")
        assert said.startswith("**Attach a file to enrich.**")


def test_what_the_canvas_asks_for_comes_in_the_answer_of_whichever_replica_runs_the_flow(site: Site) -> None:
    url = f"/api/v1/build/{own_flow(site)}/flow?event_delivery=direct"
    for name in REPLICAS:
        with replica(site, name, "alice") as client:
            assert client.get("/api/v1/config").json()["event_delivery"] == "direct"
            with client.stream("POST", url, json={}) as answer:
                assert answer.status_code == 200
                events = [json.loads(line)["event"] for line in answer.iter_lines() if line]
        assert events[0] == "vertices_sorted"
        assert "end_vertex" in events
        assert events[-1] == "end"


@pytest.mark.parametrize("delivery", ["polling", "streaming"])
def test_events_that_are_asked_for_apart_are_at_the_replica_that_runs_the_flow_and_at_no_other(
    site: Site, delivery: str
) -> None:
    begin = f"/api/v1/build/{own_flow(site)}/flow?event_delivery={delivery}"
    with replica(site, REPLICAS[0], "alice") as runs, replica(site, REPLICAS[1], "alice") as another:
        job = runs.post(begin, json={}).json()["job_id"]
        elsewhere = another.get(f"/api/v1/build/{job}/events?event_delivery={delivery}")
        assert elsewhere.status_code == 404
        assert "Traceback" not in elsewhere.text
        text = ""
        while '"event": "end"' not in text:
            answer = runs.get(f"/api/v1/build/{job}/events?event_delivery={delivery}")
            assert answer.status_code == 200, answer.text
            text += answer.text
