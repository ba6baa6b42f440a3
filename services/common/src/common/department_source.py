"""Where a service learns the departments from: one setting decides."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from pydantic import Field

from common.department_watch import DepartmentWatch
from common.departments import DepartmentDirectory, Departments
from common.service_tokens import ServiceIdentitySettings


class DepartmentSettings(ServiceIdentitySettings):
    """Settings of a service that follows the departments."""

    departments_dir: Path | None = Field(
        default=None,
        description="Directory of `Department` objects as YAML, followed; without it, those of NAMESPACE in the API "
        "server are watched.",
    )


def follow_departments(settings: DepartmentSettings) -> AbstractAsyncContextManager[Departments]:
    """The departments, to be followed for as long as the context lasts: of the directory if there is one in the
    settings, else of the API server."""
    if settings.departments_dir is not None:
        return DepartmentDirectory(settings.departments_dir)
    return DepartmentWatch(settings)
