"""The departments' data as the engine looks it up: on behalf of one caller, tried again for a while, and believed only
where it is exactly what was asked for."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from application import metrics
from application.departments.client import DepartmentClient, structured_content
from application.engine import (
    Cancelled,
    ColumnInfo,
    DatasetInfo,
    DatasetRef,
    DepartmentUnavailable,
    LookupBatch,
    Proposal,
    Scalar,
)
from application.errors import DepartmentRefused
from common.caller import Caller

log = structlog.get_logger()

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_CONCURRENT = 16
MAX_KEYS_PER_EXPLANATION = 1_000
_EXPLAIN_SECONDS = 20.0
_SCALARS = {str, int, float, bool, type(None)}

Answer = TypeVar("Answer")


class _Column(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    type: str = "string"


class _Dataset(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    key: str
    aliases: list[str] = []
    pattern: str | None = None
    columns: list[_Column]
    rows: int | None = None
    version: str | None = None
    error: str | None = None


class _Description(BaseModel):
    model_config = ConfigDict(strict=True)

    department: str
    datasets: list[_Dataset]


class ExplainedKey(BaseModel):
    """Why a key was not found; no ``cause`` where the department has not looked into it."""

    key: str
    cause: str | None
    dataset: str | None
    proposals: tuple[Proposal, ...]


class _Explanations(BaseModel):
    keys: list[ExplainedKey]


class DepartmentLookup:
    """The engine's ``Lookup``. Its methods block, and must not be called in the thread of ``loop``."""

    def __init__(
        self,
        client: DepartmentClient,
        loop: asyncio.AbstractEventLoop,
        caller: Caller,
        departments: Sequence[str],
        *,
        call_seconds: float,
        total_seconds: float,
        needed: Sequence[str] = (),
    ) -> None:
        """``datasets`` asks ``departments``; ``needed`` must have data; a call is tried for ``total_seconds``."""
        self._client = client
        self._loop = loop
        self._caller = caller
        self._departments = departments
        self._call_seconds = call_seconds
        self._total_seconds = total_seconds
        self._needed = needed
        self._context = contextvars.copy_context()
        self._stopped = threading.Event()
        self._pending: set[Future[bytes]] = set()

    def datasets(self) -> Sequence[DatasetInfo]:
        """The data sets of all the departments that are loaded, in the order of the departments' names.

        Raises:
            DepartmentUnavailable: A department gave no usable answer in time, or is needed and has no data.
        """
        names = sorted(self._departments)
        with ThreadPoolExecutor(_CONCURRENT, thread_name_prefix="describe") as pool:
            described = dict(zip(names, pool.map(self.describe, names), strict=True))
        for name in self._needed:
            if not described[name]:
                raise DepartmentUnavailable(name, "its data has not been published yet")
        return [dataset for datasets in described.values() for dataset in datasets]

    def describe(self, department: str) -> Sequence[DatasetInfo]:
        """The data sets of one department that are loaded.

        Raises:
            DepartmentUnavailable: It gave no usable answer in time.
        """
        return self._ask(department, "describe_datasets", {}, lambda content: _described(department, content))

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        """Look up keys.

        Raises:
            DepartmentUnavailable: The department gave no usable answer in time.
            Cancelled: ``stop`` was called.
        """
        arguments = {"keys": list(keys), "columns": list(columns)}
        return self._ask(
            dataset.department,
            f"lookup_{dataset.dataset}",
            arguments,
            lambda content: _batch(dataset, content, keys, columns),
        )

    def explain(self, dataset: DatasetRef, keys: Sequence[str], seconds: float) -> Sequence[ExplainedKey]:
        """Why keys were not found, in their order; at most ``MAX_KEYS_PER_EXPLANATION``, within ``seconds``.

        Raises:
            DepartmentRefused: The department does not offer it.
            DepartmentUnavailable: The department gave no usable answer in time.
            Cancelled: ``stop`` was called.
        """
        arguments = {"dataset": dataset.dataset, "keys": list(keys)}
        return self._ask(
            dataset.department,
            "explain_keys",
            arguments,
            lambda content: _explanations(dataset, content, keys),
            total_seconds=min(_EXPLAIN_SECONDS, seconds, self._total_seconds),
        )

    def stop(self) -> None:
        """End what is under way with ``Cancelled``, and every call after."""
        self._stopped.set()
        for future in list(self._pending):
            future.cancel()

    def _ask(
        self,
        department: str,
        tool: str,
        arguments: Mapping[str, Any],
        parse: Callable[[dict[str, Any]], Answer],
        total_seconds: float | None = None,
    ) -> Answer:
        deadline = time.monotonic() + (self._total_seconds if total_seconds is None else total_seconds)
        pause = _FIRST_PAUSE
        seconds = self._call_seconds if total_seconds is None else min(self._call_seconds, total_seconds)
        while True:
            try:
                return parse(structured_content(self._call(department, tool, arguments, seconds), department))
            except DepartmentRefused:
                raise
            except DepartmentUnavailable as error:
                if time.monotonic() + pause >= deadline:
                    raise
                metrics.DEPARTMENT_RETRIES.labels(department).inc()
                log.warning("department.retry", department=department, tool=tool, error=error.detail)
            if self._stopped.wait(pause):
                raise Cancelled
            pause = min(_LONGEST_PAUSE, pause * 2)
            seconds = min(self._call_seconds, max(_FIRST_PAUSE, deadline - time.monotonic()))

    def _call(self, department: str, tool: str, arguments: Mapping[str, Any], seconds: float) -> bytes:
        if self._stopped.is_set():
            raise Cancelled
        # In the context of whoever looks up, which the engine's threads know nothing of: the call is part of its trace.
        future = self._context.copy().run(
            asyncio.run_coroutine_threadsafe,
            self._client.call(department, tool, arguments, self._caller, seconds),
            self._loop,
        )
        self._pending.add(future)
        try:
            if self._stopped.is_set():
                future.cancel()
            return future.result()
        except CancelledError as error:
            raise Cancelled from error
        finally:
            self._pending.discard(future)


def _described(department: str, content: dict[str, Any]) -> list[DatasetInfo]:
    try:
        description = _Description.model_validate(content)
    except ValidationError as error:
        raise DepartmentUnavailable(department, "its description is not of the agreed form") from error
    if description.department != department:
        raise DepartmentUnavailable(department, "another department answers at its address")
    return [
        DatasetInfo(
            ref=DatasetRef(department, dataset.name),
            key=dataset.key,
            columns=tuple(ColumnInfo(column.name, column.type) for column in dataset.columns),
            aliases=tuple(dataset.aliases),
            pattern=dataset.pattern,
            rows=dataset.rows,
            version=dataset.version,
        )
        for dataset in description.datasets
        if dataset.version is not None
    ]


def _batch(dataset: DatasetRef, content: dict[str, Any], keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
    version, rows = content.get("version"), content.get("rows")
    if not isinstance(version, str) or not isinstance(rows, list) or len(rows) != len(keys):
        raise _misfit(dataset, "it has not one row for each key")
    found: list[Sequence[Scalar] | None] = []
    try:
        for key, row in zip(keys, rows, strict=True):
            if row["key"] != key:
                raise _misfit(dataset, "its rows are not in the order of the keys")
            if row["matched"] is False:
                found.append(None)
                continue
            values = row["values"]
            picked = [values[column] for column in columns]
            if row["matched"] is not True or not _SCALARS.issuperset(map(type, picked)):
                raise _misfit(dataset, "its values are not single values")
            found.append(picked)
    except (KeyError, TypeError) as error:
        raise _misfit(dataset, "a row lacks what was asked for") from error
    return LookupBatch(version, tuple(columns), found)


def _explanations(dataset: DatasetRef, content: dict[str, Any], keys: Sequence[str]) -> Sequence[ExplainedKey]:
    try:
        explained = _Explanations.model_validate(content).keys
    except ValidationError as error:
        raise _misfit(dataset, "its explanations are not of the agreed form") from error
    if [each.key for each in explained] != list(keys):
        raise _misfit(dataset, "its explanations are not in the order of the keys")
    return explained


def _misfit(dataset: DatasetRef, reason: str) -> DepartmentUnavailable:
    return DepartmentUnavailable(dataset.department, f"its answer for {dataset} does not fit the question: {reason}")
