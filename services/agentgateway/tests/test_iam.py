"""On-premises callers prove an IAM role to STS and get a token of the gateway, once for each presigned request."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from jose import jwt
from services.agentgateway.tests.presigning import SESSION_ARN, know, presign
from services.agentgateway.tests.world import ROLE, World, running_gateway

pytestmark = pytest.mark.slow

Answer = tuple[int, dict[str, Any]]


@pytest_asyncio.fixture(loop_scope="session")
async def second_gateway(world: World, gateway: str) -> AsyncIterator[str]:
    """Another replica: the same address for clients, the same table, the same key."""
    async with running_gateway(world, public_api_url=gateway) as url:
        yield url


def host(gateway: str) -> str:
    return gateway.removeprefix("http://")


def fresh(world: World, gateway: str, **changes: Any) -> str:
    return presign(know(world.sts), world.sts_url, host(gateway), **changes)


async def exchange(client: aiohttp.ClientSession, gateway: str, url: str) -> Answer:
    async with client.post(f"{gateway}/auth/iam", json={"url": url}) as response:
        return response.status, await response.json(content_type=None)


async def test_credentials_of_a_known_role_get_a_token_that_every_face_accepts(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    status, answer = await exchange(client, gateway, fresh(world, gateway))
    assert status == 200
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
    bearer = {"authorization": f"Bearer {answer['access_token']}"}
    async with client.get(f"{gateway}/api/jobs", headers=bearer) as response:
        assert response.status == 201
    caller = world.application.seen[-1].caller
    assert (caller.subject, caller.username, caller.method) == (ROLE, "FinanceBatch", "iam")
    assert caller.groups == {"finance"}


async def test_one_address_cannot_use_up_what_sts_answers_to_others(
    world: World, client: aiohttp.ClientSession
) -> None:
    async with running_gateway(world, exchange_rate_limit="3 per 1 hour") as gateway:

        async def status(url: str, forwarded: str) -> int:
            sent = {"x-forwarded-for": forwarded}
            async with client.post(f"{gateway}/auth/iam", json={"url": url}, headers=sent) as response:
                if response.status == 429:
                    assert int(response.headers["retry-after"]) > 0
                return response.status

        forged = [f"{fresh(world, gateway)[:-8]}{number:08x}" for number in range(6)]
        before = len(world.sts.requests)
        # What a client writes into the header stands before what the load balancer appends.
        answers = [await status(url, f"198.51.100.{number}, 203.0.113.7") for number, url in enumerate(forged)]
        assert (answers.count(429), len(world.sts.requests) - before) == (3, 3)
        assert await status(forged[0], "203.0.113.8") != 429
        assert [await status(url, f"2001:db8::{number:x}") for number, url in enumerate(forged)].count(429) == 3
        assert await status(fresh(world, gateway), "2001:db8:0:1::1") == 200


async def test_the_token_is_verified_by_the_published_key_and_says_who_for_whom_and_how_long(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    _, answer = await exchange(client, gateway, fresh(world, gateway))
    async with client.get(f"{gateway}/.well-known/jwks.json") as response:
        keys = await response.json()
    token = answer["access_token"]
    assert jwt.get_unverified_header(token)["kid"] == keys["keys"][0]["kid"]
    claims = jwt.decode(token, keys, algorithms=["RS256"], audience=gateway, issuer=gateway)
    assert claims["sub"] == ROLE
    assert claims["groups"] == ["finance"]
    assert claims["exp"] - claims["iat"] == 900
    assert "d" not in keys["keys"][0]


async def test_a_presigned_request_is_used_once_over_all_replicas(
    world: World, gateway: str, second_gateway: str, client: aiohttp.ClientSession
) -> None:
    url = fresh(world, gateway)
    assert (await exchange(client, gateway, url))[0] == 200
    for replica in (gateway, second_gateway):
        status, problem = await exchange(client, replica, url)
        assert (status, problem["type"]) == (403, "urn:fileproc:problem:exchange-replayed")


async def test_of_many_exchanges_of_one_request_at_once_one_succeeds(
    world: World, gateway: str, second_gateway: str, client: aiohttp.ClientSession
) -> None:
    url = fresh(world, gateway)
    replicas = [gateway, second_gateway] * 5
    statuses = [status for status, _ in await asyncio.gather(*(exchange(client, each, url) for each in replicas))]
    assert sorted(statuses) == [200] + [403] * 9


async def test_another_spelling_of_a_used_request_is_the_same_request(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    url = fresh(world, gateway)
    assert (await exchange(client, gateway, url))[0] == 200
    address, _, query = url.partition("?")
    reordered = f"{address}?{'&'.join(reversed(query.split('&')))}"
    assert (await exchange(client, gateway, reordered))[0] == 403


async def test_a_token_of_one_replica_is_accepted_by_another(
    world: World, gateway: str, second_gateway: str, client: aiohttp.ClientSession
) -> None:
    _, answer = await exchange(client, gateway, fresh(world, gateway))
    bearer = {"authorization": f"Bearer {answer['access_token']}"}
    async with client.get(f"{second_gateway}/api/jobs", headers=bearer) as response:
        assert response.status == 201


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sts::123456789012:assumed-role/OtherRole/host-7",
        "arn:aws:sts::999999999999:assumed-role/FinanceBatch/host-7",
        "arn:aws:iam::123456789012:user/FinanceBatch",
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:federated-user/FinanceBatch",
        "arn:aws-cn:sts::123456789012:assumed-role/FinanceBatch/host-7",
        "arn:aws:sts::123456789012:assumed-role/financebatch/host-7",
    ],
)
async def test_an_identity_that_is_no_session_of_a_known_role_is_403(
    world: World, gateway: str, client: aiohttp.ClientSession, arn: str
) -> None:
    status, problem = await exchange(client, gateway, presign(know(world.sts, arn), world.sts_url, host(gateway)))
    assert (status, problem["type"]) == (403, "urn:fileproc:problem:unknown-role")
    assert arn in problem["detail"]


async def test_what_was_signed_for_another_gateway_is_refused(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    url = presign(know(world.sts), world.sts_url, "api.other.example")
    status, problem = await exchange(client, gateway, url)
    assert (status, problem["type"]) == (403, "urn:fileproc:problem:exchange-refused")
    assert world.sts.requests[-1]["x-fileproc-gateway"] == host(gateway)


async def test_a_wrong_secret_and_a_changed_signature_are_refused(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    credentials = know(world.sts)
    credentials.secret_key = "another-secret"
    wrong = presign(credentials, world.sts_url, host(gateway))
    good = fresh(world, gateway)
    changed = good[:-1] + ("0" if good[-1] != "0" else "1")
    for url in (wrong, changed):
        status, problem = await exchange(client, gateway, url)
        assert (status, problem["type"]) == (403, "urn:fileproc:problem:exchange-refused")
    # What was refused has not used up the genuine one.
    assert (await exchange(client, gateway, good))[0] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"age": 75},
        {"age": -300},
        {"expires": 61},
        {"expires": 3600},
        {"expires": 0},
        {"region": "us-east-1"},
        {"headers": {}},
        {"headers": {"x-fileproc-gateway": "x", "x-other": "y"}},
        {"query": "Action=GetSessionToken&Version=2011-06-15"},
        {"query": "Action=GetCallerIdentity"},
        {"query": "Action=GetCallerIdentity&Version=2011-06-15&RoleArn=x"},
    ],
    ids=str,
)
async def test_anything_but_a_fresh_get_caller_identity_is_never_sent_to_sts(
    world: World, gateway: str, client: aiohttp.ClientSession, changes: dict[str, Any]
) -> None:
    before = len(world.sts.requests)
    status, problem = await exchange(client, gateway, fresh(world, gateway, **changes))
    assert (status, problem["type"]) == (400, "urn:fileproc:problem:invalid-exchange")
    assert len(world.sts.requests) == before


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:9",
        "https://sts.us-east-1.amazonaws.com",
        "https://sts.eu-west-1.amazonaws.com.evil.example",
        "http://169.254.169.254",
        "file://",
        "//",
    ],
)
async def test_a_request_for_another_host_is_sent_nowhere(
    world: World, gateway: str, client: aiohttp.ClientSession, endpoint: str
) -> None:
    query = fresh(world, gateway).partition("?")[2]
    before = len(world.sts.requests)
    for url in (
        f"{endpoint}/?{query}",
        f"http://user@{host(world.sts_url)}/?{query}",
        f"{world.sts_url}/x?{query}",
        f"{world.sts_url}/?{query}&Action=GetCallerIdentity",
        f"{world.sts_url}/?{query}#x",
    ):
        status, problem = await exchange(client, gateway, url)
        assert (status, problem["type"]) == (400, "urn:fileproc:problem:invalid-exchange")
    assert len(world.sts.requests) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"url": 1}',
        b'{"url": "https://x", "role": "y"}',
        b'{"url": "' + b"x" * 9000 + b'"}',
    ],
    ids=lambda body: body[:20].decode(),
)
async def test_a_malformed_exchange_is_told_which_field_is_wrong(
    gateway: str, client: aiohttp.ClientSession, body: bytes
) -> None:
    async with client.post(f"{gateway}/auth/iam", data=body) as response:
        assert response.status == 422
        assert (await response.json())["type"] == "urn:fileproc:problem:invalid-request"


async def test_a_large_body_is_413_and_a_get_is_405(gateway: str, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{gateway}/auth/iam", data=b"x" * 200_000) as response:
        assert response.status == 413
    async with client.get(f"{gateway}/auth/iam") as response:
        assert response.status == 405


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=302, headers={"Location": "http://169.254.169.254/"}),
        lambda: web.Response(status=500),
        lambda: web.Response(status=400, text="<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"),
        lambda: web.Response(text="not xml"),
        lambda: web.Response(text="<GetCallerIdentityResponse/>"),
        lambda: web.Response(text=f"<a>{'x' * 200_000}</a>"),
        lambda: web.Response(text=f"<Arn>{SESSION_ARN}</Arn>"),
    ],
    ids=["redirect", "500", "throttled", "no XML", "no caller", "huge", "another document"],
)
async def test_an_sts_that_does_not_do_its_part_is_503_and_gives_no_token(
    world: World, gateway: str, client: aiohttp.ClientSession, answer: Any
) -> None:
    url = fresh(world, gateway)
    world.sts.answer = answer
    try:
        status, problem = await exchange(client, gateway, url)
    finally:
        world.sts.answer = None
    assert (status, problem["type"]) == (503, "urn:fileproc:problem:service-unavailable")
    # Nothing was used up.
    assert (await exchange(client, gateway, url))[0] == 200


@pytest.mark.parametrize("changes", [{"exchanges_table": "nowhere"}, {"gateway_signing_key_id": "alias/nowhere"}])
async def test_without_its_table_or_its_key_the_gateway_gives_no_token(
    world: World, client: aiohttp.ClientSession, changes: dict[str, str]
) -> None:
    async with running_gateway(world, **changes) as gateway:
        status, problem = await exchange(client, gateway, fresh(world, gateway))
        assert status == 503
        assert "nowhere" not in str(problem)
        # Everyone else is served.
        bearer = {"authorization": f"Bearer {world.pool.token()}"}
        async with client.get(f"{gateway}/api/jobs", headers=bearer) as response:
            assert response.status == 201


async def test_a_token_for_another_gateway_is_refused_although_the_key_is_the_same(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    async with running_gateway(world) as other:
        _, answer = await exchange(client, other, fresh(world, other))
    async with client.get(
        f"{gateway}/api/jobs", headers={"authorization": f"Bearer {answer['access_token']}"}
    ) as response:
        assert response.status == 401


async def test_the_user_pool_cannot_speak_for_an_iam_role(
    world: World, gateway: str, client: aiohttp.ClientSession
) -> None:
    now = int(time.time())
    claims = {"iss": gateway, "aud": gateway, "sub": ROLE, "groups": ["finance"], "iat": now, "exp": now + 60}
    async with client.get(f"{gateway}/.well-known/jwks.json") as response:
        kid = (await response.json())["keys"][0]["kid"]
    token = jwt.encode(claims, world.pool.keys[0].pem, "RS256", headers={"kid": kid})
    async with client.get(f"{gateway}/api/jobs", headers={"authorization": f"Bearer {token}"}) as response:
        assert response.status == 401
