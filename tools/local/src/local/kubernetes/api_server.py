"""GET requests to a cluster's API server, without a process for each: tests ask every fraction of a second."""

import json
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import yaml

# One request for all groups of `/api` or `/apis`: https://kubernetes.io/docs/concepts/overview/kubernetes-api/
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SECONDS = 60


class RequestError(Exception):
    """The API server refused or did not answer; the message says why."""


class NotFound(RequestError):
    """There is no such object."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, as the API server's discovery document describes it.

    Attributes:
        version: With its group, as objects write it: `apps/v1`, `v1`.
        kind: `Deployment`.
        name: In paths: `deployments`.
        names: Under which a person may ask for it, in lower case, without the group.
    """

    version: str
    kind: str
    name: str
    namespaced: bool
    names: frozenset[str]

    def answers_to(self, kind: str) -> bool:
        """Whether a person means this by `kind`, which may end in a group."""
        name, _, group = kind.lower().partition(".")
        return name in self.names and group in ("", self.version.rpartition("/")[0])

    def path(self, namespace: str, name: str = "") -> str:
        """Of one object, or of all; an empty namespace means all namespaces."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace)}" if self.namespaced and namespace else ""
        return f"{root}{inside}/{self.name}" + (f"/{quote(name)}" if name else "")

    def shown(self, found: dict[str, Any]) -> dict[str, Any]:
        """An object as kubectl shows it: with its kind, which lists leave out, and without managed fields."""
        metadata = {name: value for name, value in found["metadata"].items() if name != "managedFields"}
        return {"apiVersion": self.version, "kind": self.kind, **found, "metadata": metadata}


class ApiServer:
    """One connection, with the address, certificates and user of a kubeconfig file.

    Attributes:
        namespace: Where the kubeconfig's context looks for objects when none is named.
    """

    def __init__(self, kubeconfig: Path) -> None:
        """Connect at the first request.

        Raises:
            RequestError: The file cannot be read.
        """
        try:
            document = yaml.load(kubeconfig.read_bytes(), yaml.CSafeLoader)
            context = _named(document, "context", document["current-context"])
            cluster, user = (_named(document, kind, context[kind]) for kind in ("cluster", "user"))
            verified = ssl.create_default_context(cafile=cluster["certificate-authority"])
            if "client-certificate" in user:
                verified.load_cert_chain(user["client-certificate"], user["client-key"])
        except (OSError, KeyError, TypeError, StopIteration) as error:
            raise RequestError(f"{kubeconfig} is not a kubeconfig of this project's clusters: {error!r}") from error
        self.namespace = str(context.get("namespace", "default"))
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._connection = HTTPSConnection(urlsplit(cluster["server"]).netloc, context=verified, timeout=SECONDS)

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, *, accept: str = "application/json", **query: str) -> dict[str, Any]:
        """The JSON document at a path.

        Raises:
            NotFound: 404.
            RequestError: Any other refusal, or no answer.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            self._connection.request("GET", target, headers={"Accept": accept, **self._headers})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            raise RequestError(f"no answer from {self._connection.host}:{self._connection.port}: {error!r}") from error
        if answer.status >= 400:
            kind = NotFound if answer.status == 404 else RequestError
            raise kind(f"Error from server: {_message(text)}")
        return dict(json.loads(text))

    def resources(self, kinds: Sequence[str]) -> list[Resource]:
        """What a person means by each of `deployment`, `deploy`, `Deployment` or `deployments.apps`.

        Raises:
            RequestError: The API server has no such resource.
        """
        known = [each for root in ("/api", "/apis") for each in _resources(self.get(root, accept=DISCOVERY))]
        found = [next((each for each in known if each.answers_to(kind)), None) for kind in kinds]
        if None in found:
            raise RequestError(f"the server doesn't have a resource type {kinds[found.index(None)]!r}")
        return [each for each in found if each]


def _named(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    return dict(next(each[kind] for each in document[f"{kind}s"] if each["name"] == name))


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace").strip()


def _resources(discovered: dict[str, Any]) -> Iterator[Resource]:
    """Those of each group's preferred version, which comes first."""
    for item in discovered["items"]:
        group, version = item["metadata"].get("name", ""), item["versions"][0]
        for each in version.get("resources", ()):
            kind = each["responseKind"]["kind"]
            yield Resource(
                version=f"{group}/{version['version']}" if group else version["version"],
                kind=kind,
                name=each["resource"],
                namespaced=each["scope"] == "Namespaced",
                names=frozenset({each["resource"], kind.lower(), *each.get("shortNames", ())}),
            )
