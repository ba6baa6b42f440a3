"""The services behind the gateway, asked directly, as another process of the cluster could."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from tests.helpers.rest import Answer, Rest
from tests.helpers.stack import Stack
from tests.helpers.wire import Wire

from local import names


@dataclass(frozen=True)
class Account:
    """A ServiceAccount, by what its pod has mounted."""

    name: str
    url: str
    file: Path

    async def token(self, session: aiohttp.ClientSession, audience: str) -> str:
        """A token for `audience`, by the TokenRequest API."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 600},
        }
        headers = {"Authorization": f"Bearer {self.file.read_text().strip()}"}
        answer = await Rest(session, self.url, headers).good("POST", "", body=body)
        return str(answer.json["status"]["token"])


@dataclass(frozen=True)
class Service:
    """One service; its name is also the audience of its tokens."""

    name: str
    url: str

    async def ask(self, session: aiohttp.ClientSession, headers: Mapping[str, str]) -> Answer:
        """Something that any caller may ask."""
        if self.name == "application":
            return await Rest(session, self.url, headers).call("GET", "/api/departments")
        return await Wire(session, f"{self.url}/mcp", headers).call("tools/list")


def accounts(stack: Stack) -> list[Account]:
    """The ServiceAccounts of all services."""
    folder = f"{stack.addresses.cluster}/api/v1/namespaces/{names.NAMESPACE}/serviceaccounts"
    return [
        Account(name, f"{folder}/{name}/token", stack.state.token(name))
        for service in stack.services
        if (name := service.environment.get("SERVICE_ACCOUNT")) is not None
    ]


def services(stack: Stack) -> list[Service]:
    """The application and every department's server."""
    return [
        Service(name, f"http://127.0.0.1:{service.environment['PORT']}")
        for service in stack.services
        if (name := service.environment.get("SERVICE_ACCOUNT", "")) == "application" or name.startswith("mcp-")
    ]
