"""Attacks on the login: forged consent, injected and replayed codes, mixed-up clients, downgrades, framing.

The catalog is RFC 9700 (best current practice) and the MCP specification's security best practices.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio
from services.agentgateway.tests.fakes import serving
from services.agentgateway.tests.login import Browser, ManagedLogin, consent_form, query_of
from services.agentgateway.tests.test_redirects import CLIENTS
from services.agentgateway.tests.world import World, running_gateway

from agentgateway.oauth.pkce import challenge_of

pytestmark = pytest.mark.slow

REDIRECT = "http://127.0.0.1:51234/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-and-more"


@dataclass
class Site:
    """A gateway and the user pool behind it; `client` is a program that is registered there."""

    url: str
    pool: ManagedLogin
    http: aiohttp.ClientSession
    client: str = ""
    browser: Browser = field(default_factory=Browser)

    async def post(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        async with self.http.post(f"{self.url}/oauth/{path}", data=form) as response:
            return response.status, await response.json(content_type=None) if path == "token" else {}

    async def register(self, name: str = "A program", redirect: str = REDIRECT) -> str:
        document = {"redirect_uris": [redirect], "client_name": name}
        async with self.http.post(f"{self.url}/oauth/register", json=document) as response:
            assert response.status == 201, await response.text()
            return str((await response.json())["client_id"])

    def start(self, **changes: str | None) -> str:
        """The address that a program opens."""
        query = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": REDIRECT,
            "state": "the-state",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        } | changes
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.url}/oauth/authorize?{urlencode(given)}"

    async def code(self) -> str:
        """A login of this browser, to the end."""
        await self.browser.open(self.start())
        return self.browser.answer["code"]

    async def redeem(self, code: str, **changes: str) -> tuple[int, dict[str, Any]]:
        form = {"grant_type": "authorization_code", "client_id": self.client, "redirect_uri": REDIRECT}
        return await self.post("token", form | {"code": code, "code_verifier": VERIFIER} | changes)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def opened(world: World) -> AsyncIterator[Site]:
    pool = ManagedLogin(world.pool)
    async with (
        serving(pool.app()) as address,
        aiohttp.ClientSession() as http,
        running_gateway(world, cognito_domain_url=address) as url,
    ):
        pool.callback = f"{url}/oauth/callback"
        yield Site(url, pool, http)


@pytest_asyncio.fixture(loop_scope="session")
async def site(opened: Site) -> Site:
    opened.browser, opened.pool.error = Browser(), None
    opened.client = await opened.register()
    return opened


async def test_a_login_gives_a_token_of_the_pool_and_says_who_answered(site: Site) -> None:
    code = await site.code()
    assert site.browser.answer["state"] == "the-state"
    assert site.browser.answer["iss"] == site.url  # RFC 9207
    status, answer = await site.redeem(code)
    assert (status, answer["token_type"], answer["scope"]) == (200, "Bearer", "openid")
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    # Nothing of a login that has ended is left in the browser.
    assert site.browser.cookies == {}


async def test_the_pool_sees_the_gateway_and_a_proof_of_the_gateways_own(site: Site) -> None:
    await site.code()
    asked = site.pool.asked[-1]
    assert asked["redirect_uri"] == f"{site.url}/oauth/callback"
    assert asked["code_challenge"] != challenge_of(VERIFIER)
    assert asked["state"] != "the-state"


async def test_the_consent_page_names_program_and_destination_and_cannot_be_framed(site: Site) -> None:
    site.client = await site.register("<b>Nice</b>\u202e tool")
    async with site.http.get(site.start()) as response:
        text = await response.text()
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in response.headers
        (cookie,) = response.cookies.values()
        assert cookie["httponly"]
        assert cookie["samesite"] == "lax"
    assert "&lt;b&gt;Nice&lt;/b&gt; tool" in text
    assert "127.0.0.1:51234" in text
    assert "<script" not in text


async def test_behind_tls_no_other_host_can_set_the_cookie(world: World) -> None:
    async with running_gateway(world, public_api_url="https://api.example.com") as url, aiohttp.ClientSession() as http:
        site = Site(url, ManagedLogin(world.pool), http)
        site.client = await site.register()
        async with http.get(site.start()) as response:
            (cookie,) = response.cookies.values()
            form = consent_form(await response.text()) | {"decision": "continue"}
        assert cookie.key.startswith("__Host-")
        assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
        headers = {"cookie": f"{cookie.key}={cookie.value}"}
        async with http.post(f"{url}/oauth/authorize", data=form, headers=headers, allow_redirects=False) as response:
            asked = query_of(response.headers["location"])
        assert asked["redirect_uri"] == "https://api.example.com/oauth/callback"
        assert asked["resource"] == "https://api.example.com"
        # Fixation: the same cookie without the prefix, which another host of the domain can set, counts for nothing.
        headers = {"cookie": f"{cookie.key.removeprefix('__Host-')}={cookie.value}"}
        async with http.post(f"{url}/oauth/authorize", data=form, headers=headers, allow_redirects=False) as response:
            assert response.status == 400


async def test_consent_is_asked_for_at_each_login(site: Site) -> None:
    """Confused deputy: the pool's session of an earlier login must not let another program in."""
    await site.code()
    site.client = await site.register("Another program")
    status, location, text = await site.browser.get(site.start())
    assert (status, location) == (200, "")
    assert "Another program" in text


async def test_a_consent_that_another_site_sends_is_refused(site: Site) -> None:
    attacker = Browser()
    _, _, text = await attacker.get(site.start())
    form = consent_form(text) | {"decision": "continue"}
    # The attacker's own form, sent by the victim's browser, which never opened the page.
    status, location, _ = await site.browser.post(f"{site.url}/oauth/authorize", form)
    assert (status, location) == (400, "")
    # The victim has a page of theirs open.
    await site.browser.get(site.start())
    status, location, _ = await site.browser.post(f"{site.url}/oauth/authorize", form)
    assert (status, location) == (400, "")
    # Whatever the form is, a browser says where it comes from.
    _, _, text = await site.browser.get(site.start())
    own = consent_form(text) | {"decision": "continue"}
    for origin in ("cross-site", "same-site", "none"):
        headers = {"sec-fetch-site": origin}
        status, location, _ = await site.browser.post(f"{site.url}/oauth/authorize", own, **headers)
        assert (status, location) == (400, "")
    status, _, _ = await site.browser.post(f"{site.url}/oauth/authorize", own, **{"sec-fetch-site": "same-origin"})
    assert status == 303


async def test_a_person_who_cancels_lets_nobody_in(site: Site) -> None:
    before = len(site.pool.asked)
    told = query_of(await site.browser.consent(site.start(), "cancel"))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "the-state", site.url)
    assert len(site.pool.asked) == before
    assert site.browser.cookies == {}


async def test_a_code_of_the_attackers_login_cannot_be_injected_into_another_browser(site: Site) -> None:
    attacker = Browser()
    _, callback, _ = await attacker.get(await attacker.consent(site.start()))
    status, location, _ = await site.browser.get(callback)
    assert (status, location) == (400, "")
    # Nor into a login that the victim has under way: cookie and state are one login's.
    _, own, _ = await site.browser.get(await site.browser.consent(site.start()))
    mixed = own.replace(query_of(own)["state"], query_of(callback)["state"])
    status, location, _ = await site.browser.get(mixed)
    assert (status, location) == (400, "")


async def test_a_planted_cookie_of_the_attackers_login_is_not_taken_for_the_victims(site: Site) -> None:
    """Cookie fixation: under the name of the victim's login, the sealed login of the attacker."""
    attacker = Browser()
    await attacker.consent(site.start())
    (planted,) = attacker.cookies.values()
    _, callback, _ = await site.browser.get(await site.browser.consent(site.start()))
    site.browser.cookies = dict.fromkeys(site.browser.cookies, planted)
    status, location, _ = await site.browser.get(callback)
    assert (status, location) == (400, "")


async def test_the_pools_answer_counts_only_after_consent(site: Site) -> None:
    """The cookie of the consent page, renamed, is none of a login."""
    _, _, text = await site.browser.get(site.start())
    identifier = consent_form(text)["login"]
    (sealed,) = site.browser.cookies.values()
    site.browser.cookies = {f"login-{identifier[:12]}": sealed}
    status, location, _ = await site.browser.get(f"{site.url}/oauth/callback?code=x&state={identifier}")
    assert (status, location) == (400, "")


async def test_an_answer_of_the_pool_counts_once(site: Site) -> None:
    _, callback, _ = await site.browser.get(await site.browser.consent(site.start()))
    kept = dict(site.browser.cookies)
    assert (await site.browser.get(callback))[0] == 302
    site.browser.cookies = kept
    status, location, text = await site.browser.get(callback)
    assert (status, location) == (400, "")
    assert "ended already" in text


async def test_a_code_counts_once_at_whichever_replica(site: Site, world: World) -> None:
    code = await site.code()
    async with running_gateway(world, public_api_url=site.url) as other:
        assert (await site.redeem(code))[0] == 200
        first, site.url = site.url, other
        try:
            status, answer = await site.redeem(code)
        finally:
            site.url = first
    assert (status, answer["error"], answer["error_description"]) == (400, "invalid_grant", "the code was used before")


async def test_replicas_share_a_login(site: Site, world: World) -> None:
    """Registered and begun at one, agreed to and redeemed at the other."""
    async with serving(site.pool.app()) as pool:
        changes = {"cognito_domain_url": pool, "public_api_url": site.url}
        async with running_gateway(world, **changes) as other:
            _, _, text = await site.browser.get(site.start())
            form = consent_form(text) | {"decision": "continue"}
            _, location, _ = await site.browser.post(f"{other}/oauth/authorize", form)
            _, callback, _ = await site.browser.get(location)
            _, client, _ = await site.browser.get(callback)
            first, site.url = site.url, other
            try:
                assert (await site.redeem(query_of(client)["code"]))[0] == 200
            finally:
                site.url = first


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": ""},
        {"code_verifier": VERIFIER + "x"},
        {"code_verifier": challenge_of(VERIFIER)},
        {"redirect_uri": ""},
        {"redirect_uri": "http://127.0.0.1:51235/callback"},
        {"code": "guessed"},
    ],
    ids=str,
)
async def test_a_stolen_code_is_worth_nothing(site: Site, changes: dict[str, str]) -> None:
    status, answer = await site.redeem(**({"code": await site.code()} | changes))
    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_a_code_and_a_refresh_token_are_one_clients(site: Site) -> None:
    other = await site.register("Another program")
    code = await site.code()
    assert (await site.redeem(code, client_id=other))[1]["error"] == "invalid_grant"
    _, answer = await site.redeem(code)
    refresh = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    assert (await site.post("token", refresh | {"client_id": other}))[1]["error"] == "invalid_grant"
    assert (await site.post("token", refresh | {"client_id": "cli-client"}))[1]["error"] == "invalid_client"
    status, _ = await site.post("revoke", {"token": answer["refresh_token"], "client_id": other})
    assert status == 400


async def test_refresh_tokens_rotate_with_the_pools_until_they_are_revoked(site: Site) -> None:
    _, first = await site.redeem(await site.code())
    refresh = {"grant_type": "refresh_token", "client_id": site.client}
    status, second = await site.post("token", refresh | {"refresh_token": first["refresh_token"]})
    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    _, again = await site.post("token", refresh | {"refresh_token": first["refresh_token"]})
    assert again["error"] == "invalid_grant"
    status, _ = await site.post("revoke", {"token": second["refresh_token"], "client_id": site.client})
    assert status == 200
    _, ended = await site.post("token", refresh | {"refresh_token": second["refresh_token"]})
    assert ended["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
        ({"state": "x" * 1025}, "invalid_request"),
        ({"state": "caf\u00e9"}, "invalid_request"),
    ],
    ids=str,
)
async def test_a_weaker_login_is_refused(site: Site, changes: dict[str, str | None], error: str) -> None:
    status, location, _ = await site.browser.get(site.start(**changes))
    assert (status, location.partition("?")[0]) == (302, REDIRECT)
    assert (query_of(location)["error"], query_of(location)["iss"]) == (error, site.url)


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://claude.ai/api/mcp/auth_callback"},
        {"redirect_uri": "http://localhost:51234/callback"},
        {"redirect_uri": "http://127.0.0.1:51234/other"},
        {"redirect_uri": None},
        {"client_id": "cli-client"},
        {"client_id": None},
    ],
    ids=str,
)
async def test_nobody_is_sent_where_the_client_did_not_register(site: Site, changes: dict[str, str | None]) -> None:
    status, location, text = await site.browser.get(site.start(**changes))
    assert (status, location) == (400, "")
    assert "This login cannot continue" in text


async def test_a_parameter_that_comes_twice_is_refused(site: Site) -> None:
    status, location, _ = await site.browser.get(f"{site.start()}&redirect_uri=https://evil.example/callback")
    assert (status, location) == (400, "")


@pytest.mark.parametrize("redirect", CLIENTS.values(), ids=CLIENTS.keys())
async def test_each_known_client_registers_and_completes_a_login(site: Site, redirect: str) -> None:
    site.client = await site.register(redirect=redirect)
    await site.browser.open(site.start(redirect_uri=redirect))
    assert site.browser.landed_at == redirect
    status, answer = await site.redeem(site.browser.answer["code"], redirect_uri=redirect)
    assert (status, answer["token_type"]) == (200, "Bearer")


async def test_a_loopback_port_may_differ_from_the_registered_one(site: Site) -> None:
    elsewhere = "http://127.0.0.1:40000/callback"
    await site.browser.open(site.start(redirect_uri=elsewhere))
    assert (await site.redeem(site.browser.answer["code"], redirect_uri=elsewhere))[0] == 200


@pytest.mark.parametrize(("error", "told"), [("access_denied", "access_denied"), ("invalid_scope", "server_error")])
async def test_an_error_of_the_pool_access_the_client(site: Site, error: str, told: str) -> None:
    site.pool.error = error
    await site.browser.open(site.start())
    assert (site.browser.answer["error"], site.browser.answer["iss"]) == (told, site.url)
    assert "code" not in site.browser.answer


async def test_abandoned_logins_do_not_fill_the_browsers_requests(site: Site) -> None:
    for _ in range(10):
        await site.browser.get(site.start(state="x" * 1024))
    assert sum(map(len, site.browser.cookies.values())) < 10_240
    await site.code()


async def test_pages_of_any_origin_may_register_and_redeem_but_not_read_the_consent(site: Site) -> None:
    headers = {"origin": "http://localhost:6274", "access-control-request-method": "POST"}
    for path in ("/oauth/register", "/oauth/token", "/.well-known/oauth-authorization-server"):
        async with site.http.options(f"{site.url}{path}", headers=headers) as response:
            assert response.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in response.headers
    async with site.http.options(f"{site.url}/oauth/authorize", headers=headers) as response:
        assert "access-control-allow-origin" not in response.headers


async def test_a_pool_that_is_down_is_told_in_the_form_of_oauth(world: World, site: Site) -> None:
    code = await site.code()
    changes = {"cognito_domain_url": "http://127.0.0.1:9", "public_api_url": site.url}
    async with running_gateway(world, **changes) as url:
        first, site.url = site.url, url
        try:
            status, answer = await site.redeem(code)
        finally:
            site.url = first
    assert (status, answer["error"]) == (503, "temporarily_unavailable")
