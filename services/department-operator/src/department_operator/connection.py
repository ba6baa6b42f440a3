"""The one session with the API server, which Kopf's watches and the operator's own calls share."""

import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import kopf

ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoCluster(Exception):
    """Neither a pod's ServiceAccount nor a kubeconfig says where the API server is."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open session, and the address to use it with."""

    server: str
    session: aiohttp.ClientSession


async def _bearer(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    # The kubelet renews the file, so it is read each time.
    request.headers["Authorization"] = f"Bearer {(ACCOUNT_FOLDER / 'token').read_text().strip()}"
    return await handler(request)


@asynccontextmanager
async def connect() -> AsyncIterator[Connection]:
    """Open the session: as the pod's ServiceAccount, or as a kubeconfig (`KUBECONFIG`) says.

    Raises:
        NoCluster: There is neither.
    """
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if host is not None:
        server = f"https://{f'[{host}]' if ':' in host else host}:{os.environ.get('KUBERNETES_SERVICE_PORT', '443')}"
        context = ssl.create_default_context(cafile=str(ACCOUNT_FOLDER / "ca.crt"))
        headers: dict[str, str] = {}
        middlewares: tuple[aiohttp.ClientMiddlewareType, ...] = (_bearer,)
    else:
        found = kopf.login_with_kubeconfig(logger=logging.getLogger(__name__), settings=kopf.OperatorSettings())
        if found is None or not found.server:
            raise NoCluster("no API server: run in a pod, or set KUBECONFIG to a file that names a cluster and a user")
        server, context, headers, middlewares = found.server, found.as_ssl_context(), found.as_http_headers(), ()
    # No limit of connections: each watch holds one for as long as it lasts.
    connector = aiohttp.TCPConnector(limit=0, ssl=context)
    headers |= {"User-Agent": "department-operator"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, middlewares=middlewares) as session:
        yield Connection(server, session)
