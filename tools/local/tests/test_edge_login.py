import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from jose import jwt
from tools.local.tests.conftest import API_URL, Edge

from local.names import ALB_CLIENT, PASSWORD, PUBLIC_CLIENT

pytestmark = pytest.mark.slow

VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-and-more"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = f"{API_URL}/oauth/callback"


class Form(HTMLParser):
    """The fields of a page's form, and what labels and scripts it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.shown: set[str] = set()
        self.labelled: set[str] = set()
        self.addresses: list[str] = []
        self.language: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value for name in ("href", "src", "action") if (value := given.get(name))]
        if tag == "html":
            self.language = given.get("lang")
        if tag == "label":
            self.labelled.add(given.get("for") or "")
        if tag == "input":
            self.fields[given.get("name") or ""] = given.get("value") or ""
            if given.get("type") != "hidden":
                self.shown.add(given.get("id") or "")


def authorize_url(edge: Edge, **changes: str | None) -> str:
    query = {
        "client_id": PUBLIC_CLIENT,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": "openid",
        "state": "the-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    return f"{edge.login}/oauth2/authorize?{urlencode({name: value for name, value in query.items() if value})}"


def answer_in(response: httpx2.Response) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


async def send_form(
    browser: httpx2.AsyncClient, start: str, user: str = "alice", password: str = PASSWORD
) -> httpx2.Response:
    page = await browser.get(start, follow_redirects=True)
    assert page.status_code == 200, page.text
    form = Form(page.text).fields | {"username": user, "password": password}
    return await browser.post(page.url, data=form)


async def log_in(browser: httpx2.AsyncClient, edge: Edge, user: str = "alice") -> str:
    response = await send_form(browser, authorize_url(edge), user)
    assert response.status_code == 302
    assert response.headers["location"].startswith(f"{REDIRECT}?")
    assert answer_in(response)["state"] == "the-state"
    return answer_in(response)["code"]


async def token(browser: httpx2.AsyncClient, edge: Edge, **form: str) -> httpx2.Response:
    given = {"grant_type": "authorization_code", "client_id": PUBLIC_CLIENT, "redirect_uri": REDIRECT}
    return await browser.post(f"{edge.login}/oauth2/token", data=given | {"code_verifier": VERIFIER} | form)


async def test_a_program_logs_a_person_in_by_code_and_pkce(browser: httpx2.AsyncClient, edge: Edge) -> None:
    answer = (await token(browser, edge, code=await log_in(browser, edge, "frank"))).json()
    claims = jwt.get_unverified_claims(answer["access_token"])
    assert (claims["username"], claims["client_id"]) == ("frank", PUBLIC_CLIENT)
    assert set(claims["cognito:groups"]) == {"finance", "finance-leads"}
    assert answer["token_type"] == "Bearer"
    assert jwt.get_unverified_claims(answer["id_token"])["token_use"] == "id"


async def test_a_code_counts_once(browser: httpx2.AsyncClient, edge: Edge) -> None:
    code = await log_in(browser, edge)
    assert (await token(browser, edge, code=code)).status_code == 200
    again = await token(browser, edge, code=code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "form",
    [
        {"code_verifier": VERIFIER + "x"},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:51235/oauth/callback"},
        {"code": "guessed"},
    ],
)
async def test_a_stolen_code_is_worth_nothing(browser: httpx2.AsyncClient, edge: Edge, form: dict[str, str]) -> None:
    refused = await token(browser, edge, **({"code": await log_in(browser, edge)} | form))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_a_code_of_the_public_client_is_not_for_another(browser: httpx2.AsyncClient, edge: Edge) -> None:
    refused = await token(browser, edge, code=await log_in(browser, edge), client_id=ALB_CLIENT)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid admin"}, "invalid_scope"),
    ],
)
async def test_a_program_is_told_what_it_may_not_ask(
    browser: httpx2.AsyncClient, edge: Edge, changes: dict[str, str | None], error: str
) -> None:
    response = await browser.get(authorize_url(edge, **changes))
    assert response.status_code == 302
    assert response.headers["location"].startswith(f"{REDIRECT}?")
    assert (answer_in(response)["error"], answer_in(response)["state"]) == (error, "the-state")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:80@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:51235/oauth/callback"},
        {"redirect_uri": "http://127.0.0.1/oauth/callback"},
        {"redirect_uri": "http://localhost:51234/oauth/callback"},
        {"redirect_uri": "http://127.0.0.1:51234/oauth/callback/"},
        {"redirect_uri": "http://127.0.0.1:51234/oauth/callback?x=1"},
        {"redirect_uri": "http://127.0.0.1:51234/elsewhere"},
        {"redirect_uri": "http://127.0.0.1:51234/oauth/callback#x"},
        {"redirect_uri": "https://127.0.0.1:51234/oauth/callback"},
        {"redirect_uri": None},
    ],
)
async def test_nobody_is_sent_where_no_client_is(
    browser: httpx2.AsyncClient, edge: Edge, changes: dict[str, str | None]
) -> None:
    response = await browser.get(authorize_url(edge, **changes))
    assert response.status_code == 400
    assert "location" not in response.headers
    assert "Sign-in is not possible" in response.text


@pytest.mark.parametrize(("user", "password"), [("alice", "guessed"), ("nobody", PASSWORD), ("", "")])
async def test_wrong_credentials_are_told_without_saying_which(
    browser: httpx2.AsyncClient, edge: Edge, user: str, password: str
) -> None:
    response = await send_form(browser, authorize_url(edge), user, password)
    assert response.status_code == 400
    assert "Incorrect username or password." in response.text
    assert 'type="password"' in response.text
    assert "guessed" not in response.text


async def test_a_name_is_text_on_the_page(browser: httpx2.AsyncClient, edge: Edge) -> None:
    response = await send_form(browser, authorize_url(edge), '"><script>alert(1)</script>')
    assert "<script>alert" not in response.text


async def test_the_form_of_another_site_is_refused(browser: httpx2.AsyncClient, edge: Edge) -> None:
    page = await browser.get(authorize_url(edge), follow_redirects=True)
    forged = Form(page.text).fields | {"username": "alice", "password": PASSWORD}
    browser.cookies.clear()
    response = await browser.post(page.url, data=forged)
    assert (response.status_code, "location" in response.headers) == (400, False)


async def test_a_refresh_token_renews_until_it_is_revoked(browser: httpx2.AsyncClient, edge: Edge) -> None:
    first = (await token(browser, edge, code=await log_in(browser, edge, "dana"))).json()
    renewal = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    renewed = (await token(browser, edge, **renewal)).json()
    assert jwt.get_unverified_claims(renewed["access_token"])["username"] == "dana"
    assert "refresh_token" not in renewed
    revoked = {"token": first["refresh_token"], "client_id": PUBLIC_CLIENT}
    assert (await browser.post(f"{edge.login}/oauth2/revoke", data=revoked)).status_code == 200
    refused = await token(browser, edge, **renewal)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_pkce_is_not_required_as_at_cognito(browser: httpx2.AsyncClient, edge: Edge) -> None:
    start = authorize_url(edge, code_challenge=None, code_challenge_method=None)
    code = answer_in(await send_form(browser, start))["code"]
    assert (await token(browser, edge, code=code)).status_code == 200


async def test_an_access_token_names_the_client_and_no_audience(browser: httpx2.AsyncClient, edge: Edge) -> None:
    answer = (await token(browser, edge, code=await log_in(browser, edge))).json()
    claims = jwt.get_unverified_claims(answer["access_token"])
    assert (claims["client_id"], claims["token_use"], "aud" in claims) == (PUBLIC_CLIENT, "access", False)


@pytest.mark.parametrize("form", [{"grant_type": "password"}, {"grant_type": ""}])
async def test_other_grants_are_refused(browser: httpx2.AsyncClient, edge: Edge, form: dict[str, str]) -> None:
    assert (await token(browser, edge, **form)).json()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize(
    ("target", "status"), [("{app}", 302), ("https://evil.example", 400), ("{app}.evil.example", 400), ("", 400)]
)
async def test_logging_out_leads_to_the_app_only(
    browser: httpx2.AsyncClient, edge: Edge, target: str, status: int
) -> None:
    query = urlencode({"client_id": ALB_CLIENT, "logout_uri": target.format(app=edge.app)})
    response = await browser.get(f"{edge.login}/logout?{query}")
    assert response.status_code == status


async def test_the_login_page_is_for_everybody(browser: httpx2.AsyncClient, edge: Edge) -> None:
    page = await browser.get(authorize_url(edge), follow_redirects=True)
    form = Form(page.text)
    assert form.language == "en"
    assert form.shown == form.labelled == {"username", "password"}
    assert "<title>Sign in" in page.text
    assert [address for address in form.addresses if not address.startswith("/")] == []
    assert "style=" not in page.text
    policy: Any = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = await browser.get(f"{edge.login}/edge/style.css")
    assert style.headers["content-type"].startswith("text/css")
    assert not re.search(r"url\(|@import", style.text)
