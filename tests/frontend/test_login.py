"""Who comes in, who does not, and what happens when a login ends."""

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import expect
from tests.frontend.expected import SAMPLES
from tests.frontend.person import People
from tests.helpers.stack import Stack
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from local import names

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COOKIE = "AWSELBAuthSessionCookie-0"
TOKEN = "x-amzn-oidc-accesstoken"  # the name of a header


def page_url(site: Stack) -> str:
    """One replica itself, without the load balancer in front of it."""
    return f"http://127.0.0.1:{site.addresses.frontend_port(0)}"


def alb_token(site: Stack, user: str) -> str:
    """An access token as the load balancer's client gets it, and not another's."""
    answer = site.client("cognito-idp").admin_initiate_auth(
        UserPoolId=names.POOL,
        ClientId=names.ALB_CLIENT,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user, "PASSWORD": names.PASSWORD},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


@pytest.fixture
def direct(site: Stack) -> Iterator[httpx2.Client]:
    """Requests to a replica itself."""
    with httpx2.Client(base_url=page_url(site), timeout=60) as client:
        yield client


def test_after_the_login_one_is_where_one_wanted_to_be(people: People) -> None:
    person = people("alice", sign_in=False)
    person.page.goto(f"{person.url}/fileproc/playground")
    person.fill_in_login()
    person.see_chat()
    assert "/flow/" in person.page.url


def test_an_expired_login_on_the_first_page_is_told_and_mended_by_one_click(people: People) -> None:
    person = people("alice")
    person.page.context.clear_cookies(name=COOKIE)
    person.choose(SAMPLES / "invoices.csv")
    expect(person.page.get_by_role("alert").first).to_contain_text("Your session has expired")
    person.look("session has expired")
    person.page.get_by_role("link", name="Sign in again").click()
    expect(person.page.get_by_label("Username")).to_be_visible()
    person.forget_refusals()


def test_an_expired_login_in_the_chat_leads_to_the_login_and_back_to_the_chat(people: People) -> None:
    person = people("alice")
    person.open_chat()
    person.page.context.clear_cookies(name=COOKIE)
    person.write("hello")
    expect(person.page.get_by_label("Username")).to_be_visible()
    person.look("sign in again")
    person.fill_in_login()
    person.see_chat()
    person.errors.clear()  # what the page asked for meanwhile was refused, and the browser says so


def test_who_signs_out_is_out(people: People) -> None:
    person = people("alice")
    person.page.get_by_role("link", name="Sign out").click()
    expect(person.page.get_by_label("Username")).to_be_visible()
    for path in ("/", "/flows", "/fileproc/playground"):
        person.page.goto(f"{person.url}{path}")
        expect(person.page.get_by_label("Username")).to_be_visible()
    assert COOKIE not in {each["name"] for each in person.page.context.cookies()}


@pytest.mark.parametrize("path", ["/", "/flows", "/api/v1/flows/", "/assets/x.js", "/api/v1/users/whoami", "/logs"])
@pytest.mark.parametrize("token", ["", "x", "eyJhbGciOiJub25lIn0.e30."])
def test_without_a_token_that_counts_nothing_is_served(direct: httpx2.Client, path: str, token: str) -> None:
    answer = direct.get(path, headers={TOKEN: token})
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith("You are not signed in")


def test_another_clients_token_does_not_count(site: Stack, direct: httpx2.Client) -> None:
    assert direct.get("/", headers={TOKEN: alb_token(site, "alice")}).status_code == 200
    assert direct.get("/", headers={TOKEN: site.token("alice")}).status_code == 401


def test_an_identity_token_and_a_changed_one_do_not_count(site: Stack, direct: httpx2.Client) -> None:
    token = alb_token(site, "alice")
    head, body, signature = token.split(".")
    changed = ("A" if signature[10] != "A" else "B").join((signature[:10], signature[11:]))
    assert direct.get("/", headers={TOKEN: f"{head}.{body}.{changed}"}).status_code == 401


def test_a_websocket_without_a_token_is_refused(site: Stack) -> None:
    url = page_url(site).replace("http", "ws")
    with pytest.raises(InvalidStatus), connect(f"{url}/api/v1/voice/ws/flow_as_tool/x"):
        pass


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/login"),
        ("GET", "/api/v1/api_key/"),
        ("POST", "/api/v1/api_key/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
    ],
)
def test_langflows_own_ways_in_are_closed(site: Stack, direct: httpx2.Client, method: str, path: str) -> None:
    answer = direct.request(method, path, headers={TOKEN: alb_token(site, "alice")}, data={"username": "administrator"})
    assert answer.status_code == 404


def test_nobody_is_an_administrator_and_nobody_signs_up(site: Stack, direct: httpx2.Client) -> None:
    headers = {TOKEN: alb_token(site, "dana"), "origin": site.app}
    assert direct.get("/api/v1/users/whoami", headers=headers).json()["is_superuser"] is False
    body = {"username": "mallory", "password": "Mallory-password-1"}
    assert direct.post("/api/v1/users/", headers=headers, json=body).status_code in {400, 401, 403}
    assert direct.get("/api/v1/users/", headers=headers).status_code in {401, 403}


def test_a_write_from_another_site_is_refused(site: Stack, direct: httpx2.Client) -> None:
    headers = {TOKEN: alb_token(site, "alice"), "origin": "https://evil.example"}
    assert direct.post("/api/v1/flows/", headers=headers, json={"name": "x"}).status_code == 403


def test_users_may_not_run_code_of_their_own(site: Stack, direct: httpx2.Client) -> None:
    headers = {TOKEN: alb_token(site, "alice"), "origin": site.app}
    code = "from lfx.custom import Component\nclass Mine(Component):\n    display_name = 'Mine'\n"
    answer = direct.post("/api/v1/custom_component", headers=headers, json={"code": code})
    assert answer.status_code in {400, 403}
    command = {"command": "python", "args": ["-c", "print(1)"]}
    assert direct.post("/api/v2/mcp/servers/mine", headers=headers, json=command).is_client_error
    assert "mine" not in direct.get("/api/v2/mcp/servers", headers=headers).text


def test_the_page_may_load_nothing_from_elsewhere(site: Stack, direct: httpx2.Client) -> None:
    answer = direct.get("/flows", headers={TOKEN: alb_token(site, "alice"), "accept": "text/html"})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "googleapis" not in answer.text
