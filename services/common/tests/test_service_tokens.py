import asyncio
import time
from typing import Any

import aiohttp
import pytest
from jose import jwt
from services.common.tests.api_server import ApiServer, SigningKey

from common.caller import CALLER_HEADER, Caller
from common.service_tokens import (
    InvalidServiceToken,
    ServiceIdentitySettings,
    ServiceTokenSource,
    ServiceTokenUnavailable,
    ServiceTokenVerifier,
    authenticate_service_request,
)

YEAR_2100 = 4_102_444_800
ALICE = Caller("1", "alice", frozenset({"finance"}), "cognito")


@pytest.fixture
def verifier(identity: ServiceIdentitySettings, session: aiohttp.ClientSession) -> ServiceTokenVerifier:
    return ServiceTokenVerifier(
        identity, session, audience="application", allowed_callers=frozenset({"agentgateway", "operator"})
    )


async def test_a_token_that_was_requested_for_a_service_is_accepted_by_it(
    identity: ServiceIdentitySettings, session: aiohttp.ClientSession, verifier: ServiceTokenVerifier
) -> None:
    token = await ServiceTokenSource(identity, session).token("application")
    assert await verifier.verify(token) == "agentgateway"


async def test_a_token_is_requested_once_for_an_audience_however_many_ask(
    api_server: ApiServer, identity: ServiceIdentitySettings, session: aiohttp.ClientSession
) -> None:
    source = ServiceTokenSource(identity, session)
    tokens = await asyncio.gather(*(source.token("mcp-finance") for _ in range(20)))
    other = await source.token("mcp-hr")
    assert len(set(tokens)) == 1
    assert other != tokens[0]
    assert [request["audiences"] for request in api_server.token_requests] == [["mcp-finance"], ["mcp-hr"]]
    assert {request["account"] for request in api_server.token_requests} == {"agentgateway"}
    assert {request["expirationSeconds"] for request in api_server.token_requests} == {600}


async def test_a_refused_token_request_says_so(
    api_server: ApiServer, identity: ServiceIdentitySettings, session: aiohttp.ClientSession
) -> None:
    api_server.available = False
    with pytest.raises(ServiceTokenUnavailable, match="403"):
        await ServiceTokenSource(identity, session).token("application")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["mcp-finance"]},
        {"aud": None},
        {"iss": "https://other.example"},
        {"iss": None},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"nbf": YEAR_2100},
        {"sub": "system:serviceaccount:file-processing:frontend"},
        {"sub": "system:serviceaccount:other:agentgateway"},
        {"sub": "agentgateway"},
    ],
    ids=", ".join,
)
async def test_a_token_of_another_audience_issuer_time_or_caller_is_refused(
    api_server: ApiServer, verifier: ServiceTokenVerifier, claims: dict[str, Any]
) -> None:
    with pytest.raises(InvalidServiceToken):
        await verifier.verify(api_server.keys[0].sign(**claims))


async def test_a_token_of_another_signature_is_refused(api_server: ApiServer, verifier: ServiceTokenVerifier) -> None:
    good = api_server.keys[0].sign()
    forged = SigningKey("first").sign()
    head, payload, signature = good.split(".")
    claims = jwt.get_unverified_claims(good)
    symmetric = jwt.encode(claims, "guess", "HS256", headers={"kid": "first"})
    unsigned = "eyJhbGciOiJub25lIiwia2lkIjoiZmlyc3QifQ." + payload + "."
    swapped = ".".join((head, api_server.keys[0].sign(sub="other").split(".")[1], signature))
    for token in (forged, symmetric, unsigned, swapped, "", "a.b.c", good + "x" * 10_000):
        with pytest.raises(InvalidServiceToken):
            await verifier.verify(token)
    assert await verifier.verify(good) == "agentgateway"


async def test_unknown_key_identifiers_cause_one_refresh_not_one_each(
    api_server: ApiServer, verifier: ServiceTokenVerifier
) -> None:
    await verifier.verify(api_server.keys[0].sign())
    attackers = SigningKey("unknown")
    for _ in range(20):
        with pytest.raises(InvalidServiceToken):
            await verifier.verify(attackers.sign())
    assert api_server.jwks_requests == 1


async def test_the_last_good_keys_stay_while_the_api_server_is_away(
    api_server: ApiServer, verifier: ServiceTokenVerifier
) -> None:
    await verifier.verify(api_server.keys[0].sign())
    api_server.available = False
    assert await verifier.verify(api_server.keys[0].sign(iat=int(time.time()) - 1)) == "agentgateway"


async def test_no_key_set_at_all_closes_the_door_and_opens_it_when_it_comes(
    api_server: ApiServer, verifier: ServiceTokenVerifier
) -> None:
    api_server.available = False
    with pytest.raises(InvalidServiceToken, match="not reachable"):
        await verifier.verify(api_server.keys[0].sign())
    api_server.available = True
    async with asyncio.timeout(10):
        while not verifier.keys.loaded:
            await verifier.keys.refresh()
            await asyncio.sleep(0.05)
    assert await verifier.verify(api_server.keys[0].sign()) == "agentgateway"


async def test_a_caller_is_believed_only_beside_a_service_token(
    api_server: ApiServer, verifier: ServiceTokenVerifier
) -> None:
    service = {"authorization": f"Bearer {api_server.keys[0].sign()}"}
    caller = {CALLER_HEADER: ALICE.to_header()}
    assert await authenticate_service_request(service | caller, verifier) == ALICE
    for headers in (service, caller, {}, caller | {"authorization": "Basic eDp5"}, service | {CALLER_HEADER: "x"}):
        with pytest.raises(InvalidServiceToken):
            await authenticate_service_request(headers, verifier)
