"""Department Tools: the tools of the user's departments, for an agent."""

import json
from functools import partial
from typing import Any

from langchain_core.tools import StructuredTool
from lfx.custom import Component
from lfx.field_typing import Tool
from lfx.io import MessageTextInput, Output
from lfx.schema import DataFrame

from frontend import tools
from frontend.enrichment import Refusal


class DepartmentTools(Component):
    """What an agent may ask your departments."""

    display_name = "Department Tools"
    description = "Gives an agent the tools of the departments that you may use: lookups, searches, checks."
    icon = "Wrench"
    name = "DepartmentTools"

    inputs = [  # noqa: RUF012 - as Langflow declares components
        MessageTextInput(
            name="department",
            display_name="Department",
            info="Only this one, such as finance. Empty: all that you may use.",
            value="",
        )
    ]
    outputs = [  # noqa: RUF012
        Output(name="tools", display_name="Tools", method="build_tools"),
        Output(name="list", display_name="List", method="list_tools"),
    ]

    async def build_tools(self) -> list[Tool]:
        """The tools; each call is made as the user whose run this is."""
        return [
            StructuredTool(
                name=tool.name,
                description=tool.description or tool.name,
                args_schema=tool.schema,
                coroutine=partial(answer, tool.name),
            )
            for tool in await self._found()
        ]

    async def list_tools(self) -> DataFrame:
        """What there is."""
        return DataFrame([{"Tool": tool.name, "What it does": tool.description} for tool in await self._found()])

    async def _found(self) -> list[tools.DepartmentTool]:
        name = str(self.department or "").strip()
        start = tools.prefix(name) if name else ""
        return [tool for tool in await tools.list_tools() if tool.name.startswith(start)]


async def answer(name: str, **arguments: Any) -> str:
    """What a tool answers, for a model: a refusal is an answer too."""
    try:
        return json.dumps(await tools.call_tool(name, arguments), ensure_ascii=False, default=str)
    except Refusal as refusal:
        return str(refusal)
