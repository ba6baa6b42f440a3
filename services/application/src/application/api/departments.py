"""The departments that the caller may use, with their data sets as the caller may see them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from application.api.authentication import CallerDep
from application.api.context import Context, ContextDep
from application.api.openapi import answers
from application.api.schemas import DepartmentList
from application.engine import DatasetInfo, DepartmentUnavailable
from application.errors import DepartmentRefused
from common.caller import Caller
from common.departments import Department

router = APIRouter(prefix="/api/departments")


@router.get("", responses=answers(200, DepartmentList, "The departments."))
async def show_all(caller: CallerDep, context: ContextDep) -> dict[str, Any]:
    """All departments that the caller may use; one that does not answer says so, and costs only itself.

    All are asked at once, and one that did not answer is not asked again for `OUTAGE_SECONDS`: whoever waited for it
    knows enough, and whoever comes next need not wait.
    """
    permitted = context.access.departments(caller)
    return {"departments": await asyncio.gather(*(_described(one, caller, context) for one in permitted))}


async def _described(department: Department, caller: Caller, context: Context) -> dict[str, Any]:
    datasets: list[DatasetInfo] = []
    error = context.outages.get(department.name)
    if error is None:
        try:
            lookup = context.lookup(caller, [department.name], seconds=context.settings.listing_seconds)
            datasets = list(await context.call(lookup.describe, department.name))
        except DepartmentRefused as refused:
            error = refused.detail
        except DepartmentUnavailable as unavailable:
            error = context.outages[department.name] = unavailable.detail
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
