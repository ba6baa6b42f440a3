"""The service's side: starts the processes, reads and writes and looks up for them, and ends them."""

from __future__ import annotations

import os
import pickle
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import orjson
import structlog
from pydantic import TypeAdapter

from application import metrics
from application.engine import (
    Cancelled,
    DatasetRef,
    DepartmentUnavailable,
    Format,
    InputError,
    Limits,
    Lookup,
    MappingProposal,
    Preview,
    Progress,
    Report,
    Source,
)
from application.engine.core.model import DatasetInfo
from application.engine.core.model import Mapping as EngineMapping
from application.sandbox.budget import (
    Budget,
    Cancellation,
    EngineFailed,
    too_much_read,
    too_much_time,
)
from application.sandbox.frames import LOOKUPS, PIECE, PROGRESS, READ, Ended, Kind, Misused, receive, send
from application.sandbox.process import Process, Usage, is_closed, why_ended
from common.file_options import DETECT_ALL, FileOptions

log = structlog.get_logger()

Answer = TypeVar("Answer")

_MOST_MESSAGE = 64 << 20
_PREVIEW: TypeAdapter[Preview] = TypeAdapter(Preview)
_PROPOSAL: TypeAdapter[MappingProposal] = TypeAdapter(MappingProposal)
_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


class _OutOfTime(Exception):
    """The work takes longer than its budget."""


@dataclass(frozen=True, slots=True)
class _Outside:
    """What a task reaches through the service."""

    source: Source
    sink: BinaryIO | None = None
    lookup: Lookup | None = None
    progress: Callable[[Progress], None] | None = None


class Sandbox:
    """Runs engine operations in processes of their own; safe in threads. A context manager.

    Each operation raises what the engine's raises, whatever ``source``, ``sink``, ``lookup`` and ``progress`` raise,
    ``InputError`` where the file needs more than the budget or ends the process, ``Cancelled``, and ``EngineFailed``.
    """

    def __init__(self, observe: Callable[[Usage], None] | None = None) -> None:
        """``observe`` is told how each process ended."""
        self._observe = observe
        self._lock = threading.Lock()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> Sandbox:
        with self._lock:
            self._started()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stop()

    def enrich(
        self,
        source: Source,
        file_format: Format,
        mapping: EngineMapping,
        lookup: Lookup,
        sink: BinaryIO,
        *,
        progress: Callable[[Progress], None],
        options: FileOptions = DETECT_ALL,
        limits: Limits,
        budget: Budget,
        cancellation: Cancellation,
    ) -> Report:
        """As ``engine.enrich``."""
        arguments = {"file_format": file_format, "mapping": mapping, "options": options, "limits": limits}
        return self._run(
            "enrich", arguments, _Outside(source, sink, lookup, progress), budget, cancellation, _REPORT.validate_json
        )

    def preview(
        self,
        source: Source,
        file_format: Format,
        lookup: Lookup,
        *,
        budget: Budget,
        cancellation: Cancellation,
        **wanted: Any,
    ) -> Preview:
        """As ``engine.preview``, whose other arguments are ``wanted``."""
        arguments = {"file_format": file_format, "datasets": tuple(lookup.datasets()), **wanted}
        return self._run(
            "preview", arguments, _Outside(source, lookup=lookup), budget, cancellation, _PREVIEW.validate_json
        )

    def propose_mapping(
        self,
        source: Source,
        file_format: Format,
        datasets: Sequence[DatasetInfo],
        *,
        budget: Budget,
        cancellation: Cancellation,
        **wanted: Any,
    ) -> MappingProposal:
        """As ``engine.propose_mapping``, whose other arguments are ``wanted``."""
        arguments = {"file_format": file_format, "datasets": tuple(datasets), **wanted}
        return self._run("propose", arguments, _Outside(source), budget, cancellation, _PROPOSAL.validate_json)

    def _run(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        outside: _Outside,
        budget: Budget,
        cancellation: Cancellation,
        parse: Callable[[bytes], Answer],
    ) -> Answer:
        task = pickle.dumps((operation, arguments, outside.source.size, budget), protocol=5)
        with self._process() as process:
            try:
                return parse(_Conversation(process, outside, budget, cancellation).hold(task))
            except Ended:
                reason, error = why_ended(process.ended(), budget)
                metrics.ENGINE_KILLED.labels(operation, reason).inc()
                raise error from None
            except _OutOfTime:
                metrics.ENGINE_KILLED.labels(operation, "wall").inc()
                raise too_much_time(budget, cpu=False) from None

    @contextmanager
    def _process(self) -> Iterator[Process]:
        """A new process, which is gone when the context ends."""
        with ExitStack() as ours, ExitStack() as theirs:
            pairs = [socket.socketpair() for _ in range(LOOKUPS + 2)]
            for our, their in pairs:
                ours.enter_context(our)
                theirs.enter_context(their)
            with self._lock:
                socket.send_fds(self._started(), [b"F"], [their.fileno() for _, their in pairs])
            theirs.close()
            status, files, *lookups = (our for our, _ in pairs)
            process = Process(status, files, lookups)
            try:
                yield process
            finally:
                usage = process.ended()
                if self._observe is not None and usage is not None:
                    self._observe(usage)

    def _started(self) -> socket.socket:
        if self._zygote is not None and self._zygote.poll() is not None:
            log.error("sandbox.ended", status=self._zygote.returncode)
            self._stop()
        if self._control is None:
            self._control, theirs = socket.socketpair()
            with theirs:
                self._zygote = subprocess.Popen(
                    [sys.executable, "-m", "application.sandbox.zygote", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=_environment(),
                    cwd="/",
                )
        return self._control

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._zygote is not None:
            self._zygote.kill()
            self._zygote.wait()
            self._zygote = None


class _Conversation:
    """Answers a process until it has done its task."""

    def __init__(self, process: Process, outside: _Outside, budget: Budget, cancellation: Cancellation) -> None:
        self._process = process
        self._outside = outside
        self._budget = budget
        self._cancellation = cancellation
        self._read = 0

    def hold(self, task: bytes) -> bytes:
        """The result.

        Cancellation and the end of the time kill the process, as it may be hijacked: waiting for the rest of a message,
        or until it reads one, then ends too.

        Raises:
            Ended: The process ended before.
            _OutOfTime: Its time is over.
            Cancelled: The work was cancelled.
        """
        files = self._process.files
        channels = {channel.fileno(): channel for channel in self._process.lookups}
        poll = select.poll()
        for descriptor in (files.fileno(), *channels):
            poll.register(descriptor, select.POLLIN)
        pool = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="sandbox")
        wake, woken = socket.socketpair()
        poll.register(woken.fileno(), select.POLLIN)
        asked: list[Future[None]] = []
        self._cancellation.also(self._process.kill)
        with self._limited() as over:
            try:
                send(files, Kind.TASK, task)
                while True:
                    events = [descriptor for descriptor, _ in poll.poll()]
                    for future in [each for each in asked if each.done()]:
                        asked.remove(future)
                        future.result()
                    for descriptor in events:
                        if descriptor == files.fileno():
                            if (answer := self._serve(*receive(files, _MOST_MESSAGE))) is not None:
                                return answer
                        elif descriptor == woken.fileno():
                            woken.recv(64)
                        elif is_closed(channel := channels[descriptor]):
                            # The process has ended; what it sent before is still to be read from the other channel.
                            poll.unregister(descriptor)
                        else:
                            asked.append(pool.submit(self._look_up, *self._question(channel)))
                            asked[-1].add_done_callback(lambda future: wake.send(b"!") if _has_failed(future) else None)
            except Ended:
                if self._cancellation.is_cancelled:
                    raise Cancelled from None
                if over.is_set():
                    raise _OutOfTime from None
                raise
            finally:
                self._process.ended()
                pool.shutdown(wait=True, cancel_futures=True)
                wake.close()
                woken.close()

    @contextmanager
    def _limited(self) -> Iterator[threading.Event]:
        """Kill the process at the end of its time, which the event tells."""
        over = threading.Event()

        def end() -> None:
            over.set()
            self._process.kill()

        if self._budget.wall is None:
            yield over
            return
        timer = threading.Timer(self._budget.wall, end)
        timer.start()
        try:
            yield over
        finally:
            timer.cancel()

    def _serve(self, kind: Kind, data: bytes) -> bytes | None:
        match kind:
            case Kind.READ:
                position, size = READ.unpack(data)
                self._read += size
                if self._budget.read is not None and self._read > self._budget.read:
                    raise too_much_read(self._budget)
                source = self._outside.source
                source.seek(position)
                send(self._process.files, Kind.DATA, source.read(min(size, PIECE)))
            case Kind.WRITE if self._outside.sink is not None:
                self._outside.sink.write(data)
            case Kind.PROGRESS if self._outside.progress is not None:
                rows, done, size, total = PROGRESS.unpack(data)
                self._outside.progress(Progress(rows, done, size, None if total < 0 else total))
            case Kind.RESULT:
                return data
            case Kind.REFUSED:
                raise InputError(**orjson.loads(data))
            case Kind.UNAVAILABLE:
                raise DepartmentUnavailable(*orjson.loads(data))
            case Kind.FAILED:
                raise EngineFailed(*orjson.loads(data))
            case _:
                raise Misused
        return None

    def _question(self, channel: socket.socket) -> tuple[socket.socket, DatasetRef, list[str], list[str]]:
        kind, data = receive(channel, _MOST_MESSAGE)
        if kind is not Kind.LOOKUP:
            raise Misused
        dataset, keys, columns = orjson.loads(data)
        return channel, DatasetRef(**dataset), keys, columns

    def _look_up(self, channel: socket.socket, dataset: DatasetRef, keys: list[str], columns: list[str]) -> None:
        """Answer one question. What this raises ends the conversation."""
        assert self._outside.lookup is not None  # noqa: S101 - the task has one
        found = self._outside.lookup.lookup(dataset, keys, columns)
        send(channel, Kind.FOUND, pickle.dumps(found, protocol=5))


def _has_failed(future: Future[None]) -> bool:
    return not future.cancelled() and future.exception() is not None


def _environment() -> dict[str, str]:
    """Nothing of the service's own: no process that reads a stranger's file has use for credentials."""
    return {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        # One thread until work starts, as a fork copies no other; and an allocator that the limit of memory bounds.
        "OPENBLAS_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        "MALLOC_ARENA_MAX": "2",
    }
