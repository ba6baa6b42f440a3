"""The served department as its file says it at this moment, and what of it a caller may see."""

from dataclasses import dataclass
from pathlib import Path

import structlog

from common.caller import Caller
from common.departments import Dataset, Department, InvalidDepartment, parse_department

log = structlog.get_logger()

MISSING = (-1, -1)
"""What was seen of a file that is not there."""


class DepartmentFile:
    """One `Department` object in a file, read again when the file has changed; closed while it is broken or missing."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._seen: tuple[int, int] | None = None  # time of change and inode
        self._department: Department | None = None

    def current(self) -> Department | None:
        """The department as it is now, or None: closed. Costs one `stat` where nothing changed."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen != self._seen:
                self._department = self._read()
                self._seen = seen
        except OSError as error:
            if self._department is not None or self._seen != MISSING:
                log.error("department.unreadable", error=str(error))
            self._department, self._seen = None, MISSING
        return self._department

    def _read(self) -> Department | None:
        try:
            department = parse_department(self._path.read_text())
        except (InvalidDepartment, UnicodeDecodeError) as error:
            log.error("department.invalid", error=str(error))
            return None
        if department.name != self._name:
            log.error("department.other_name", expected=self._name, found=department.name)
            return None
        log.info("department.read", department=department.name)
        return department


@dataclass(frozen=True, slots=True)
class View:
    """The department through one caller's eyes: all that follows is made from what is visible here."""

    department: Department
    restricted: bool

    @classmethod
    def of(cls, department: Department, caller: Caller) -> "View | None":
        """The caller's view, or None where the caller may not use the department."""
        if not department.permits(caller):
            return None
        return cls(department, department.permits_restricted(caller))

    def hides(self, dataset: Dataset, column: str) -> bool:
        """Whether this caller must not learn of that column."""
        return not self.restricted and column in dataset.restricted_columns
