import json
import socket
import time
from typing import Any

import pytest
import urllib3
from services.application.tests.support.client import POOL, Client
from services.application.tests.support.fault_proxy import Fault, calls
from services.application.tests.support.stack import Platform, Stack, wait_until

from common.caller import CALLER_HEADER

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["mcp-finance"]},
        {"sub": "system:serviceaccount:file-processing:frontend"},
        {"sub": "system:serviceaccount:file-processing:application"},
        {"exp": int(time.time()) - 10},
        {"iss": "https://other.example"},
    ],
    ids=["audience", "another service", "itself", "expired", "issuer"],
)
def test_only_the_gateway_may_call(stack: Stack, alice: Client, claims: dict[str, Any]) -> None:
    token = stack.platform.cluster.keys[-1].sign(**claims)
    answer = alice.call("GET", "/api/jobs", headers={"authorization": f"Bearer {token}"})
    assert (answer.status, answer.slug) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/api/jobs", "/api/files/x", "/api/departments", "/api/openapi.json", "/nothing"])
def test_without_a_service_token_and_a_caller_nothing_is_told(stack: Stack, alice: Client, path: str) -> None:
    complete = alice.headers()
    for left_out in complete:
        headers = {name: value for name, value in complete.items() if name != left_out}
        assert POOL.request("GET", stack.url + path, headers=headers).status == 401
    assert POOL.request("GET", stack.url + path, headers={**complete, CALLER_HEADER: "e30"}).status == 401


def test_errors_are_problems_whatever_they_are(alice: Client) -> None:
    assert alice.call("GET", "/api/nothing").slug == "not-found"
    assert alice.call("PATCH", "/api/jobs").slug == "method-not-allowed"
    assert alice.call("POST", "/api/jobs", b"{").slug == "invalid-request"
    assert (
        alice.call("POST", "/api/jobs", b"[]", headers={"content-type": "application/json"}).slug == "invalid-request"
    )


def test_the_interface_is_described(alice: Client) -> None:
    paths = alice.call("GET", "/api/openapi.json").json()["paths"]
    assert {"/api/files", "/api/uploads/{upload}/complete", "/api/jobs/{job}/events", "/api/departments"} <= set(paths)


def test_a_body_that_is_too_large_or_too_slow_is_refused(stack: Stack, alice: Client) -> None:
    lines = [f"{name}: {value}" for name, value in alice.headers().items()]

    def answer_to(length: int, body: bytes) -> bytes:
        head = "\r\n".join(["POST /api/jobs HTTP/1.1", "host: x", f"content-length: {length}", *lines, "", ""])
        with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
            connection.sendall(head.encode() + body)
            return connection.recv(65536)

    # More than the kernel keeps for a service that does not read: it reads all, or its answer would be lost.
    assert answer_to(12_000_000, b'"' * 12_000_000).startswith(b"HTTP/1.1 413")
    assert answer_to(10, b"{").startswith(b"HTTP/1.1 408")


@pytest.mark.slow
def test_health_needs_no_token_and_readiness_tells_the_truth(platform: Platform, stack: Stack) -> None:
    assert POOL.request("GET", f"{stack.url}/healthz").status == 200
    ready = wait_until(lambda: (a := POOL.request("GET", f"{stack.url}/readyz")).status == 200 and a)
    needed = ("bucket", "queue", "table", "departments", "cluster")
    assert json.loads(ready.data) == dict.fromkeys(needed, "ok")
    platform.proxy.add(Fault(calls("sqs"), status=500))
    unready = wait_until(lambda: (a := POOL.request("GET", f"{stack.url}/readyz")).status == 503 and a, 30)
    assert json.loads(unready.data)["queue"] != "ok"
    assert json.loads(unready.data)["table"] == "ok"
    assert POOL.request("GET", f"{stack.url}/healthz").status == 200
    platform.proxy.clear()
    wait_until(lambda: POOL.request("GET", f"{stack.url}/readyz").status == 200, 30)


def test_logs_are_one_json_object_a_line_and_hold_no_content(stack: Stack, alice: Client) -> None:
    job = alice.submit(alice.upload(b"vendor_id,secret\nV-00001,hush-hush\n"))
    alice.wait(job)
    for output in (stack.api.output(), stack.workers[0].output()):
        events = [json.loads(line) for line in output.splitlines()]
        assert any(event.get("job") == job for event in events)
        assert "hush-hush" not in output
        assert "Vendor 1" not in output
        assert "Bearer" not in output


def test_requests_are_counted_by_route(stack: Stack, alice: Client) -> None:
    alice.call("GET", f"/api/jobs/{'0' * 32}")
    metrics = urllib3.request("GET", f"http://127.0.0.1:{stack.metrics_port}/metrics").data.decode()
    assert 'application_request_seconds_count{method="GET",route="/api/jobs/{job}",status="404"}' in metrics
    assert "0" * 32 not in metrics


@pytest.mark.parametrize(
    "body",
    [
        b'{"file": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"file": "x", "mapping": {"\\udfff": ["a.b"]}}',
        b'{"file": "x", "mapping": {"a": ["\\udfff.b"]}}',
        b"[" * 90_000,
        b'{"file": NaN}',
        b'{"file": 1' + b"0" * 50_000 + b"}",
        b"\xff\xfe\x00",
        b"null",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_json_that_means_harm_is_refused_in_words(alice: Client, body: bytes) -> None:
    for path in ("/api/jobs", "/api/preview", "/api/uploads"):
        answer = alice.call("POST", path, body, headers={"content-type": "application/json"})
        assert 400 <= answer.status < 500, (path, answer.body)
        assert answer.slug
