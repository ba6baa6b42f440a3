"""Keeps the department's data sets as new as S3, without a pause: a new version is built aside, then swapped in."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import structlog

from common.collector import keep_what_is_held
from common.departments import Dataset, Department
from mcp_server.datasets import DataTable
from mcp_server.department import DepartmentFile
from mcp_server.errors import BrokenObject, ObjectMissing
from mcp_server.metrics import DATA_LOADED, DATA_ROWS, REFRESH_FAILING, REFRESH_FAILURES
from mcp_server.s3 import DepartmentObjects, StorageUnavailable

log = structlog.get_logger()

DEPARTMENT_LOOK_SECONDS = 0.5
FIRST_VERSION_SECONDS = 2


@dataclass(frozen=True, slots=True)
class DatasetState:
    """A data set as it is served now.

    Attributes:
        table: The last good version, or None while there was none yet.
        error: Why the newest object is not served, or None where it is.
        rejected: The ETag of the object that is broken, so that it is read once and not at every look.
    """

    spec: Dataset
    table: DataTable | None = None
    error: str | None = None
    rejected: str | None = None


class DatasetStore:
    """All data sets of the department, by name, in the order of the `Department`."""

    def __init__(self, department: DepartmentFile, objects: DepartmentObjects, refresh_seconds: float) -> None:
        self._department = department
        self._objects = objects
        self._refresh_seconds = refresh_seconds
        self._states: dict[str, DatasetState] = {}
        self._served: tuple[Department, Mapping[str, DatasetState]] | None = None

    def states(self, department: Department) -> Mapping[str, DatasetState]:
        """What is served now, by the rules of `department` as they are now; a mapping that never changes.

        Access may have been narrowed since the last look at S3: a table that was loaded by other rules is served only
        where it fits the new ones.
        """
        if self._served is None or self._served[0] is not department:
            known = self._states
            states = {spec.name: _respecified(known.get(spec.name), spec) for spec in department.spec.datasets}
            self._served = (department, MappingProxyType(states))
        return self._served[1]

    async def follow(self) -> None:
        """Look for new data until cancelled; at once where the department has changed."""
        kept = self._states
        while True:
            department = self._department.current()
            await self.refresh()
            for state in list(self._states.values()):
                if state.table is not None:
                    await asyncio.to_thread(state.table.prepare)
            if self._states is not kept:
                kept = self._states
                keep_what_is_held()
            # Whoever waits for a first version, waits with nothing to serve.
            complete = bool(self._states) and all(state.table is not None for state in self._states.values())
            pause = self._refresh_seconds if complete else min(self._refresh_seconds, FIRST_VERSION_SECONDS)
            looks = max(1, round(pause / DEPARTMENT_LOOK_SECONDS))
            for _ in range(looks):
                await asyncio.sleep(pause / looks)
                if self._department.current() is not department:
                    break

    async def refresh(self) -> None:
        """Look once; a data set that cannot be renewed stays as it is and says why."""
        department = self._department.current()
        if department is None:
            return
        specs = department.spec.datasets
        states = await asyncio.gather(*(asyncio.to_thread(self._renewed, department, spec) for spec in specs))
        renewed = {state.spec.name: state for state in states}
        if renewed != self._states:
            self._states = renewed
            self._served = None

    def _renewed(self, department: Department, spec: Dataset) -> DatasetState:
        known = _respecified(self._states.get(spec.name), spec)
        etag = None
        try:
            etag = self._objects.etag(spec.object)
            if etag == known.rejected:
                return known
            if known.table is not None and etag == known.table.version:
                REFRESH_FAILING.labels(department.name, spec.name).set(0)
                return replace(known, error=None, rejected=None)
            etag, data = self._objects.read(spec.object)
            table = DataTable.load(spec, etag, data)
            if known.table is not None:
                table.prepare_like(known.table)
        except (ObjectMissing, StorageUnavailable) as error:
            return self._failed(department, known, str(error), rejected=None)
        except BrokenObject as error:
            return self._failed(department, known, str(error), rejected=etag)
        except Exception:
            # Whatever an object can do to a reader: what is loaded goes on being served.
            log.exception("dataset.load_failed", dataset=spec.name)
            return self._failed(department, known, f"{spec.object} cannot be loaded", rejected=etag)
        labels = (department.name, spec.name)
        DATA_ROWS.labels(*labels).set(table.row_count)
        DATA_LOADED.labels(*labels).set(table.loaded_at)
        REFRESH_FAILING.labels(*labels).set(0)
        dirt = {"duplicate_keys": table.duplicate_keys, "blank_keys": table.blank_keys}
        log.info("dataset.loaded", dataset=spec.name, version=etag, rows=table.row_count, **dirt)
        return DatasetState(spec, table)

    @staticmethod
    def _failed(department: Department, known: DatasetState, error: str, rejected: str | None) -> DatasetState:
        REFRESH_FAILURES.labels(department.name, known.spec.name).inc()
        REFRESH_FAILING.labels(department.name, known.spec.name).set(1)
        if error != known.error:
            log.warning("dataset.refresh_failed", dataset=known.spec.name, error=error, serving=known.table is not None)
        return replace(known, error=error, rejected=rejected)


def _respecified(known: DatasetState | None, spec: Dataset) -> DatasetState:
    if known is not None and known.spec == spec:
        return known
    return DatasetState(spec, known.table if known and known.table and known.table.fits(spec) else None)
