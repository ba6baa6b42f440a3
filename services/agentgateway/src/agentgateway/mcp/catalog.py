"""What the departments offer: their lists of tools, resources, templates and prompts, and who owns which item."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import orjson
import structlog
from cachetools import TTLCache
from mcp.shared.uri_template import InvalidUriTemplate, UriTemplate
from mcp_types import CLIENT_CAPABILITIES_META_KEY, METHOD_NOT_FOUND, PROTOCOL_VERSION_META_KEY
from mcp_types.methods import serialize_server_result
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION
from pydantic import ValidationError

from agentgateway.mcp.access import CallerAccess
from agentgateway.mcp.answers import outcome_of
from agentgateway.mcp.backends import Backend, Backends
from agentgateway.mcp.errors import RpcError, faulty
from agentgateway.mcp.settings import McpSettings
from common.departments import Department

log = structlog.get_logger()

FORBIDDEN = 403
MOST_PAGES = 50
SHORTEST_WAIT = 0.001
REMEMBERED_LISTS = 4096
META = {PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION, CLIENT_CAPABILITIES_META_KEY: {}}

Item = dict[str, Any]


class Kind(NamedTuple):
    """A kind of item that a server lists: the method, the result's member, and the member that identifies an item."""

    method: str
    member: str
    identity: str


TOOLS = Kind("tools/list", "tools", "name")
RESOURCES = Kind("resources/list", "resources", "uri")
TEMPLATES = Kind("resources/templates/list", "resourceTemplates", "uriTemplate")
PROMPTS = Kind("prompts/list", "prompts", "name")


@dataclass(frozen=True, slots=True)
class Listing:
    """What could be learned: the items of each department in the order of names, and the departments that failed."""

    items: Sequence[tuple[Department, Sequence[Item]]]
    failures: Mapping[str, RpcError]


class Catalog:
    """Lists of the departments, asked for at once and kept for a moment.

    A department's list depends on the caller only by whether the caller also sees restricted columns, so it is kept
    for each of these two classes.
    """

    def __init__(self, backends: Backends, settings: McpSettings) -> None:
        self._backends = backends
        self._settings = settings
        self._lists: TTLCache[tuple[Any, ...], asyncio.Task[list[Item] | RpcError]] = TTLCache(
            REMEMBERED_LISTS, settings.mcp_list_ttl_seconds
        )

    async def __aenter__(self) -> Self:
        """Use as an asynchronous context, so that no question outlives it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give up what is still being asked."""
        tasks = list(self._lists.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def listing(self, kind: Kind, access: CallerAccess) -> Listing:
        """Every item of `kind` that `access` holds; a department that fails costs only its own."""
        tasks = [(department, self._task(kind, department, access)) for department in access.departments.values()]
        items: list[tuple[Department, Sequence[Item]]] = []
        failures: dict[str, RpcError] = {}
        for department, task in tasks:
            # Shielded: another caller may wait for the same list.
            found = await asyncio.shield(task)
            if isinstance(found, RpcError):
                failures[department.name] = found
            else:
                items.append((department, found))
        return Listing(items, failures)

    async def owner(self, kind: Kind, identity: str, access: CallerAccess) -> Department | None:
        """The department that lists the item.

        Raises:
            RpcError: No department that answered lists it, and one did not answer.
        """
        listing = await self.listing(kind, access)
        for department, items in listing.items:
            if any(item[kind.identity] == identity for item in items):
                return department
        for failure in listing.failures.values():
            raise failure
        return None

    async def owner_of_tool(
        self, name: str, departments: Sequence[Department], access: CallerAccess
    ) -> Department | None:
        """The first of `departments` that lists the tool.

        Raises:
            RpcError: No department that answered lists it, and one did not answer.
        """
        failure: RpcError | None = None
        for department in departments:
            found = await asyncio.shield(self._task(TOOLS, department, access))
            if isinstance(found, RpcError):
                failure = failure or found
            elif any(item["name"] == name for item in found):
                return department
        if failure is not None:
            raise failure
        return None

    async def owner_of_resource(self, uri: str, access: CallerAccess) -> Department | None:
        """The department that lists `uri`, or a template that `uri` fits.

        Raises:
            RpcError: As `owner`.
        """
        if (department := await self.owner(RESOURCES, uri, access)) is not None:
            return department
        listing = await self.listing(TEMPLATES, access)
        for department, items in listing.items:
            if any(_fits(uri, item["uriTemplate"]) for item in items):
                return department
        return None

    def _task(self, kind: Kind, department: Department, access: CallerAccess) -> asyncio.Task[list[Item] | RpcError]:
        restricted = department.permits_restricted(access.caller)
        key = (kind.method, department.name, department.endpoint, restricted, access.version)
        task = self._lists.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(kind, department, access))
            self._lists[key] = task
        return task

    async def _fetch(self, kind: Kind, department: Department, access: CallerAccess) -> list[Item] | RpcError:
        backend = self._backends.of(department)
        try:
            items = await self._pages(kind, backend, access)
        except RpcError as error:
            log.warning("department.list_failed", department=department.name, method=kind.method, error=error.message)
            return error
        if kind is not TOOLS:
            return items
        own = [item for item in items if item["name"].startswith(department.tool_prefix)]
        if len(own) < len(items):
            log.error("department.foreign_tools", department=department.name, prefix=department.tool_prefix)
        backend.tools.update(item["name"] for item in own)
        return own

    async def _pages(self, kind: Kind, backend: Backend, access: CallerAccess) -> list[Item]:
        items: list[Item] = []
        cursor: str | None = None
        deadline = time.monotonic() + self._settings.mcp_list_timeout_seconds
        for _ in range(MOST_PAGES):
            result = await self._page(kind, backend, access, cursor, deadline - time.monotonic())
            items.extend(result[kind.member])
            following = result.get("nextCursor")
            if following is None or following == cursor:
                break
            cursor = following
        return items

    async def _page(
        self, kind: Kind, backend: Backend, access: CallerAccess, cursor: str | None, seconds: float
    ) -> dict[str, Any]:
        params: dict[str, Any] = {"_meta": META} if cursor is None else {"_meta": META, "cursor": cursor}
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": kind.method, "params": params})
        headers = {
            "mcp-protocol-version": LATEST_MODERN_VERSION,
            "mcp-method": kind.method,
        }
        async with backend.post(access, body, headers, max(seconds, SHORTEST_WAIT), kind.method) as (response, _):
            if response.status == FORBIDDEN:
                # The department knows of a change before the gateway's directory does.
                return {kind.member: []}
            answer = await backend.read(response)
            try:
                outcome, document = outcome_of(answer), orjson.loads(answer)
            except ValueError:
                outcome, document = None, {}
            if outcome is None:
                raise faulty(backend.name, f"{kind.method} got HTTP {response.status} and no JSON-RPC response")
            if outcome == "error":
                if document["error"].get("code") == METHOD_NOT_FOUND:
                    return {kind.member: []}
                raise faulty(backend.name, f"{kind.method} was refused")
            return _validated(kind, backend, document["result"])


def _validated(kind: Kind, backend: Backend, result: dict[str, Any]) -> dict[str, Any]:
    """A result that is valid in both eras, so that one department's mistake cannot spoil the list of all.

    Raises:
        DepartmentFailure: It is not.
    """
    try:
        valid = serialize_server_result(kind.method, LATEST_MODERN_VERSION, result)
        serialize_server_result(kind.method, LATEST_HANDSHAKE_VERSION, valid)
    except ValidationError:
        raise faulty(backend.name, f"{kind.method} got an invalid list") from None
    return valid


def _fits(uri: str, template: str) -> bool:
    try:
        return UriTemplate.parse(template).match(uri) is not None
    except InvalidUriTemplate:
        return False
