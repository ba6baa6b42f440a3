"""Only allowed services get in, with a caller beside their token; everyone else gets the same answer."""

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from jose import jwt
from services.common.tests.api_server import SigningKey

from common.caller import CALLER_HEADER

if TYPE_CHECKING:
    from conftest import Running

BODY = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
REFUSAL = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Unauthorized"}}'
SERVICE = "system:serviceaccount:file-processing:"


async def post(running: "Running", headers: dict[str, str]) -> httpx2.Response:
    accept = {"accept": "application/json, text/event-stream"}
    async with running.http() as http:
        return await http.post(f"{running.url}/mcp", json=BODY, headers=accept | headers)


async def assert_refused(running: "Running", headers: dict[str, str]) -> None:
    response = await post(running, headers)
    assert (response.status_code, response.content) == (401, REFUSAL)
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("caller", ["agentgateway", "application", "application-worker"])
async def test_services_that_call_departments_get_in(finance: "Running", caller: str) -> None:
    response = await post(finance, finance.headers("finance", sub=SERVICE + caller))
    assert (response.status_code, response.json()["result"]) == (200, {})


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["mcp-hr"]},
        {"aud": ["application"]},
        {"aud": None},
        {"iss": "https://other.example"},
        {"exp": 1_577_836_800},
        {"exp": None},
        {"nbf": 4_102_444_800},
        {"sub": SERVICE + "frontend"},
        {"sub": SERVICE + "mcp-finance"},
        {"sub": "system:serviceaccount:default:agentgateway"},
        {"sub": None},
    ],
    ids=str,
)
async def test_a_token_of_another_audience_issuer_time_or_service_is_refused(
    finance: "Running", claims: dict[str, Any]
) -> None:
    await assert_refused(finance, finance.headers("finance", **claims))


async def test_a_forged_token_is_refused(finance: "Running") -> None:
    good = finance.headers("finance")
    token = good["authorization"].removeprefix("Bearer ")
    head, payload, signature = token.split(".")
    claims = jwt.get_unverified_claims(token)
    key = finance.api.keys[0]
    for forged in (
        SigningKey("first").sign(aud=["mcp-finance"]),
        SigningKey("unknown").sign(aud=["mcp-finance"]),
        jwt.encode(claims, "guess", "HS256", headers={"kid": key.kid}),
        f"eyJhbGciOiJub25lIiwia2lkIjoiZmlyc3QifQ.{payload}.",
        f"{head}.{key.sign(aud=['mcp-hr']).split('.')[1]}.{signature}",
        token + "x" * 10_000,
        "a.b.c",
    ):
        await assert_refused(finance, good | {"authorization": f"Bearer {forged}"})


async def test_a_request_without_token_or_caller_is_refused(finance: "Running") -> None:
    good = finance.headers("finance")
    token, caller = {"authorization": good["authorization"]}, {CALLER_HEADER: good[CALLER_HEADER]}
    for headers in (
        {},
        token,
        caller,
        caller | {"authorization": "Basic eDp5"},
        caller | {"authorization": "Bearer"},
        token | {CALLER_HEADER: ""},
        token | {CALLER_HEADER: "nonsense"},
        token | {CALLER_HEADER: "e30"},
    ):
        await assert_refused(finance, headers)


async def test_health_needs_no_token_and_readiness_tells_no_data(finance: "Running") -> None:
    async with finance.http() as http:
        health = await http.get(f"{finance.url}/healthz")
    assert (health.status_code, health.text) == (200, "ok")
    status, details = await finance.readyz()
    assert status == 200
    assert details["datasets"]["vendors"]["rows"] == 3
    assert not set(details["datasets"]["vendors"]) - {
        "rows",
        "version",
        "loaded_at",
        "duplicate_keys",
        "blank_keys",
        "error",
        "building",
    }


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_is_no_session_to_listen_to_or_to_end(finance: "Running", method: str) -> None:
    async with finance.http(finance.headers("finance")) as http:
        response = await http.request(method, f"{finance.url}/mcp")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "mcp-hr:8080"])
async def test_a_request_to_another_host_is_refused(finance: "Running", host: str) -> None:
    assert (await post(finance, finance.headers("finance") | {"host": host})).status_code == 421


@pytest.mark.parametrize("host", ["mcp-finance:8080", "mcp-finance.file-processing.svc.cluster.local:8080"])
async def test_the_names_of_the_service_are_known(finance: "Running", host: str) -> None:
    assert (await post(finance, finance.headers("finance") | {"host": host})).status_code == 200


async def test_a_page_of_another_origin_is_refused(finance: "Running") -> None:
    headers = finance.headers("finance") | {"origin": "https://evil.example"}
    assert (await post(finance, headers)).status_code == 403
