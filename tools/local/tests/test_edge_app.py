from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from jose import jwt
from tools.local.tests.conftest import Edge
from tools.local.tests.test_edge_login import send_form

from local.names import ALB_CLIENT

pytestmark = pytest.mark.slow

SESSION_COOKIE = "AWSELBAuthSessionCookie-0"


async def enter(browser: httpx2.AsyncClient, edge: Edge, path: str = "/", user: str = "alice") -> httpx2.Response:
    """Ask for a page of the app, log in, come back."""
    back = await send_form(browser, f"{edge.app}{path}", user)
    assert back.headers["location"].startswith(f"{edge.app}/oauth2/idpresponse?")
    return await browser.get(back.headers["location"])


def headers_of(response: httpx2.Response) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in response.json()["headers"]:
        found.setdefault(name, []).append(value)
    return found


async def test_whoever_logs_in_comes_where_they_wanted(browser: httpx2.AsyncClient, edge: Edge) -> None:
    response = await enter(browser, edge, "/flows/1?tab=a%2Fb")
    assert (response.status_code, response.headers["location"]) == (302, f"{edge.app}/flows/1?tab=a%2Fb")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


async def test_a_login_never_leads_to_another_host(browser: httpx2.AsyncClient, edge: Edge) -> None:
    response = await enter(browser, edge, "//evil.example/x")
    assert urlsplit(response.headers["location"]).netloc == urlsplit(edge.app).netloc


async def test_the_gateway_gets_a_real_access_token(browser: httpx2.AsyncClient, edge: Edge) -> None:
    await enter(browser, edge, user="frank")
    response = await browser.get(f"{edge.app}/gateway/api/departments?x=1")
    found = headers_of(response)
    (access,) = found["x-amzn-oidc-accesstoken"]
    claims = jwt.get_unverified_claims(access)
    assert (claims["username"], claims["client_id"]) == ("frank", ALB_CLIENT)
    assert set(claims["cognito:groups"]) == {"finance", "finance-leads"}
    assert found["x-amzn-oidc-identity"] == [claims["sub"]]
    assert jwt.get_unverified_claims(found["x-amzn-oidc-data"][0])["email"] == "frank@example.com"
    assert response.json()["path"] == "/gateway/api/departments?x=1"


@pytest.mark.parametrize(
    "name", ["x-amzn-oidc-accesstoken", "X-AMZN-OIDC-Identity", "x_amzn_oidc_data", "x-amzn-oidc-x"]
)
async def test_headers_of_the_load_balancer_cannot_be_forged(
    browser: httpx2.AsyncClient, edge: Edge, name: str
) -> None:
    await enter(browser, edge)
    response = await browser.get(f"{edge.app}/gateway/api/jobs", headers={name: "forged"})
    assert response.status_code == 207
    assert "forged" not in response.text


async def test_a_program_without_a_session_is_told(browser: httpx2.AsyncClient, edge: Edge) -> None:
    for cookies in ({}, {SESSION_COOKIE: "guessed"}):
        response = await browser.get(f"{edge.app}/gateway/api/jobs", headers={"cookie": _cookie(cookies)})
        assert response.status_code == 401


def _cookie(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


async def test_a_login_that_another_browser_began_is_refused(browser: httpx2.AsyncClient, edge: Edge) -> None:
    back = await send_form(browser, f"{edge.app}/")
    async with httpx2.AsyncClient(timeout=30) as victim:
        response = await victim.get(back.headers["location"])
        assert (response.status_code, "set-cookie" in response.headers) == (401, False)


async def test_a_login_counts_once(browser: httpx2.AsyncClient, edge: Edge) -> None:
    back = await send_form(browser, f"{edge.app}/")
    assert (await browser.get(back.headers["location"])).status_code == 302
    assert (await browser.get(back.headers["location"])).status_code == 401


async def test_the_home_page_says_who_is_logged_in(browser: httpx2.AsyncClient, edge: Edge) -> None:
    await enter(browser, edge, user="carol")
    page = await browser.get(f"{edge.app}/")
    assert "carol" in page.text
    assert f"{edge.api}/mcp" in page.text
    script = await browser.get(f"{edge.app}/edge/home.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert (await browser.get(f"{edge.app}/elsewhere")).status_code == 404


async def test_logging_out_ends_the_session(browser: httpx2.AsyncClient, edge: Edge) -> None:
    await enter(browser, edge)
    page = await browser.get(f"{edge.app}/")
    start = page.text.index(f"{edge.login}/logout")
    logout = page.text[start : page.text.index('"', start)].replace("&amp;", "&")
    response = await browser.get(logout)
    assert response.headers["location"] == edge.app
    again: Any = await browser.get(f"{edge.app}/")
    assert again.status_code == 302
