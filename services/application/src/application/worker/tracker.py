"""How far a job is, how fast, and how long it will take."""

from __future__ import annotations

import time

from application.engine import Progress
from application.records import JobProgress

_SMOOTHING = 0.3
"""Weight of the newest interval in the rates."""


class Tracker:
    """Is told of progress in the engine's thread, and asked for it in the heartbeat's."""

    def __init__(self, total_bytes: int) -> None:
        self._latest = Progress(0, 0, total_bytes)
        self._seen = self._latest
        self._seen_at = time.monotonic()
        self._row_rate: float | None = None
        self._byte_rate: float | None = None

    def note(self, progress: Progress) -> None:
        """The engine is so far."""
        self._latest = progress

    def progress(self) -> JobProgress:
        """How far it is, with rates since the last time this was asked, smoothed."""
        latest, seen, now = self._latest, self._seen, time.monotonic()
        seconds = now - self._seen_at
        if latest.bytes > seen.bytes and seconds > 0:
            self._row_rate = _smoothed(self._row_rate, (latest.rows - seen.rows) / seconds)
            self._byte_rate = _smoothed(self._byte_rate, (latest.bytes - seen.bytes) / seconds)
            self._seen, self._seen_at = latest, now
        left = None if not self._byte_rate else (latest.total_bytes - latest.bytes) / self._byte_rate
        return JobProgress(
            rows=latest.rows,
            total_rows=latest.total_rows,
            bytes=latest.bytes,
            total_bytes=latest.total_bytes,
            rows_per_second=None if self._row_rate is None else round(self._row_rate, 1),
            seconds_left=None if left is None else round(left, 1),
        )

    def finished(self, rows: int, seconds: float) -> JobProgress:
        """All is done."""
        total = self._latest.total_bytes
        rate = round(rows / seconds, 1) if seconds else None
        return JobProgress(
            rows=rows, total_rows=rows, bytes=total, total_bytes=total, rows_per_second=rate, seconds_left=0
        )


def _smoothed(known: float | None, newest: float) -> float:
    return newest if known is None else known + _SMOOTHING * (newest - known)
