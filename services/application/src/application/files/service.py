"""What happens to files. All calls block; they are for threads."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from application import metrics
from application.aws.objects import Objects, upload_object
from application.aws.sink import ObjectSink
from application.aws.source import ObjectSource
from application.engine import Format
from application.files.store import FileInUse, FileStore
from application.http import problems
from application.records import File, is_id, iso, new_id
from application.settings import ApiSettings
from application.usage import Usage
from common.problem import Problem

log = structlog.get_logger()

_SOURCE_TRIES = 3


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file on its way: its identifier, and what its bytes are written to."""

    id: str
    sink: ObjectSink


class FileService:
    """Keeps, finds and deletes the files of each owner."""

    def __init__(self, settings: ApiSettings, store: FileStore, objects: Objects, usage: Usage) -> None:
        """``settings`` say how long a file is kept."""
        self._retention_seconds = settings.retention_days * 86400
        self._store = store
        self._objects = objects
        self._usage = usage

    def find(self, file: str, owner: str) -> File:
        """The owner's file; raises a ``Problem`` where there is none."""
        found = self.get(file, owner)
        if found is None:
            raise problems.no_such("file")
        return found

    def get(self, file: str, owner: str) -> File | None:
        """The owner's file, if there is one."""
        return self._store.get(file, owner) if is_id(file) else None

    def page(self, owner: str, limit: int, before: str | None) -> tuple[list[File], str | None]:
        """The owner's files, newest first, and the place of the last one where there are more."""
        return self._store.of_owner(owner, limit, before)

    def content(self, file: File) -> ObjectSource:
        """What the file holds; to be closed."""
        return ObjectSource(self._objects, upload_object(file.id), file.size, tries=_SOURCE_TRIES)

    def check_room(self, owner: str, size: int) -> None:
        """Raise ``StorageFull`` where so many bytes more are too many."""
        self._usage.check(owner, size=size)

    def receive(self) -> Incoming:
        """Begin to write a file, which is nobody's until it is kept."""
        file = new_id()
        return Incoming(file, ObjectSink(self._objects, upload_object(file)))

    def keep(self, incoming: Incoming, owner: str, name: str, file_format: Format) -> File:
        """Complete what was received; raises ``StorageFull``."""
        incoming.sink.complete()
        kept = self.described(incoming.id, owner, name, incoming.sink.size, file_format)
        self._store.add(kept, self._usage)
        metrics.UPLOADED_BYTES.inc(kept.size)
        log.info("file.taken_in", file=kept.id, owner=owner, size=kept.size, format=file_format.value)
        return kept

    def discard(self, incoming: Incoming) -> None:
        """Throw away what was received."""
        incoming.sink.abort()
        self._objects.delete(upload_object(incoming.id))

    def described(self, file: str, owner: str, name: str, size: int, file_format: Format) -> File:
        """A file that has just come in whole."""
        now = time.time()
        expires_at = int(now + self._retention_seconds)
        return File(
            id=file, owner=owner, name=name, size=size, format=file_format, created_at=iso(now), expires_at=expires_at
        )

    def delete(self, file: str, owner: str) -> None:
        """Delete a file, its jobs and their results; raises a ``Problem``."""
        try:
            begun = self._store.begin_delete(file, owner)
        except FileInUse as error:
            detail = "A job runs on this file. Cancel it, or wait for it, then delete the file."
            raise Problem(409, "file-in-use", "The file is in use", detail) from error
        if begun is None:
            raise problems.no_such("file")
        found, jobs = begun
        for job in jobs:
            self._objects.clean_results(job.id, job.fence + 1)
        self._objects.delete(upload_object(found.id))
        self._store.finish_delete(found, jobs)
        log.info("file.deleted", file=file, owner=owner)
