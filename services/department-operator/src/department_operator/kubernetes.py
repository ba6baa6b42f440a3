"""The API server's calls that the operator needs beside Kopf's watches: server-side apply, list, events."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import orjson

from department_operator.connection import Connection
from department_operator.errors import ApiError
from department_operator.metrics import API_CALLS
from department_operator.names import API_VERSION, COMPONENT, FIELD_MANAGER

TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)
PAGE_SIZE: Final = 100
"""Objects of a list that are in memory at once: with all of them a start takes several times as much memory."""
JSON: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources"""
PLURALS: Final = {
    "Department": "departments",
    "ServiceAccount": "serviceaccounts",
    "ConfigMap": "configmaps",
    "Service": "services",
    "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "NetworkPolicy": "networkpolicies",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ControllerRevision": "controllerrevisions",
    "PodTemplate": "podtemplates",
    "Pod": "pods",
    "Event": "events",
}

Object = dict[str, Any]


class Kubernetes:
    """Calls within one namespace."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    async def apply(self, document: Mapping[str, Any], subresource: str = "") -> Object:
        """Server-side apply: what `document` says is so afterwards, whoever said otherwise.

        Raises:
            ApiError: Refused, or no answer.
        """
        metadata = document["metadata"]
        path = f"{self._path(document['apiVersion'], document['kind'])}/{metadata['name']}"
        return await self._call(
            "PATCH",
            f"{path}/{subresource}" if subresource else path,
            document,
            params={"fieldManager": FIELD_MANAGER, "force": "true"},
            content_type="application/apply-patch+yaml",
        )

    async def replace(self, document: Mapping[str, Any]) -> Object:
        """Update as a whole: what `document` does not say is gone, or as the API server has it by default.

        Raises:
            ApiError: Refused, or no answer.
        """
        path = f"{self._path(document['apiVersion'], document['kind'])}/{document['metadata']['name']}"
        return await self._call("PUT", path, document, params={"fieldManager": FIELD_MANAGER})

    async def list(
        self, api_version: str, kind: str, label_selector: str = "", *, metadata_only: bool = False
    ) -> AsyncIterator[Object]:
        """Each object of a kind that has the labels, or its metadata alone; never more than a page is in memory.

        Raises:
            ApiError: Refused, or no answer.
        """
        params = {"limit": str(PAGE_SIZE)} | ({"labelSelector": label_selector} if label_selector else {})
        while True:
            answer = await self._call(
                "GET", self._path(api_version, kind), params=params, accept=METADATA if metadata_only else JSON
            )
            for item in answer["items"]:
                # The items of a list do not say what they are.
                yield item | {"apiVersion": api_version, "kind": kind}
            if not (further := answer["metadata"].get("continue")):
                return
            params = params | {"continue": further}

    async def get(self, api_version: str, kind: str, name: str) -> Object | None:
        """One object, or None where there is none.

        Raises:
            ApiError: Refused, or no answer.
        """
        try:
            return await self._call("GET", f"{self._path(api_version, kind)}/{name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def delete(self, api_version: str, kind: str, name: str) -> None:
        """Delete; nothing happens where there is none.

        Raises:
            ApiError: Refused, or no answer.
        """
        try:
            await self._call("DELETE", f"{self._path(api_version, kind)}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise

    async def report(self, department: Mapping[str, Any], reason: str, message: str, *, warning: bool = False) -> None:
        """Post an event about a department, for `kubectl describe` and `kubectl get events`.

        Raises:
            ApiError: Refused, or no answer.
        """
        metadata = department["metadata"]
        now = datetime.now(UTC)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": self._namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": "Department",
                "name": metadata["name"],
                "namespace": self._namespace,
                "uid": metadata["uid"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:1024],
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "count": 1,
            "firstTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        await self._call("POST", self._path("v1", "Event"), event)

    def _path(self, api_version: str, kind: str) -> str:
        root = "api" if "/" not in api_version else "apis"
        return f"/{root}/{api_version}/namespaces/{self._namespace}/{PLURALS[kind]}"

    async def _call(
        self,
        method: str,
        path: str,
        document: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Object:
        try:
            async with self._connection.session.request(
                method,
                self._connection.server + path,
                params=params,
                data=None if document is None else orjson.dumps(document),
                headers={"Content-Type": content_type, "Accept": accept},
                timeout=TIMEOUT,
            ) as response:
                body = await response.read()
                API_CALLS.labels(method, path.split("/namespaces/")[1].split("/")[1], response.status).inc()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, f"the API server does not answer: {type(error).__name__}") from error
        try:
            answer: Object = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = {"message": body[:200].decode(errors="replace")}
        if response.status >= 400:
            raise ApiError(response.status, answer.get("message", "no reason given"))
        return answer
