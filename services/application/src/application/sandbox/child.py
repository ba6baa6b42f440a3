"""The process that works on one file: it has no rights, no environment and no way out but its channels."""

from __future__ import annotations

import io
import os
import pickle
import queue
import resource
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import orjson
from pydantic import TypeAdapter

from application.engine.core.errors import DepartmentUnavailable, InputError
from application.engine.core.model import DatasetInfo, DatasetRef, LookupBatch, MappingProposal, Preview, Progress
from application.engine.enrich import enrich
from application.engine.mapping import propose_mapping
from application.engine.preview import preview
from application.sandbox.budget import Budget, too_much_produced
from application.sandbox.frames import PIECE, PROGRESS, READ, Ended, Kind, receive, send
from application.sandbox.process import OUT_OF_MEMORY

_NICENESS = 5
_NEARLY_ALL = 0.9
_THREAD_STACK = 1 << 20
_TRUSTED = 1 << 31
_PREVIEW: TypeAdapter[Preview] = TypeAdapter(Preview)
_PROPOSAL: TypeAdapter[MappingProposal] = TypeAdapter(MappingProposal)


def serve(files: socket.socket, lookups: Sequence[socket.socket]) -> NoReturn:
    """Take one task from ``files``, do it and exit. Every exit is immediate: nothing here needs an orderly end."""
    try:
        _, data = receive(files, _TRUSTED)
        operation, arguments, size, budget = pickle.loads(data)  # noqa: S301 - the service's own words
        source = _Source(files, size)
        work: Callable[[], bytes] = {
            "enrich": lambda: _enrich(source, lookups, arguments),
            "preview": lambda: _preview(source, lookups, arguments),
            "propose": lambda: _PROPOSAL.dump_json(propose_mapping(source, **arguments)),
        }[operation]
        _confine(budget)
        kind, answer = _outcome(work)
        if len(answer) > budget.produced:
            kind, answer = Kind.REFUSED, _refusal(too_much_produced(budget))
        send(files, kind, answer)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException:  # noqa: BLE001 - who would be told is gone
        os._exit(1)
    os._exit(0)


def _outcome(work: Callable[[], bytes]) -> tuple[Kind, bytes]:
    try:
        return Kind.RESULT, work()
    except InputError as error:
        return Kind.REFUSED, _refusal(error)
    except DepartmentUnavailable as error:
        return Kind.UNAVAILABLE, orjson.dumps([error.department, error.detail])
    except (MemoryError, Ended):
        raise
    except Exception as error:  # noqa: BLE001 - it is the service that logs it
        if 0 < resource.getrlimit(resource.RLIMIT_DATA)[0] * _NEARLY_ALL < _private_memory():
            # A library that gets no memory says so in its own way: no thread can be started, JSON is not valid.
            raise MemoryError from None
        return Kind.FAILED, orjson.dumps([type(error).__name__, traceback.format_tb(error.__traceback__)])


def _refusal(error: InputError) -> bytes:
    fields = {"slug": error.slug, "title": error.title, "detail": error.detail, **error.extra()}
    # A file's own words may hold what is no text.
    return orjson.dumps(
        {k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in fields.items()}
    )


def _enrich(source: _Source, lookups: Sequence[socket.socket], arguments: Mapping[str, Any]) -> bytes:
    def told(progress: Progress) -> None:
        total = -1 if progress.total_rows is None else progress.total_rows
        source.tell_parent(Kind.PROGRESS, PROGRESS.pack(progress.rows, progress.bytes, progress.total_bytes, total))

    report = enrich(
        source, lookup=_Lookup((), lookups), sink=cast("BinaryIO", _Sink(source)), progress=told, **arguments
    )
    return report.model_dump_json().encode()


def _preview(source: _Source, lookups: Sequence[socket.socket], arguments: Mapping[str, Any]) -> bytes:
    given = dict(arguments)
    return _PREVIEW.dump_json(preview(source, lookup=_Lookup(given.pop("datasets"), lookups), **given))


def _confine(budget: Budget) -> None:
    """Bound what this process may take; a file of a stranger is read next."""
    os.nice(_NICENESS)
    threading.stack_size(_THREAD_STACK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (budget.cpu, budget.cpu + 1))
    if sys.platform == "linux":
        most = _private_memory() + budget.memory
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _private_memory() -> int:
    """Bytes of private writable memory, as RLIMIT_DATA counts it: what is mapped of libraries is not in it."""
    if sys.platform != "linux":
        return 0
    taken = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    return int(taken.split()[1]) * 1024


class _Source:
    """The file, which the service reads. Safe in threads: Arrow reads from its own."""

    def __init__(self, channel: socket.socket, size: int) -> None:
        self._channel = channel
        self._size = size
        self._position = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        return self._size

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if target < 0:
            raise ValueError("a position before the start")
        self._position = target
        return target

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self._size - self._position)
        wanted = left if size < 0 else min(size, left)
        parts = []
        with self._lock:
            while wanted:
                piece = min(wanted, PIECE)
                send(self._channel, Kind.READ, READ.pack(self._position, piece))
                _, data = receive(self._channel, PIECE)
                if not data:
                    break
                self._position += len(data)
                wanted -= len(data)
                parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def tell_parent(self, kind: Kind, data: bytes | memoryview) -> None:
        with self._lock:
            send(self._channel, kind, data)


class _Sink(io.RawIOBase):
    """The result, which the service writes."""

    def __init__(self, source: _Source) -> None:
        super().__init__()
        self._source = source

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        for at in range(0, len(view), PIECE):
            self._source.tell_parent(Kind.WRITE, view[at : at + PIECE])
        return len(view)


class _Lookup:
    """The departments, which the service asks."""

    def __init__(self, datasets: Sequence[DatasetInfo], channels: Sequence[socket.socket]) -> None:
        self._datasets = datasets
        self._free: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        for channel in channels:
            self._free.put(channel)

    def datasets(self) -> Sequence[DatasetInfo]:
        return self._datasets

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        channel = self._free.get()
        try:
            send(channel, Kind.LOOKUP, orjson.dumps([asdict(dataset), list(keys), list(columns)]))
            _, data = receive(channel, _TRUSTED)
        finally:
            self._free.put(channel)
        batch: LookupBatch = pickle.loads(data)  # noqa: S301 - the service's own words
        return batch
