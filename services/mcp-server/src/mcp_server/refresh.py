"""Keeps the department's data sets as new as S3, without a pause: a new version is built aside, then swapped in."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import structlog

from common.collector import keep_what_is_held
from common.departments import Dataset, Department
from mcp_server.builder import Builder, Work
from mcp_server.building import is_of
from mcp_server.datasets import DataTable
from mcp_server.department import DepartmentFile
from mcp_server.errors import BrokenObject, ObjectMissing
from mcp_server.metrics import DATA_LOADED, DATA_PROGRESS, DATA_ROWS, REFRESH_FAILING, REFRESH_FAILURES
from mcp_server.s3 import DepartmentObjects, StorageUnavailable, Version
from mcp_server.versions import Versions

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
    """All data sets of the department, by name, in the order of the `Department`.

    Attributes:
        progress: How much was read of the objects that are being built, 0 to 1, by the data set's name.
    """

    def __init__(
        self, department: DepartmentFile, objects: DepartmentObjects, versions: Versions, refresh_seconds: float
    ) -> None:
        self._department = department
        self._objects = objects
        self._versions = versions
        self._builder = Builder()
        self._refresh_seconds = refresh_seconds
        self._states: dict[str, DatasetState] = {}
        self._served: tuple[Department, Mapping[str, DatasetState]] | None = None
        self._renewing: set[str] = set()
        self.progress: dict[str, float] = {}

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
        async with asyncio.TaskGroup() as tasks:
            while True:
                department = self._department.current()
                if department is not None:
                    datasets = {spec.name: spec for spec in department.spec.datasets}
                    await asyncio.to_thread(self._versions.forget_others, datasets)
                    # A large object is built for minutes, in which the other data sets are looked at.
                    for name in datasets.keys() - self._renewing:
                        self._renewing.add(name)
                        tasks.create_task(self._renew(department, datasets[name]))
                await self._pause(department)

    async def _pause(self, department: Department | None) -> None:
        states = () if department is None else self.states(department).values()
        # A data set without a first version has nothing to serve.
        complete = bool(states) and all(state.table is not None for state in states)
        pause = self._refresh_seconds if complete else min(self._refresh_seconds, FIRST_VERSION_SECONDS)
        looks = max(1, round(pause / DEPARTMENT_LOOK_SECONDS))
        for _ in range(looks):
            await asyncio.sleep(pause / looks)
            if self._department.current() is not department:
                break

    async def _renew(self, department: Department, spec: Dataset) -> None:
        """Look once; a data set that cannot be renewed stays as it is and says why."""
        try:
            known = _respecified(self._states.get(spec.name), spec)
            if known.table is None:
                known = replace(known, table=await asyncio.to_thread(self._left_by_earlier_start, spec))
                self._publish(department, known)
            renewed = await self._renewed(department, known)
            self._publish(department, renewed)
            if renewed.table is not None:
                await asyncio.to_thread(renewed.table.prepare)
            served = None if renewed.table is None else renewed.table.folder
            await asyncio.to_thread(self._versions.keep, spec.name, served)
        finally:
            self._renewing.discard(spec.name)

    def _publish(self, department: Department, state: DatasetState) -> None:
        name, before = state.spec.name, self._states.get(state.spec.name)
        if state == before:
            return
        self._states[name] = state
        self._served = None
        if state.table is not None and (before is None or state.table is not before.table):
            DATA_ROWS.labels(department.name, name).set(state.table.row_count)
            DATA_LOADED.labels(department.name, name).set(state.table.loaded_at)
            keep_what_is_held()

    def _left_by_earlier_start(self, spec: Dataset) -> DataTable | None:
        """The newest version on disk, which is served until S3 has another one."""
        for folder in self._versions.complete(spec.name):
            try:
                if is_of(spec, folder):
                    table = DataTable(spec, folder)
                    log.info("dataset.found", dataset=spec.name, version=table.version, rows=table.row_count)
                    return table
            except Exception:
                # The node may have ended while it was written; it is built again.
                log.exception("dataset.unreadable", dataset=spec.name)
        return None

    async def _renewed(self, department: Department, known: DatasetState) -> DatasetState:
        spec, etag = known.spec, None
        try:
            version = await asyncio.to_thread(self._objects.version, spec.object)
            etag = version.etag
            if etag == known.rejected:
                return known
            if known.table is None or etag != known.table.version:
                table = await self._built(department, spec, version)
                if known.table is not None:
                    await asyncio.to_thread(table.prepare_like, known.table)
                known = DatasetState(spec, table)
        except (ObjectMissing, StorageUnavailable) as error:
            return self._failed(department, known, str(error), rejected=None)
        except BrokenObject as error:
            return self._failed(department, known, str(error), rejected=etag)
        except Exception:
            # Whatever an object can do to a reader: what is loaded goes on being served.
            log.exception("dataset.load_failed", dataset=spec.name)
            return self._failed(department, known, f"{spec.object} cannot be loaded", rejected=etag)
        REFRESH_FAILING.labels(department.name, spec.name).set(0)
        return replace(known, error=None, rejected=None)

    async def _built(self, department: Department, spec: Dataset, version: Version) -> DataTable:
        gauge = DATA_PROGRESS.labels(department.name, spec.name)

        def progress(share: float) -> None:
            self.progress[spec.name] = share
            gauge.set(share)

        progress(0)
        try:
            folder = self._versions.begin(spec.name)
            work = Work(spec=spec, version=version, folder=folder, place=self._objects.place, versions=self._versions)
            await self._builder.build(work, progress)
            table = await asyncio.to_thread(DataTable, spec, self._versions.publish(folder))
        finally:
            del self.progress[spec.name]
            gauge.set(0)
        dirt = {"duplicate_keys": table.duplicate_keys, "blank_keys": table.blank_keys}
        log.info("dataset.loaded", dataset=spec.name, version=version.etag, rows=table.row_count, **dirt)
        return table

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
