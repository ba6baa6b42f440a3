"""What routes work with, made once when the API starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request

from application.departments.service import DepartmentService
from application.files.service import FileService
from application.files.uploads import UploadService
from application.http.authentication import CallerDep
from application.http.turns import CallerTurns
from application.jobs.following import Following
from application.jobs.planning import Planner
from application.jobs.service import JobService
from application.recipes.service import RecipeService
from application.settings import ApiSettings


def _turns(request: Request, caller: CallerDep) -> CallerTurns:
    return CallerTurns(request.app.state.turns, caller.subject)


def _made(name: str) -> Callable[[Request], Any]:
    """What the application's state holds by that name."""

    def made(request: Request) -> Any:
        return getattr(request.app.state, name)

    return made


TurnsDep = Annotated[CallerTurns, Depends(_turns)]
SettingsDep = Annotated[ApiSettings, Depends(_made("settings"))]
FilesDep = Annotated[FileService, Depends(_made("files"))]
UploadsDep = Annotated[UploadService, Depends(_made("uploads"))]
PlannerDep = Annotated[Planner, Depends(_made("planner"))]
RecipesDep = Annotated[RecipeService, Depends(_made("recipes"))]
JobsDep = Annotated[JobService, Depends(_made("jobs"))]
FollowingDep = Annotated[Following, Depends(_made("following"))]
DepartmentsDep = Annotated[DepartmentService, Depends(_made("departments"))]
