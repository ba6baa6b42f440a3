"""An API server of one resource, whose watches a test can break in the ways that real ones break."""

import asyncio
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

PATH = "/apis/fileprocessing.internal/v1alpha1/namespaces/file-processing/departments"


def department(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "fileprocessing.internal/v1alpha1",
        "kind": "Department",
        "metadata": {"name": name, "namespace": "file-processing", "uid": name, **changes.pop("metadata", {})},
        "spec": {
            "displayName": name.title(),
            "access": {"groups": [name]},
            "datasets": [{"name": "things", "object": "things.csv", "key": "id"}],
            **changes.pop("spec", {}),
        },
        **changes,
    }


class WatchedApi:
    """Lists and watches as the real one; a version before `oldest` is gone."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        self.version = 10
        self.oldest = 0
        self.token = "first"
        self.asked = 0
        self.lists = 0
        self.watches: list[int] = []
        self.answer: web.Response | None = None
        self._changed = asyncio.Condition()
        self._open: set[asyncio.Transport] = set()

    async def serve(self, port: int = 0) -> TestServer:
        app = web.Application()
        app.router.add_get(PATH, self._get)
        server = TestServer(app, port=port)
        await server.start_server(shutdown_timeout=0.1)
        return server

    async def apply(self, document: dict[str, Any]) -> None:
        kind = "MODIFIED" if document["metadata"]["name"] in self.objects else "ADDED"
        await self._change(kind, document)

    async def delete(self, name: str) -> None:
        await self._change("DELETED", self.objects[name])

    async def _change(self, kind: str, document: dict[str, Any]) -> None:
        self.version += 1
        stamped = {**document, "metadata": {**document["metadata"], "resourceVersion": str(self.version)}}
        name = document["metadata"]["name"]
        if kind == "DELETED":
            del self.objects[name]
        else:
            self.objects[name] = stamped
        await self.tell(kind, stamped)

    async def tell(self, kind: str, document: dict[str, Any]) -> None:
        """Send an event, whatever it is."""
        async with self._changed:
            self.events.append((self.version, kind, document))
            self._changed.notify_all()

    def cut(self) -> None:
        """Break every watch off, in the middle."""
        for transport in self._open:
            transport.abort()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.answer is not None:
            return web.Response(status=self.answer.status, body=self.answer.body)
        if request.headers["authorization"] != f"Bearer {self.token}":
            return web.json_response({"kind": "Status", "code": 401}, status=401)
        if "watch" not in request.query:
            self.lists += 1
            return web.json_response(
                {"metadata": {"resourceVersion": str(self.version)}, "items": list(self.objects.values())}
            )
        return await self._watch(request)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        assert request.query["allowWatchBookmarks"] == "true"
        since = int(request.query["resourceVersion"])
        self.watches.append(since)
        response = web.StreamResponse()
        await response.prepare(request)
        if since < self.oldest:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            await response.write(orjson.dumps({"type": "ERROR", "object": gone}) + b"\n")
            return response
        sent = next((n for n, event in enumerate(self.events) if event[0] > since), len(self.events))
        transport = request.transport
        assert transport is not None
        self._open.add(transport)
        try:
            while True:
                for _, kind, document in self.events[sent:]:
                    await response.write(orjson.dumps({"type": kind, "object": document}) + b"\n")
                sent = len(self.events)
                async with self._changed:
                    while len(self.events) == sent:
                        await self._changed.wait()
        finally:
            self._open.discard(transport)
