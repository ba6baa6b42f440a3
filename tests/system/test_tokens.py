"""Tokens that are not what they should be: on every interface the same refusal, and nothing that tells them apart."""

import re
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from jose import jwk
from tests.helpers.rest import Answer, Rest, bearer
from tests.helpers.services import accounts, services
from tests.helpers.sockets import Raw, status_of
from tests.helpers.stack import USERS, Stack
from tests.helpers.tokens import Forge, pool_key
from tests.helpers.wire import ERAS, Wire, message, result

from common.caller import Caller

pytestmark = pytest.mark.slow

PATHS = (
    ("GET", "/api/departments"),
    ("POST", "/api/files?name=a.csv"),
    ("GET", "/api/files/a"),
    ("DELETE", "/api/files/a"),
    ("POST", "/api/uploads"),
    ("POST", "/api/preview"),
    ("POST", "/api/jobs"),
    ("GET", "/api/jobs"),
    ("GET", "/api/jobs/a"),
    ("DELETE", "/api/jobs/a"),
    ("GET", "/api/jobs/a/events"),
    ("POST", "/api/jobs/a/retry"),
    ("GET", "/api/jobs/a/result"),
    ("GET", "/api/jobs/a/report"),
    ("GET", "/api/there-is-no-such-path"),
)
ENDPOINTS = ("/mcp", "/mcp/finance", "/mcp/there-is-no-such-department")
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("tools/list", {}),
    ("tools/call", {"name": "finance_describe_datasets", "arguments": {}}),
    ("tools/call", {"name": "files_list_jobs", "arguments": {}}),
    ("resources/list", {}),
)
CHANGING = re.compile(rb'"id":\s*(\d+|null)|"instance":\s*"[^"]*"')
"""The parts of an answer that differ from request to request."""

ACCEPTS = {"application": {"agentgateway"}}
DEPARTMENT_ACCEPTS = {"agentgateway", "application", "application-worker"}


@dataclass(frozen=True)
class Interfaces:
    """Every way in, each tried with one token."""

    stack: Stack
    session: aiohttp.ClientSession

    async def answers(self, token: str | None) -> dict[str, Answer]:
        """What each interface answers, by its name."""
        programs = bearer(token) if token is not None else {}
        browsers = {"Origin": self.stack.app, "Sec-Fetch-Site": "same-origin"}
        if token is not None:
            browsers["x-amzn-oidc-accesstoken"] = token
        found = {}
        for name, url, headers, prefix in (
            ("", self.stack.api, programs, ""),
            ("browser ", self.stack.gateway, browsers, "/gateway"),
        ):
            rest = Rest(self.session, url, headers)
            for method, path in PATHS:
                found[f"{name}{method} {path}"] = await rest.call(method, f"{prefix}{path}", data=b"{}")
        for era in ERAS:
            for endpoint in ENDPOINTS:
                wire = Wire(self.session, f"{self.stack.api}{endpoint}", programs, era)
                for method, params in METHODS:
                    name = f"{era} {endpoint} {method} {params.get('name', '')}"
                    found[name.strip()] = await wire.call(method, **params)
        return found


def comparable(answer: Answer) -> tuple[int, bytes, str]:
    """What a caller can learn from a refusal."""
    return answer.status, CHANGING.sub(b"", answer.body), answer.headers.get("WWW-Authenticate", "")


@pytest.fixture(scope="module")
def interfaces(stack: Stack, session: aiohttp.ClientSession) -> Interfaces:
    return Interfaces(stack, session)


@pytest.fixture(scope="module")
def forge(stack: Stack) -> Forge:
    key = pool_key()
    public = jwk.construct({name: key[name] for name in ("kty", "n", "e", "alg")}, "RS256").to_pem().decode()
    return Forge(stack.tokens["alice"], stack.id_token("alice"), key, public)


async def test_a_true_token_opens_every_interface(interfaces: Interfaces) -> None:
    answers = await interfaces.answers(interfaces.stack.tokens["alice"])
    assert {name for name, answer in answers.items() if answer.status in (401, 500, 502, 503)} == set()


async def test_the_forge_makes_good_tokens_where_it_changes_nothing(interfaces: Interfaces, forge: Forge) -> None:
    rest = Rest(interfaces.session, interfaces.stack.api, bearer(forge.signed()))
    assert (await rest.call("GET", "/api/departments")).status == 200


async def test_without_a_token_every_face_says_how_to_get_one(interfaces: Interfaces) -> None:
    for name, answer in (await interfaces.answers(None)).items():
        challenge = answer.headers["WWW-Authenticate"]
        assert answer.status == 401, name
        assert challenge.startswith("Bearer "), name
        assert f'resource_metadata="{interfaces.stack.api}/.well-known/oauth-protected-resource' in challenge, name
        # RFC 6750, section 3.1: no error code where no token came.
        assert "error=" not in challenge, name


async def test_every_bad_token_gets_the_same_refusal_on_every_interface(interfaces: Interfaces, forge: Forge) -> None:
    reference = await interfaces.answers("not-a-token")
    kinds = forge.kinds(gateway=interfaces.stack.api)
    checked = 0
    for kind, make in kinds.items():
        for name, answer in (await interfaces.answers(make())).items():
            assert answer.status == 401, f"{kind} at {name}: {answer.status} {answer.body!r}"
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"], f"{kind} at {name}"
            assert comparable(answer) == comparable(reference[name]), f"{kind} at {name}"
            checked += 1
    print(f"\n{checked} refusals: {len(kinds)} kinds of bad token on {len(reference)} interfaces")


async def test_a_refusal_is_a_problem_on_rest_and_a_json_rpc_error_on_mcp(interfaces: Interfaces) -> None:
    for name, answer in (await interfaces.answers("not-a-token")).items():
        if "/mcp" in name:
            assert "error" in message(answer), name
            assert 'scope="' in answer.headers["WWW-Authenticate"], name
        else:
            assert answer.headers["Content-Type"] == "application/problem+json", name
            assert answer.slug == "unauthenticated", name


async def test_a_token_larger_than_a_head_may_be_is_refused_before_it_is_read(
    interfaces: Interfaces, forge: Forge
) -> None:
    for name, answer in (await interfaces.answers(forge.signed(padding="x" * 60_000))).items():
        assert answer.status in (400, 401, 431), f"{name}: {answer.status}"


async def test_an_identity_that_a_client_claims_in_a_header_is_not_believed(interfaces: Interfaces) -> None:
    everybody = frozenset(group for groups in USERS.values() for group in groups)
    claimed = Caller("someone", "dana", everybody | {"hr-leads"}, "cognito").to_header()
    headers = {
        **bearer(interfaces.stack.tokens["eve"]),
        "X-Caller": claimed,
        "x-amzn-oidc-accesstoken": interfaces.stack.tokens["dana"],
    }
    listed = await Rest(interfaces.session, interfaces.stack.api, headers).good("GET", "/api/departments")
    assert listed.json == {"departments": []}
    tools = result(await Wire(interfaces.session, f"{interfaces.stack.api}/mcp", headers).call("tools/list"))["tools"]
    assert [tool["name"] for tool in tools if not tool["name"].startswith("files_")] == []


async def test_a_users_token_opens_no_service_behind_the_gateway(interfaces: Interfaces) -> None:
    for service in services(interfaces.stack):
        for headers in ({}, bearer(interfaces.stack.tokens["dana"])):
            answer = await service.ask(interfaces.session, headers)
            assert answer.status == 401, f"{service.name}: {answer.status} {answer.body!r}"


async def test_a_service_token_opens_only_the_service_that_it_was_made_for(interfaces: Interfaces) -> None:
    behind = services(interfaces.stack)
    caller = {"X-Caller": Caller("someone", "dana", USERS["dana"] | {"hr-leads"}, "cognito").to_header()}
    checked = 0
    for account in accounts(interfaces.stack):
        for audience in [service.name for service in behind]:
            token = await account.token(interfaces.session, audience)
            for service in behind:
                accepted = ACCEPTS.get(service.name, DEPARTMENT_ACCEPTS)
                answer = await service.ask(interfaces.session, {**bearer(token), **caller})
                should = service.name == audience and account.name in accepted
                assert (answer.status == 200) is should, f"{account.name} for {audience} at {service.name}: {answer}"
                assert should or answer.status == 401, f"{account.name} for {audience} at {service.name}: {answer}"
                checked += 1
    print(f"\n{checked} combinations of ServiceAccount, audience and receiver")


async def test_a_service_token_or_a_caller_in_a_trailer_counts_at_no_service(interfaces: Interfaces) -> None:
    """RFC 9110, section 6.5.1: a trailer field is no header."""
    account = next(account for account in accounts(interfaces.stack) if account.name == "agentgateway")
    caller = Caller("someone", "dana", USERS["dana"] | {"hr-leads"}, "cognito").to_header()
    for service in services(interfaces.stack):
        token = await account.token(interfaces.session, service.name)
        credentials = (f"Authorization: Bearer {token}", f"X-Caller: {caller}")
        for sent_before, sent_after in ((0, 2), (1, 1)):
            head = ["POST /api/preview HTTP/1.1" if service.name == "application" else "POST /mcp HTTP/1.1"]
            head += ["Host: service", "Content-Type: application/json", "Transfer-Encoding: chunked"]
            head += credentials[:sent_before]
            async with Raw(int(service.url.rpartition(":")[2])) as raw:
                body = ["2", "{}", "0", *credentials[2 - sent_after :], "", ""]
                await raw.send("\r\n".join([*head, "", *body]).encode())
                assert status_of(await raw.head(10)) == 401, f"{service.name}, {sent_after} trailers"


async def test_a_service_that_is_known_cannot_pass_on_a_caller_that_is_not_well_formed(interfaces: Interfaces) -> None:
    account = next(account for account in accounts(interfaces.stack) if account.name == "agentgateway")
    for service in services(interfaces.stack):
        token = await account.token(interfaces.session, service.name)
        for header in ("", "not-base64!", "e30", "bnVsbA"):
            answer = await service.ask(interfaces.session, {**bearer(token), "X-Caller": header})
            assert answer.status == 401, f"{service.name} with {header!r}: {answer}"
