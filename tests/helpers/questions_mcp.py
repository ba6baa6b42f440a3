"""Every question that a caller can ask over MCP: lists, look-ups, searches, departments' own tools, resources."""

import json
import re
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.helpers.data import DataSet
from tests.helpers.matrix import Probe, World, short
from tests.helpers.rest import Answer
from tests.helpers.wire import ERAS, Era, message

LISTS = ("tools/list", "resources/list", "resources/templates/list")


def mcp_questions(world: World, user: str) -> Iterator[Probe]:
    """All of them, in both eras, at `/mcp` and at each department's own endpoint."""
    for era in ERAS:
        yield from _lists(world, user, era)
        for data_set in world.data_sets:
            for endpoint in ("/mcp", f"/mcp/{data_set.department}"):
                for column in (None, *data_set.columns):
                    yield _lookup(world, user, era, endpoint, data_set, column)
        yield from _other_tools(world, user, era)
        yield from _resources(world, user, era)


def _lists(world: World, user: str, era: Era) -> Iterator[Probe]:
    for name in ("", *world.departments):
        allowed = not name or world.departments[name].permits(user)
        for method in LISTS:

            def ask(word: str, method: str = method) -> Awaitable[Answer]:
                return world.wire(user, f"/mcp/{word}".rstrip("/"), era).call(method)

            yield Probe(f"MCP {short(f'/mcp{name}')} lists", user, name, allowed, ask, f"{method} /mcp/{name}")


def _other_tools(world: World, user: str, era: Era) -> Iterator[Probe]:
    """Those that somebody sees in a list, and those that the rule for names gives."""
    questions: dict[str, tuple[DataSet, Mapping[str, Any]]] = {}
    for data_set in world.data_sets:
        questions[f"{data_set.prefix}describe_datasets"] = data_set, {}
        if data_set.search:
            questions[f"{data_set.prefix}search_{data_set.name}"] = data_set, {"query": "zq", "limit": 20}
    for tool, schema in world.tools.items():
        owners = [data_set for data_set in world.departments.values() if tool.startswith(data_set.prefix)]
        if owners and "_lookup_" not in tool and tool not in questions:
            questions[tool] = owners[0], _arguments(world, schema, owners[0])
    for tool, (owner, arguments) in questions.items():
        for endpoint in ("/mcp", f"/mcp/{owner.department}"):
            yield _tool(world, "tools", user, era, endpoint, owner, tool, arguments)


def _tool(
    world: World, what: str, user: str, era: Era, endpoint: str, owner: DataSet, tool: str, arguments: Mapping[str, Any]
) -> Probe:
    def ask(word: str) -> Awaitable[Answer]:
        if endpoint == "/mcp":
            return world.wire(user, endpoint, era).tool(word, **arguments)
        return world.wire(user, f"/mcp/{word}", era).tool(tool, **arguments)

    word = tool if endpoint == "/mcp" else owner.department
    said = json.dumps([endpoint, tool, arguments])
    return Probe(f"MCP {short(endpoint)} {what}", user, word, owner.permits(user), ask, said)


def _lookup(world: World, user: str, era: Era, endpoint: str, data_set: DataSet, column: str | None) -> Probe:
    tool = f"{data_set.prefix}lookup_{data_set.name}"
    arguments: dict[str, Any] = {"keys": world.keys(data_set)}
    visible = data_set.visible(user)
    if data_set.permits(user) and column is not None and column not in visible:

        def ask(word: str) -> Awaitable[Answer]:
            return world.wire(user, endpoint, era).tool(tool, **arguments, columns=[word])

        said = json.dumps([tool, arguments, column])
        return Probe(f"MCP {short(endpoint)} look-up of a column", user, column, allowed=False, ask=ask, said=said)

    wanted = visible if column is None else (column,)

    def verify(answer: Answer) -> bool:
        rows = message(answer)["result"]["structuredContent"]["rows"]
        return [row.get("values") for row in rows] == world.values(data_set, wanted)

    if column is not None:
        arguments["columns"] = [column]
    return replace(_tool(world, "look-up", user, era, endpoint, data_set, tool, arguments), verify=verify)


def _arguments(world: World, schema: Mapping[str, Any], owner: DataSet) -> dict[str, Any]:
    """Arguments for a tool that this test has never heard of, from its schema."""
    keys = {data_set.key: world.keys(data_set)[0] for data_set in world.data_sets if data_set.key != "currency"}
    others = {"keys": world.keys(owner), "query": "zq", "amount": "100", "dataset": owner.name}
    return {name: "EUR" if "currency" in name else {**keys, **others}[name] for name in schema.get("required", ())}


def _resources(world: World, user: str, era: Era) -> Iterator[Probe]:
    for uri in sorted(world.resources):
        (owner,) = [name for name in world.departments if re.search(rf"(?<![\w-]){name}(?![\w-])", uri)]

        def ask(word: str, uri: str = uri, owner: str = owner) -> Awaitable[Answer]:
            return world.wire(user, "/mcp", era).call("resources/read", uri=uri.replace(owner, word))

        yield Probe("MCP resources", user, owner, world.departments[owner].permits(user), ask, uri)
