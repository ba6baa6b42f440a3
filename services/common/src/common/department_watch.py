"""The `Department` objects of the cluster, followed by a list and a watch of the API server.

The protocol is that of Kubernetes' "efficient detection of changes": a list says which version it shows, a watch goes
on from there, bookmarks keep that version young, and a version that is too old (410 Gone) is answered by a new list.
"""

import asyncio
import random
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

import aiohttp
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from common.departments import Department, InvalidDepartment, read_department, without_conflicts
from common.service_tokens import ServiceIdentitySettings

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 15.0
WATCH_SECONDS = 300
"""About how long one watch is asked to last; replicas that started together do not come back together."""

ANSWER_SECONDS = 10
LONGEST_LINE = 8 << 20
"""One event is one line: more than etcd keeps as one object."""


class WatchBroken(Exception):
    """What was known cannot be followed further from its version; a new list is needed."""


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Metadata(_Answer):
    name: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None


class _Object(_Answer):
    metadata: _Metadata = _Metadata()


class _List(_Answer):
    metadata: _Metadata
    items: list[dict[str, Any]]


class _Event(_Answer):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object_: dict[str, Any] = Field(alias="object")


class DepartmentWatch:
    """The departments of a namespace, followed while the context lasts.

    There are none before the first list. While the API server is away, the last that were known stay.
    """

    def __init__(self, settings: ServiceIdentitySettings) -> None:
        self._settings = settings
        self._ssl = settings.ssl_context()
        self._url = (
            f"{settings.kubernetes_api_url}/apis/fileprocessing.internal/v1alpha1"
            f"/namespaces/{settings.namespace}/departments"
        )
        self._valid: Mapping[str, Department] = {}
        self._current: Mapping[str, Department] = MappingProxyType({})
        self._version = 0
        self._resource_version = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> Mapping[str, Department]:
        """The departments by name, in the order of their names; never changes once handed out."""
        return self._current

    @property
    def version(self) -> int:
        """Grows with each change, so that what was derived from `current` can be kept until then."""
        return self._version

    @property
    def known(self) -> bool:
        """Whether they were listed, at any time."""
        return self._version > 0

    async def __aenter__(self) -> Self:
        """Begin to follow; does not wait for the first list."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=_probed_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=LONGEST_LINE // 2,
        )
        self._task = asyncio.create_task(self._follow(), name="department-watch")
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._session.close()

    async def _follow(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            try:
                if not self._resource_version:
                    await self._list()
                await self._watch()
            except WatchBroken as error:
                self._resource_version = ""
                log.info("departments.list_again", reason=str(error))
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                # ValueError: not JSON, not what the protocol says, or a line without an end.
                log.warning("departments.watch_failed", error=_words(error))
            if time.monotonic() - started > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads replicas, guards nothing
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)

    async def _list(self) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with self._get({}, timeout) as response:
            response.raise_for_status()
            listed = _List.model_validate_json(await response.read())
        departments: dict[str, Department] = {}
        for document in listed.items:
            name, department = _read(document)
            if department is not None:
                departments[name] = department
        self._keep(departments)
        self._resource_version = listed.metadata.resource_version
        log.info("departments.listed", names=list(self._current))

    async def _watch(self) -> None:
        """Follow until the API server ends it.

        Raises:
            WatchBroken: The version is too old, or the API server does not go on from it for another reason.
        """
        seconds = random.randint(WATCH_SECONDS * 3 // 4, WATCH_SECONDS)  # noqa: S311 - spreads replicas, guards nothing
        query = {
            "watch": "1",
            "resourceVersion": self._resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_SECONDS, sock_read=seconds + ANSWER_SECONDS)
        async with self._get(query, timeout) as response:
            if response.status != 200:
                raise WatchBroken(f"the API server answered {response.status} to a watch")
            async for line in response.content:
                self._apply(_Event.model_validate_json(line))

    def _get(self, query: dict[str, str], timeout: aiohttp.ClientTimeout) -> "aiohttp.client._RequestContextManager":
        headers = {**self._settings.authorization(), "accept": "application/json"}
        return self._session.get(
            self._url, params=query, headers=headers, ssl=self._ssl, timeout=timeout, allow_redirects=False
        )

    def _apply(self, event: _Event) -> None:
        if event.type == "ERROR":
            raise WatchBroken(f"the API server ended the watch: {event.object_.get('message') or 'no reason given'}")
        if event.type != "BOOKMARK":
            name, department = _read(event.object_)
            departments = dict(self._valid)
            departments.pop(name, None)
            if department is not None and event.type != "DELETED":
                departments[name] = department
            self._keep(departments)
        self._resource_version = _Object.model_validate(event.object_).metadata.resource_version

    def _keep(self, departments: dict[str, Department]) -> None:
        """Make these the present ones. What only the operator sees of them (most of `status`) is no change."""
        if departments == self._valid and self.known:
            return
        self._valid = departments
        self._current = without_conflicts(departments)
        self._version += 1
        log.info("departments.changed", names=list(self._current))


def _read(document: dict[str, Any]) -> tuple[str, Department | None]:
    """The object's name, and its department; None where it is not valid or is being deleted: closed."""
    metadata = _Object.model_validate(document).metadata
    if metadata.deletion_timestamp is not None:
        return metadata.name, None
    try:
        return metadata.name, read_department(document)
    except InvalidDepartment as error:
        log.error("department.invalid", name=metadata.name, error=str(error))
        return metadata.name, None


def _words(error: Exception) -> str:
    match error:
        case aiohttp.ClientResponseError():
            return f"the API server answered {error.status}"
        case ValidationError():
            # Its text quotes what came.
            return "the answer is not one of the API's"
    return str(error) or type(error).__name__


def _probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A connection whose other end is asked for life in 30 s of silence: a watch is silent for minutes, rightly."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if (number := getattr(socket, option, None)) is not None:
            made.setsockopt(socket.IPPROTO_TCP, number, value)
    return made
