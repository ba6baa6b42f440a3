"""Who may see what of a job, by the departments as they are now."""

from __future__ import annotations

from application.records import Job, MappedDataset
from common.caller import Caller
from common.departments import Department, Departments


class Access:
    """Decides by the caller's groups and the present ``Department`` objects. What is not known is closed."""

    def __init__(self, directory: Departments) -> None:
        """``directory`` is followed."""
        self._directory = directory

    def departments(self, caller: Caller) -> list[Department]:
        """The departments that the caller may use, in the order of their names."""
        return [department for department in self._directory.current.values() if department.permits(caller)]

    def to_all_of(self, job: Job, caller: Caller) -> bool:
        """Whether the caller may see every column that the job adds."""
        return all(self._visible(entry, caller) == entry for entry in job.mapping)

    def redacted(self, job: Job, caller: Caller) -> Job:
        """The job without the departments and columns that its owner may not see any more."""
        mapping = tuple(seen for entry in job.mapping if (seen := self._visible(entry, caller)) is not None)
        if mapping == job.mapping:
            return job
        departments = tuple(name for name in job.departments if self._permits(name, caller))
        error = job.error
        if error is not None and error.get("department") not in {None, *departments}:
            error = {
                "type": error["type"],
                "title": error["title"],
                "detail": "You may not use that department any more.",
            }
        return job.model_copy(update={"mapping": mapping, "departments": departments, "error": error})

    def _permits(self, name: str, caller: Caller) -> bool:
        department = self._directory.current.get(name)
        return department is not None and department.permits(caller)

    def _visible(self, entry: MappedDataset, caller: Caller) -> MappedDataset | None:
        ref = entry.dataset.ref
        department = self._directory.current.get(ref.department)
        if department is None or not department.permits(caller):
            return None
        spec = next((dataset for dataset in department.spec.datasets if dataset.name == ref.dataset), None)
        if spec is None:
            return None
        if department.permits_restricted(caller):
            return entry
        if entry.dataset.key in spec.restricted_columns:
            # As the department's own server: without its key, nothing of a data set is to be had.
            return None
        columns = tuple(column for column in entry.columns if column.name not in spec.restricted_columns)
        return entry if columns == entry.columns else entry.model_copy(update={"columns": columns})
