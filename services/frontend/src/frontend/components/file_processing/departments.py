"""Departments: what the user may use."""

import asyncio
from typing import Any

from lfx.custom import Component
from lfx.io import Output
from lfx.schema import DataFrame

from frontend import context


class Departments(Component):
    """Each data set that you may use, with the columns that it adds."""

    display_name = "Departments"
    description = "Lists the departments and data sets that you may use, and the columns that they add."
    icon = "Building2"
    name = "Departments"

    inputs: list[Any] = []  # noqa: RUF012 - as Langflow declares components
    outputs = [Output(name="datasets", display_name="Data Sets", method="datasets")]  # noqa: RUF012

    async def datasets(self) -> DataFrame:
        """A row for each data set."""
        async with context.client() as client:
            found = await asyncio.to_thread(client.departments)
        return DataFrame(
            [
                {
                    "Department": department.display_name,
                    "Data set": f"{department.name}.{dataset.name}",
                    "Key": dataset.key,
                    "Also called": ", ".join(dataset.aliases),
                    "Rows": dataset.rows,
                    "Columns": ", ".join(column.name for column in dataset.columns if column.name != dataset.key),
                    "Available": "yes" if department.available else f"no: {department.error}",
                }
                for department in found
                for dataset in department.datasets
            ]
        )
