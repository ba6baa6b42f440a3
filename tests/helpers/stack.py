"""The local stack as system tests see it: addresses, tokens, processes, logs, and the stand-in for AWS."""

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import psutil

from local import names
from local.kubernetes.control_plane import free_ports
from local.stack import Stack as LocalStack

ROOT = Path(__file__).parents[2]
COMMANDS = Path(sys.executable).parent
"""Where this environment's commands are: `local`, `fileproc`."""

USERS = {user.name: frozenset(user.groups) for user in names.DEMO_USERS}

Settings = Mapping[str, Mapping[str, str]]
"""Environment variables by process."""


class Stack(LocalStack):
    """A stack of a test's own, and what tests ask of it."""

    @property
    def api(self) -> str:
        """The address that programs use."""
        return self.addresses.api

    @property
    def app(self) -> str:
        """The address that browsers use."""
        return self.addresses.app

    @property
    def gateway(self) -> str:
        """The gateway itself: the edge in front of it is only a stand-in for the load balancers."""
        return self.addresses.gateway

    @property
    def departments_folder(self) -> Path:
        """Where all services read Department objects from."""
        return self.state.departments

    @property
    def logs(self) -> list[Path]:
        """Every log file."""
        return sorted(self.state.logs.iterdir())

    @cached_property
    def tokens(self) -> dict[str, str]:
        """An access token of each demo user."""
        return {user: self.token(user) for user in USERS}

    def id_token(self, user: str) -> str:
        """The ID token that comes beside an access token."""
        answer = self.client("cognito-idp").initiate_auth(
            ClientId=names.PUBLIC_CLIENT,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": user, "PASSWORD": names.PASSWORD},
        )
        return str(answer["AuthenticationResult"]["IdToken"])

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: str) -> Any:
        """boto3's client of a service of this stack's AWS; made once, as that takes a while."""
        if service not in self._clients:
            session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=names.REGION)
            made = session.client(service, endpoint_url=self.addresses.aws)  # type: ignore[call-overload]
            self._clients[service] = made
        return self._clients[service]

    @property
    def shell_environment(self) -> dict[str, str]:
        """What a terminal has where this stack is meant."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FILEPROC_"))}
        own = {"LOCAL_STATE": str(self.state.path), "LOCAL_PORT": str(self.addresses.first_port), "NO_COLOR": "1"}
        return {**inherited, **own}


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def processes_of(folder: Path) -> Iterator[psutil.Process]:
    """The processes that were told of a folder, by their environment or on their command line."""
    for process in psutil.process_iter():
        try:
            told = [*process.environ().values(), *process.cmdline()]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in text for text in told):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 20) -> None:
    """Poll until `condition` holds, or fail and say what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    """One free port."""
    return free_ports(1)[0]
