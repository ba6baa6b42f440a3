"""What one caller may use of the department at this moment: the tools by name, and the data sets behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from common.caller import Caller
from mcp_server.definitions import Definition, Toolset
from mcp_server.department import DepartmentFile, View
from mcp_server.errors import NotPermitted, NotServed
from mcp_server.refresh import DatasetState, DatasetStore

PARAMETER_HEADER = b'"x-mcp-header"'
"""Marks an argument that a client repeats in a header of its request (MCP 2026-07-28)."""


@dataclass(frozen=True, slots=True)
class Entitlements:
    """One caller's view of one version of everything; each answer is made from one of these, and so of one version.

    Attributes:
        states: The data sets that the caller may know of, by name.
        definitions: The tools by name, in the order in which they are listed.
    """

    view: View
    states: Mapping[str, DatasetState]
    definitions: Mapping[str, Definition]


class Catalog:
    """Makes callers' entitlements, from the Department file and the data sets as they are at that moment."""

    def __init__(
        self, department: DepartmentFile, store: DatasetStore, toolsets: Mapping[str, Sequence[Toolset]]
    ) -> None:
        self._department = department
        self._store = store
        self._toolsets = toolsets
        self._made: dict[bool, tuple[Mapping[str, DatasetState], Entitlements]] = {}
        self._header_schemas: dict[str, Mapping[str, Any]] = {}

    def entitlements(self, caller: Caller) -> Entitlements:
        """What `caller` may use now; made once for all callers of the same rights, until something changes.

        Raises:
            NotServed: The department's file is missing or broken.
            NotPermitted: The department is not for this caller.
        """
        department = self._department.current()
        if department is None:
            raise NotServed
        view = View.of(department, caller)
        if view is None:
            raise NotPermitted
        return self._current(view)

    def complete(self) -> Entitlements | None:
        """What there is for those who may see all; None while the department's file is missing or broken."""
        department = self._department.current()
        return None if department is None else self._current(View(department, restricted=True))

    def _current(self, view: View) -> Entitlements:
        states = self._store.states(view.department)
        source, entitlements = self._made.get(view.restricted, (None, None))
        if entitlements is None or source is not states or entitlements.view.department is not view.department:
            # Older data sets are released at once: their disk space is not free as long as something refers to them.
            self._made = {seen: made for seen, made in self._made.items() if made[0] is states}
            entitlements = self._make(view, states)
            self._made[view.restricted] = (states, entitlements)
        return entitlements

    def header_schema(self, tool: str) -> Mapping[str, Any] | None:
        """The input schema of a tool that has arguments in headers; None for any other."""
        return self._header_schemas.get(tool)

    def _make(self, view: View, states: Mapping[str, DatasetState]) -> Entitlements:
        # A data set without its key is of no use, and its look-up would confirm guessed keys.
        visible = {name: state for name, state in states.items() if not view.hides(state.spec, state.spec.key)}
        definitions: dict[str, Definition] = {}
        for toolset in self._toolsets[view.department.spec.toolset]:
            for definition in toolset.definitions(view, visible):
                definitions[definition.tool.name] = definition
                if PARAMETER_HEADER in orjson.dumps(definition.tool.input_schema):
                    self._header_schemas[definition.tool.name] = definition.tool.input_schema
        return Entitlements(view, MappingProxyType(visible), MappingProxyType(definitions))
