"""The departments that the caller may use, with their data sets as the caller may see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from application.departments.service import DepartmentService
from application.engine import DatasetInfo, DepartmentUnavailable
from application.errors import DepartmentRefused
from application.http.authentication import CallerDep
from application.http.dependencies import DepartmentsDep, TurnsDep
from application.http.openapi import answers
from application.http.schemas import DepartmentList
from application.http.turns import CallerTurns
from common.caller import Caller
from common.departments import Department

router = APIRouter(prefix="/api/departments")


@router.get("", responses=answers(200, DepartmentList, "The departments."))
async def show_all(caller: CallerDep, turns: TurnsDep, departments: DepartmentsDep) -> dict[str, Any]:
    """All departments that the caller may use; one that does not answer says so, and costs only itself.

    All are asked at once, and one that did not answer is not asked again for `OUTAGE_SECONDS`: whoever waited for it
    knows enough, and whoever comes next need not wait.
    """
    permitted = departments.permitted(caller)
    described = (_described(one, caller, turns, departments) for one in permitted)
    return {"departments": await asyncio.gather(*described)}


async def _described(
    department: Department, caller: Caller, turns: CallerTurns, departments: DepartmentService
) -> dict[str, Any]:
    datasets: Sequence[DatasetInfo] = ()
    error = departments.outages.get(department.name)
    if error is None:
        try:
            datasets = await turns.call(departments.datasets, caller, department.name)
        except DepartmentRefused as refused:
            error = refused.detail
        except DepartmentUnavailable as unavailable:
            error = departments.outages[department.name] = unavailable.detail
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
