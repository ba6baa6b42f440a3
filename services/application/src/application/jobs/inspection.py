"""Looks into files for requests: within a budget, a few at a time, and no longer than somebody waits for the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

from application.aws.source import ObjectSource
from application.departments.lookup import DepartmentLookup
from application.engine import Cancelled, Limits, Lookup, MappingProposal, Preview
from application.http import problems
from application.records import File
from application.sandbox import Budget, Cancellation, Sandbox
from application.settings import MEBIBYTE, ApiSettings

_LIMITS = Limits(unpacked_seconds=8)
"""An Office file of few bytes may hold so much that a worker takes minutes; a request does not."""

_MOST_READ = 512 * MEBIBYTE
_MOST_SHOWN = 4 * MEBIBYTE
_ROUND_SECONDS = 0.1


class FileInspector:
    """Runs the engine for requests. Each caller has one process at a time, so that nobody waits long for another."""

    def __init__(self, sandbox: Sandbox, settings: ApiSettings) -> None:
        """``settings`` say how many processes there may be, and what each may take."""
        self._sandbox = sandbox
        self._seconds = settings.preview_seconds
        self._slots = threading.Semaphore(settings.previews_at_once)
        self._lock = threading.Lock()
        self._own: WeakValueDictionary[str, _Turn] = WeakValueDictionary()
        self._budget = Budget(
            settings.preview_memory_bytes,
            settings.preview_cpu_seconds,
            settings.preview_seconds,
            _MOST_READ,
            _MOST_SHOWN,
            "Split it into smaller files, or send the table as CSV.",
        )

    def preview(
        self, file: File, source: ObjectSource, lookup: Lookup, cancellation: Cancellation, **wanted: Any
    ) -> Preview:
        """As ``engine.preview``; raises also ``Cancelled``, and a ``Problem`` where there is no turn for too long."""
        with self._turn(file.owner, cancellation):
            return self._sandbox.preview(
                source, file.format, lookup, limits=_LIMITS, budget=self._budget, cancellation=cancellation, **wanted
            )

    def propose_mapping(
        self, file: File, source: ObjectSource, lookup: DepartmentLookup, cancellation: Cancellation, **wanted: Any
    ) -> MappingProposal:
        """As ``engine.propose_mapping``; raises as ``preview``."""
        datasets = lookup.datasets()
        with self._turn(file.owner, cancellation):
            return self._sandbox.propose_mapping(
                source, file.format, datasets, limits=_LIMITS, budget=self._budget, cancellation=cancellation, **wanted
            )

    @contextmanager
    def _turn(self, owner: str, cancellation: Cancellation) -> Iterator[None]:
        with self._lock:
            own = self._own.setdefault(owner, _Turn())
        deadline = time.monotonic() + self._seconds
        with self._held(own, cancellation, deadline), self._held(self._slots, cancellation, deadline):
            yield

    @contextmanager
    def _held(self, slots: threading.Semaphore, cancellation: Cancellation, deadline: float) -> Iterator[None]:
        while not slots.acquire(timeout=_ROUND_SECONDS):
            if time.monotonic() > deadline:
                raise problems.busy()
            if cancellation.is_cancelled:
                raise Cancelled
        try:
            yield
        finally:
            slots.release()


class _Turn(threading.Semaphore):
    """One caller's; it can be weakly referred to."""
