"""HR's own tool: who reports to whom."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from common.keys import key_text
from mcp_server.definitions import OBJECT, STRING, Arguments, Call, Definition, array, parse, record, tool
from mcp_server.department import View
from mcp_server.errors import ToolError
from mcp_server.refresh import DatasetState
from mcp_server.toolsets.generic import loaded

MAX_STEPS = 50


class ReportingLine(Arguments):
    """Arguments of a reporting line."""

    employee_id: str = Field(max_length=256, description="Where the line starts.")


LINE = record(employee_id=STRING, employee=OBJECT, managers=array(OBJECT), ends=STRING)


class HrTools:
    """Offered where the employees data set is there."""

    def definitions(self, view: View, states: Mapping[str, DatasetState]) -> list[Definition]:
        """One tool, which follows `manager_id`."""
        if "employees" not in states or view.hides(states["employees"].spec, "manager_id"):
            return []
        text = "The managers above an employee, from the direct one to the top."
        return [
            Definition(tool(f"{view.department.tool_prefix}reporting_line", text, ReportingLine, LINE), reporting_line)
        ]


async def reporting_line(call: Call) -> dict[str, Any]:
    """Follow the managers up, to the top, to one who is not in the data, or to where the data goes in circles."""
    start = parse(ReportingLine, call.arguments).employee_id.strip()
    dataset = loaded(call, "employees")
    table, visible = dataset.table, dataset.visible
    employee = table.row(start, visible)
    if employee is None:
        raise ToolError(f"there is no employee {start}")
    if "manager_id" not in employee:
        raise ToolError("the employees data set has no column manager_id")
    line: list[dict[str, Any]] = []
    seen = {start}
    manager_id, ends = key_text(employee["manager_id"]), "top"
    while manager_id:
        if manager_id in seen:
            ends = "circle"
            break
        manager = table.row(manager_id, visible)
        if manager is None:
            ends = f"{manager_id} is not in the data"
            break
        if len(line) == MAX_STEPS:
            ends = f"more than {MAX_STEPS} managers"
            break
        seen.add(manager_id)
        line.append({"employee_id": manager_id, **manager})
        manager_id = key_text(manager["manager_id"])
    return {"employee_id": start, "employee": employee, "managers": line, "ends": ends}
