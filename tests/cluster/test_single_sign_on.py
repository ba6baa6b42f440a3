"""People log in to Argo CD as they do on AWS (code and PKCE, groups as Cognito writes them), and see what is theirs."""

import base64
import hashlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from jose import jwt
from moto.utilities.utils import load_resource
from tests.helpers.gitops import ARGOCD
from tests.helpers.kustomize import BUILD_SECONDS
from tests.helpers.tokens import pool_key

from local.kubernetes.cluster import Cluster
from local.kubernetes.control_plane import free_ports
from local.kubernetes.kubectl import wait_for
from local.kubernetes.tools import tool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_SECONDS)]

CLIENT: Final = "argocd-client"
DEPARTMENTS: Final = ("department-finance", "department-hr", "department-legal")
PEOPLE: Final = {"paula": ["platform"], "alice": ["finance"], "eve": []}


class Provider(ThreadingHTTPServer):
    """An identity provider with Cognito's claims; who is asked to log in is `person`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.person = ""
        self.challenges: dict[str, str] = {}

    def id_token(self) -> str:
        key, now = pool_key(), int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": f"sub-of-{self.person}",
            "token_use": "id",
            "email": f"{self.person}@example.com",
            "cognito:username": self.person,
            "cognito:groups": PEOPLE[self.person],
            "iat": now,
            "exp": now + 3600,
        }
        return str(jwt.encode(claims, key, "RS256", headers={"kid": key["kid"]}))


class Answers(BaseHTTPRequestHandler):
    """Discovery, keys, and the two ends of the code flow."""

    server: Provider

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/.well-known/openid-configuration":
            issuer = self.server.issuer
            self.say(
                {
                    "issuer": issuer,
                    "authorization_endpoint": f"{issuer}/oauth2/authorize",
                    "token_endpoint": f"{issuer}/oauth2/token",
                    "jwks_uri": f"{issuer}/jwks.json",
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "response_types_supported": ["code"],
                    "scopes_supported": ["openid", "email", "profile"],
                    "subject_types_supported": ["public"],
                }
            )
        elif address.path == "/jwks.json":
            self.say(load_resource("cognitoidp/resources/jwks-public.json"))
        else:
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            assert asked["client_id"] == CLIENT
            assert asked["code_challenge_method"] == "S256"
            self.server.challenges["a-code"] = asked["code_challenge"]
            self.send_response(302)
            answer = urlencode({"code": "a-code", "state": asked["state"]})
            self.send_header("Location", f"{asked['redirect_uri']}?{answer}")
            self.end_headers()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        assert proof == self.server.challenges.pop(form["code"][0])
        assert "client_secret" not in form
        token = self.server.id_token()
        self.say({"id_token": token, "access_token": token, "token_type": "Bearer", "expires_in": 3600})

    def say(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server(cluster: Cluster, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Argo CD's API server as it is installed, which asks for a login; `make cluster` runs one that does not."""
    wait_for(lambda: {"agentgateway", *DEPARTMENTS} <= names(cluster), 180, "there are Applications to look at")
    port, metrics = free_ports(2)
    address = f"127.0.0.1:{port}"
    secret = {"issuer": provider.issuer, "clientID": CLIENT}
    labels = {"app.kubernetes.io/part-of": "argocd"}
    metadata = {"name": "argocd-sso", "namespace": ARGOCD, "labels": labels}
    cluster.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret})
    cluster.kubectl.patch("configmap", "argocd-cm", {"data": {"url": f"http://{address}"}}, namespace=ARGOCD)
    [installed] = [program for program in cluster.programs if program.name == "argocd-server"]
    kept = [part for part in installed.command if not re.match("--(disable-auth$|port=|metrics-port=)", part)]
    command = [*kept, f"--port={port}", f"--metrics-port={metrics}"]
    log = tmp_path_factory.mktemp("server") / "log"
    environment = {**os.environ, **installed.environment}
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            wait_for(partial(answers, f"http://{address}/healthz"), 90, "Argo CD's server answers", state=log.read_text)
            yield address
        finally:
            process.kill()


def names(cluster: Cluster) -> set[str]:
    """All Applications."""
    return {each["metadata"]["name"] for each in cluster.kubectl.list("applications.argoproj.io", namespace=ARGOCD)}


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=10).is_success
    except httpx2.TransportError:
        return False


@dataclass(frozen=True)
class Person:
    """Someone who has logged in by Argo CD's own command."""

    folder: Path
    address: str

    def argocd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = ("--config", str(self.folder / "config"), "--server", self.address, "--plaintext")
        command = [str(tool("argocd")), *arguments, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def log_in(self) -> None:
        """As `argocd login --sso` does, with this process in the browser's place."""
        [port] = free_ports(1)
        options = ("--sso", f"--sso-port={port}", "--sso-launch-browser=false", "--plaintext", "--skip-test-tls")
        command = [str(tool("argocd")), "login", self.address, *options, "--config", str(self.folder / "config")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as login:
            try:
                assert login.stdout is not None
                said = ""
                for line in login.stdout:
                    said += line
                    if found := re.match(r"Performing authorization_code flow login: (\S+)", line):
                        # It listens for the answer a moment after it has said where to log in.
                        back = httpx2.get(found[1], timeout=30).headers["location"]
                        wait_for(partial(answers, back), 30, "the command takes the code")
                assert login.wait(30) == 0, said
            finally:
                login.kill()


@pytest.fixture
def person(request: pytest.FixtureRequest, server: str, provider: Provider, tmp_path: Path) -> Person:
    """Whoever the test names, logged in."""
    provider.person = request.param
    someone = Person(tmp_path, server)
    someone.log_in()
    return someone


def applications(person: Person) -> set[str]:
    listed = person.argocd("app", "list", "--output=name")
    assert listed.returncode == 0, listed.stderr
    return {line.rpartition("/")[2] for line in listed.stdout.split()}


@pytest.mark.parametrize("person", ["paula"], indirect=True)
def test_the_platform_team_logs_in_and_sees_everything(cluster: Cluster, person: Person) -> None:
    assert applications(person) == names(cluster)
    shown = person.argocd("app", "get", "department-hr", "--output=json")
    assert shown.returncode == 0, shown.stderr
    assert "yes" in person.argocd("account", "can-i", "sync", "applications", "file-processing/agentgateway").stdout


@pytest.mark.parametrize("person", ["alice"], indirect=True)
def test_a_departments_member_logs_in_sees_their_own_and_changes_nothing(person: Person) -> None:
    assert applications(person) == {"department-finance"}
    others = person.argocd("app", "get", "department-hr")
    assert others.returncode != 0
    assert "permission denied" in others.stderr.lower()
    assert (
        "no"
        in person.argocd("account", "can-i", "sync", "applications", "department-finance/department-finance").stdout
    )
    for change in (("app", "sync", "department-finance"), ("app", "delete", "department-finance", "--yes")):
        refused = person.argocd(*change)
        assert refused.returncode != 0
        assert "permission denied" in refused.stderr.lower()


@pytest.mark.parametrize("person", ["eve"], indirect=True)
def test_who_is_in_no_group_logs_in_and_sees_nothing(person: Person) -> None:
    assert applications(person) == set()


def test_who_has_not_logged_in_is_told_to(server: str, tmp_path: Path) -> None:
    refused = Person(tmp_path, server).argocd("app", "list")
    assert refused.returncode != 0
    assert "Unauthenticated" in refused.stderr or "no session information" in refused.stderr
