"""Follows a job: server-sent events while they work, and asking now and then while they do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx2

from fileproc.errors import Unavailable
from fileproc.models import Job
from fileproc.transport import Transport, parse_text

# The service sends a comment every 15 s, so three of them are missing.
_SILENCE = httpx2.Timeout(30.0, connect=10.0, read=45.0)
_BROKEN_STREAMS = 3
_RECONNECT_SECONDS = 0.5
_POLL_SECONDS = 2.0
_PATIENCE_SECONDS = 300.0


def follow(api: Transport, path: str, get: Callable[[], Job]) -> Iterator[Job]:
    """The job as it is now, then on each change (events of `path`), up to and including its last state.

    A stream that breaks is opened again; one that breaks three times without having said anything is given up, and the
    job is asked for (`get`) every two seconds. The job is not given up for five minutes: it may have taken hours.

    Raises:
        FileprocError: There is no such job, or the service stayed out of reach; the job itself goes on.
    """
    job = get()
    yield job
    broken, heard_at = 0, time.monotonic()
    while not job.is_finished:
        heard = False
        if broken < _BROKEN_STREAMS:
            for job in _stream(api, path):
                heard = True
                yield job
                if job.is_finished:
                    return
            broken = 0 if heard else broken + 1
        time.sleep(_RECONNECT_SECONDS if broken < _BROKEN_STREAMS else _POLL_SECONDS)
        if not heard:
            try:
                job = get()
            except Unavailable:
                if time.monotonic() > heard_at + _PATIENCE_SECONDS:
                    raise
                continue
            yield job
        heard_at = time.monotonic()


def _stream(api: Transport, path: str) -> Iterator[Job]:
    """The states that one stream tells until it ends or breaks."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    try:
        with api.stream(path, persistent=False, headers=headers, timeout=_SILENCE) as response:
            for event in httpx2.EventSource(response):
                if event.event in {"progress", "done"}:
                    yield parse_text(event.data, Job, "The job's stream of events")
    except (httpx2.TransportError, Unavailable):
        return
