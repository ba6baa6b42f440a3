"""The departments that the caller may use, with their data sets as the caller may see them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from application.api.authentication import CallerDep
from application.api.context import Context, ContextDep
from application.engine import DatasetInfo, DepartmentUnavailable
from common.caller import Caller
from common.departments import Department

router = APIRouter(prefix="/api/departments")


@router.get("")
async def show_all(caller: CallerDep, context: ContextDep) -> dict[str, Any]:
    """All departments that the caller may use; one that does not answer says so, and costs only itself."""
    permitted = context.access.departments(caller)
    return {"departments": await asyncio.gather(*(_described(one, caller, context) for one in permitted))}


async def _described(department: Department, caller: Caller, context: Context) -> dict[str, Any]:
    lookup = context.lookup(caller, [department.name])
    datasets: list[DatasetInfo] = []
    error = None
    try:
        datasets = list(await context.compute(lookup.describe, department.name))
    except DepartmentUnavailable as unavailable:
        error = unavailable.detail
    return {
        "name": department.name,
        "display_name": department.spec.display_name,
        "available": error is None,
        "error": error,
        "datasets": [
            {
                "name": dataset.ref.dataset,
                "key": dataset.key,
                "aliases": list(dataset.aliases),
                "pattern": dataset.pattern,
                "columns": [{"name": column.name, "type": column.type} for column in dataset.columns],
                "rows": dataset.rows,
                "version": dataset.version,
            }
            for dataset in datasets
        ],
    }
