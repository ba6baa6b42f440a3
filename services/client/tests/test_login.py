import json
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from services.client.tests.conftest import Command
from services.client.tests.fake_login import PASSWORD
from services.client.tests.fake_service import FakeService

from fileproc.errors import Refused
from fileproc.login.browser import CallbackServer
from fileproc.login.discovery import AuthorizationServer
from fileproc.login.store import Login, LoginStore

pytestmark = pytest.mark.slow

NO_TOKEN: dict[str, str | None] = {"FILEPROC_TOKEN": None}
AWS: dict[str, str | None] = {
    "FILEPROC_TOKEN": None,
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE000000000",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "session+token/==",
    "AWS_EC2_METADATA_DISABLED": "true",
}

# Follows redirects as a browser does, whatever they lead to.
BROWSER = "import sys, httpx2; httpx2.get(sys.argv[1], follow_redirects=True)"


@pytest.fixture
def browser(tmp_path: Path) -> dict[str, str | None]:
    script = tmp_path / "browser.py"
    script.write_text(BROWSER)
    return {"BROWSER": f"{sys.executable} {script} %s", **NO_TOKEN}


def login_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "data" / "fileproc" / "logins").iterdir())


def stored(tmp_path: Path) -> dict[str, object]:
    (file,) = login_files(tmp_path)
    found: dict[str, object] = json.loads(file.read_text())
    return found


def test_login_by_browser_proves_itself_with_pkce_and_is_remembered(
    command: Command, service: FakeService, browser: dict[str, str | None], tmp_path: Path
) -> None:
    done = command("login", env=browser)
    assert done.exit_code == 0, done.output
    assert "as alice" in done.stderr
    (authorize,) = service.asked("GET", "/oauth2/authorize")
    assert authorize.query_params["code_challenge_method"] == "S256"
    assert authorize.query_params["scope"] == "openid"
    assert urlsplit(authorize.query_params["redirect_uri"]).hostname == "127.0.0.1"
    assert service.login.registered[0]["redirect_uris"] == [authorize.query_params["redirect_uri"]]
    assert command("departments", env=NO_TOKEN).exit_code == 0
    assert stored(tmp_path)["refresh_token"] == "refresh-1"


def test_only_the_owner_can_read_the_login(command: Command, browser: dict[str, str | None], tmp_path: Path) -> None:
    command("login", env=browser)
    (file,) = login_files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_without_a_browser_the_address_is_printed(command: Command, service: FakeService) -> None:
    process = command.start("login", "--no-browser", "--json", env={"FILEPROC_TOKEN": ""})
    assert process.stderr
    assert process.stdout
    address = next(line for line in process.stderr if line.startswith(b"http")).decode().strip()
    redirect = parse_qs(urlsplit(address).query)["redirect_uri"][0]
    forged = httpx2.get(f"{redirect}?code=stolen&state=guessed")
    assert forged.status_code == 404
    assert "You are logged in" in httpx2.get(address, follow_redirects=True).text
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(out)["user"] == "alice"


def test_a_login_that_is_denied_is_told_in_the_words_of_the_pool(
    command: Command, service: FakeService, browser: dict[str, str | None]
) -> None:
    service.login.denial = "User is not confirmed"
    done = command("login", env=browser)
    assert done.exit_code == 3
    assert "User is not confirmed" in done.stderr


@pytest.mark.parametrize("issuer", ["https://evil.example.com", ""])
def test_an_answer_of_another_server_is_refused(
    command: Command, service: FakeService, browser: dict[str, str | None], issuer: str
) -> None:
    service.login.extra = {"iss": issuer}
    done = command("login", env=browser)
    assert done.exit_code == 3
    assert not service.asked("POST", "/oauth2/token")


def test_nobody_coming_back_from_the_browser_ends_the_login() -> None:
    with CallbackServer() as waiting, pytest.raises(Refused, match="Nobody logged in"):
        waiting.wait(0)


def test_documents_for_another_gateway_are_not_followed(command: Command, service: FakeService) -> None:
    service.login.resource = "https://api.example.com"
    done = command("login", env=NO_TOKEN)
    assert done.exit_code == 6
    assert "https://api.example.com" in done.stderr


def test_nobody_logs_in_where_others_read_along(command: Command) -> None:
    done = command("--url", "http://api.example.com", "login", "--user", "alice", env={"FILEPROC_PASSWORD": "x"})
    assert done.exit_code == 4
    assert "https://" in done.stderr


def test_login_by_password(command: Command, service: FakeService, tmp_path: Path) -> None:
    env = {**NO_TOKEN, "FILEPROC_PASSWORD": PASSWORD, "AWS_ENDPOINT_URL": service.url}
    done = command("login", "--user", "alice", "--json", env=env)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["method"] == "password"
    assert command("jobs", env=NO_TOKEN).exit_code == 0
    assert PASSWORD not in json.dumps(stored(tmp_path))


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ({"__type": "NotAuthorizedException", "message": "Incorrect username or password."}, 400, "Incorrect username"),
        ({"__type": "InvalidParameterException", "message": "USER_PASSWORD_AUTH flow not enabled"}, 400, "the browser"),
        ({"ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": "x"}, 200, "SOFTWARE_TOKEN_MFA"),
    ],
)
def test_a_password_that_does_not_do_is_explained(
    command: Command, service: FakeService, answer: dict[str, object], status: int, words: str
) -> None:
    service.login.cognito, service.login.cognito_status = answer, status
    env = {"FILEPROC_PASSWORD": "wrong", "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": service.url}
    done = command("login", "--user", "alice", env=env)
    assert done.exit_code == 3
    assert words in done.stderr


def test_a_password_is_not_asked_for_where_nobody_can_answer(command: Command) -> None:
    done = command("login", "--user", "alice", env=NO_TOKEN)
    assert done.exit_code == 2
    assert "FILEPROC_PASSWORD" in done.stderr


def test_login_by_iam_signs_the_question_for_this_gateway_alone(command: Command, service: FakeService) -> None:
    done = command("login", "--iam", "--json", env=AWS)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["user"] == "arn:aws:iam::123456789012:role/on-premises"
    (url,) = service.login.presigned
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "sts.eu-central-1.amazonaws.com", "/")
    assert query["Action"] == "GetCallerIdentity"
    assert query["X-Amz-SignedHeaders"] == "host;x-fileproc-gateway"
    assert query["X-Amz-Security-Token"] == AWS["AWS_SESSION_TOKEN"]
    assert int(query["X-Amz-Expires"]) <= 60
    assert query["X-Amz-Credential"].endswith("/eu-central-1/sts/aws4_request")
    assert query["X-Amz-Signature"] == signature(query, urlsplit(service.url).netloc)
    assert query["X-Amz-Signature"] != signature(query, "api.example.com")


def signature(query: dict[str, str], gateway: str) -> str:
    """What AWS computes for the same question, sent to `gateway`."""
    signed = {name: value for name, value in query.items() if name != "X-Amz-Signature"}
    host = "sts.eu-central-1.amazonaws.com"
    request = AWSRequest("GET", f"https://{host}/?{urlencode(signed)}", headers={"x-fileproc-gateway": gateway})
    request.context["timestamp"] = query["X-Amz-Date"]
    request.headers["host"] = host
    auth = SigV4QueryAuth(Credentials("AKIDEXAMPLE000000000", "secret"), "sts", "eu-central-1")
    canonical = auth.canonical_request(request)
    return str(auth.signature(auth.string_to_sign(request, canonical), request))


def test_without_credentials_login_by_iam_says_what_to_set(command: Command, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "absent")
    env = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_CONFIG_FILE": nowhere}
    done = command("login", "--iam", env={**NO_TOKEN, **env})
    assert done.exit_code == 3
    assert "AWS_PROFILE" in done.stderr


@pytest.mark.parametrize("method", ["browser", "password", "iam"])
def test_a_token_that_is_about_to_end_is_renewed_silently(
    command: Command, service: FakeService, browser: dict[str, str | None], tmp_path: Path, method: str
) -> None:
    service.login.expires_in = 30
    env = {**browser, **AWS, "FILEPROC_PASSWORD": PASSWORD, "AWS_ENDPOINT_URL": service.url}
    how = {"browser": [], "password": ["--user", "alice"], "iam": ["--iam"]}[method]
    assert command("login", *how, env=env).exit_code == 0
    before = stored(tmp_path)["access_token"]
    service.tokens.clear()
    done = command("jobs", env=env)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert stored(tmp_path)["access_token"] != before


def test_a_token_that_the_gateway_refuses_is_renewed_once(
    command: Command, service: FakeService, browser: dict[str, str | None]
) -> None:
    command("login", env=browser)
    service.tokens.clear()
    assert command("jobs", env=NO_TOKEN).exit_code == 0
    service.tokens.clear()
    service.login.refresh_tokens.clear()
    done = command("jobs", env=NO_TOKEN)
    assert done.exit_code == 3
    assert "fileproc login" in done.stderr


def test_logout_revokes_and_forgets(
    command: Command, service: FakeService, browser: dict[str, str | None], tmp_path: Path
) -> None:
    command("login", env=browser)
    assert command("logout", env=NO_TOKEN).exit_code == 0
    assert service.login.refresh_tokens == set()
    assert login_files(tmp_path) == []
    assert command("jobs", env=NO_TOKEN).exit_code == 3
    assert "not logged in" in command("logout", env=NO_TOKEN).stderr


def test_the_only_login_tells_the_gateway(command: Command, browser: dict[str, str | None], tmp_path: Path) -> None:
    assert command("jobs", env={"FILEPROC_URL": None}).exit_code == 2
    command("login", env=browser)
    assert command("jobs", env={**NO_TOKEN, "FILEPROC_URL": None}).exit_code == 0


def test_a_damaged_login_counts_as_none(tmp_path: Path) -> None:
    store = LoginStore(tmp_path / "logins")
    store.save("https://api.example.com", Login(method="iam", access_token="t", expires_at=0))
    (file,) = (tmp_path / "logins").iterdir()
    file.write_bytes(b"\xff{")
    assert store.load("https://api.example.com") is None
    assert store.urls() == ["https://api.example.com"]


@pytest.mark.parametrize(
    ("keys", "region"),
    [
        ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab3dEf/.well-known/jwks.json", "eu-central-1"),
        ("http://127.0.0.1:8705/us-gov-west-1_fileproc/.well-known/jwks.json", "us-gov-west-1"),
        ("https://login.example.com/keys", None),
    ],
)
def test_the_region_is_that_of_the_user_pool(keys: str, region: str | None) -> None:
    url = "https://api.example.com"
    server = AuthorizationServer(
        issuer=url, authorization_endpoint=url, token_endpoint=url, registration_endpoint=url, jwks_uri=keys
    )
    assert server.region == region


def test_botocore_is_not_loaded_where_it_is_not_needed() -> None:
    code = "import fileproc.main, sys; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 0
