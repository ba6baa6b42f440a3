"""Who may see what of a job, by the departments as they are now."""

from __future__ import annotations

from application.records import Job, MappedDataset
from common.caller import Caller
from common.departments import Dataset, Department, Departments


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
        departments = tuple(name for name in job.departments if self.permits(name, caller))
        error = job.error
        if error is not None and error.get("department") not in {None, *departments}:
            error = {
                "type": error["type"],
                "title": error["title"],
                "detail": "You may not use that department any more.",
            }
        result = job.result and job.result.model_copy(update={"found": None, "keys": None})
        return job.model_copy(update={"mapping": mapping, "departments": departments, "error": error, "result": result})

    def dataset(self, name: str, caller: Caller) -> tuple[Dataset, frozenset[str]] | None:
        """The data set ``department.dataset``, and its columns that the caller may not see; None without access."""
        owner, _, own_name = name.partition(".")
        department = self._directory.current.get(owner)
        if department is None or not department.permits(caller):
            return None
        spec = next((dataset for dataset in department.spec.datasets if dataset.name == own_name), None)
        if spec is None:
            return None
        hidden = frozenset(() if department.permits_restricted(caller) else spec.restricted_columns)
        # As the department's own server: without its key, nothing of a data set is to be had.
        return None if spec.key in hidden else (spec, hidden)

    def hidden_columns(self, name: str, caller: Caller) -> frozenset[str] | None:
        """The columns of a department that the caller may not see; None without access to the department."""
        department = self._directory.current.get(name)
        if department is None or not department.permits(caller):
            return None
        if department.permits_restricted(caller):
            return frozenset()
        return frozenset(column for dataset in department.spec.datasets for column in dataset.restricted_columns)

    def permits(self, name: str, caller: Caller) -> bool:
        """Whether there is a department of that name that the caller may use."""
        department = self._directory.current.get(name)
        return department is not None and department.permits(caller)

    def _visible(self, entry: MappedDataset, caller: Caller) -> MappedDataset | None:
        found = self.dataset(str(entry.dataset.ref), caller)
        if found is None or entry.dataset.key in found[1]:
            return None
        columns = tuple(column for column in entry.columns if column.name not in found[1])
        return entry if columns == entry.columns else entry.model_copy(update={"columns": columns})
