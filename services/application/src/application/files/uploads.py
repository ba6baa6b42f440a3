"""What happens to presigned multipart uploads. All calls block; they are for threads."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from application.aws.objects import MEBIBYTE, Objects, upload_object
from application.aws.source import ObjectSource
from application.engine import InputError, detect_format
from application.errors import Conflict, InvalidParts, ObjectGone, UploadGone
from application.files.service import FileService
from application.files.store import FileStore
from application.http import problems
from application.records import File, Upload, iso, new_id
from application.settings import ApiSettings
from application.usage import StorageFull, TooManyUploads, Usage
from common.problem import Problem

log = structlog.get_logger()

HEAD_BYTES = 65536
"""As much of a file as tells its format."""

_LEAST_PART = 16 * MEBIBYTE
_MOST_PARTS = 500
"""As many URLs as one answer holds; S3 would take 10,000 parts."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that was begun, with the URL that each part is to be PUT to, by number from 1."""

    upload: Upload
    part_size: int
    urls: Sequence[str]


class UploadService:
    """Begins, completes and aborts uploads whose bytes go to S3 without passing through here."""

    def __init__(
        self, settings: ApiSettings, files: FileService, store: FileStore, objects: Objects, usage: Usage
    ) -> None:
        """``settings`` say how long URLs live, and how large a file may be."""
        self._max_bytes = settings.max_file_bytes
        self._seconds = settings.upload_url_seconds
        self._files = files
        self._store = store
        self._objects = objects
        self._usage = usage

    def begin(self, owner: str, name: str, size: int) -> Begun:
        """Begin an upload of so many bytes.

        Raises:
            Problem: It is too large.
            StorageFull, TooManyUploads: The owner uses as much as they may.
        """
        if size > self._max_bytes:
            detail = f"The maximum size is {self._max_bytes} bytes."
            expected = f"at most {self._max_bytes}"
            raise Problem(413, "too-large", "This is too large", detail, field="size", expected=expected)
        identifier = new_id()
        key = upload_object(identifier)
        now = time.time()
        self._usage.check(owner, uploads=1, size=size)
        upload = Upload(
            id=identifier,
            owner=owner,
            name=name,
            size=size,
            upload_id=self._objects.start(key),
            created_at=iso(now),
            expires_at=int(now) + self._seconds,
        )
        try:
            self._store.add_upload(upload, self._usage)
        except (StorageFull, TooManyUploads):
            self._objects.abort(key, upload.upload_id)
            raise
        part_size = max(_LEAST_PART, math.ceil(size / _MOST_PARTS / MEBIBYTE) * MEBIBYTE)
        urls = [
            self._objects.presign_part(key, upload.upload_id, number, min(part_size, size - start), self._seconds)
            for number, start in enumerate(range(0, size, part_size), 1)
        ]
        return Begun(upload, part_size, urls)

    def page(self, owner: str, limit: int, before: str | None) -> tuple[list[Upload], str | None]:
        """The owner's uploads under way, newest first, and the place of the last one where there are more."""
        return self._store.uploads_of_owner(owner, limit, before)

    def complete(self, upload: str, owner: str, parts: Sequence[tuple[int, str]]) -> File:
        """Make the parts, by number with their ETags, a file. A completion that is refused ends the upload.

        Raises:
            Problem, InputError: They make no file.
            StorageFull: There is no room for it now; the upload stays.
        """
        begun = self._store.get_upload(upload, owner)
        if begun is None:
            # A repeated completion, whose first answer was lost, finds what it made.
            done = self._store.get(upload, owner)
            if done is None:
                raise problems.no_such("upload")
            return done
        # Where there is no room the upload stays: its owner can make room, and complete it then.
        self._usage.check(owner, size=begun.size)
        try:
            return self._file_of_parts(begun, sorted(parts))
        except (Problem, InputError, StorageFull):
            self._discard(begun)
            raise

    def abort(self, upload: str, owner: str) -> None:
        """Give an upload up, and throw away its parts; raises a ``Problem`` where there is none."""
        begun = self._store.get_upload(upload, owner)
        if begun is None:
            raise problems.no_such("upload")
        self._discard(begun)

    def _file_of_parts(self, begun: Upload, parts: list[tuple[int, str]]) -> File:
        key = upload_object(begun.id)
        try:
            self._objects.complete(key, begun.upload_id, parts)
        except UploadGone:
            # An earlier completion may have got this far and no further; the object tells.
            log.info("upload.completed_before", upload=begun.id)
        except InvalidParts as error:
            detail = "A part is missing, is under 5 MiB and not the last, or was answered with another ETag."
            raise Problem(
                422, "invalid-parts", "The parts are not those that were uploaded", detail, field="parts"
            ) from error
        try:
            size = self._objects.head(key)
        except ObjectGone as error:
            raise problems.no_such("upload") from error
        if size != begun.size:
            detail = f"{size} bytes were uploaded, but {begun.size} were announced."
            raise Problem(422, "wrong-size", "The upload has another size", detail, expected=f"{begun.size} bytes")
        source = ObjectSource(self._objects, key, size, tries=_TRIES)
        try:
            file_format = detect_format(begun.name, source.read(HEAD_BYTES))
        finally:
            source.close()
        file = self._files.described(begun.id, begun.owner, begun.name, size, file_format)
        try:
            self._store.finish_upload(begun, file, self._usage)
        except Conflict as error:
            done = self._store.get(begun.id, begun.owner)
            if done is None:
                self._objects.delete(key)
                raise problems.no_such("upload") from error
            return done
        log.info("file.uploaded", file=file.id, owner=file.owner, size=file.size, format=file.format.value)
        return file

    def _discard(self, begun: Upload) -> None:
        """Throw away what was uploaded, unless it has become a file meanwhile."""
        try:
            self._store.remove_upload(begun)
        except Conflict:
            return
        key = upload_object(begun.id)
        self._objects.abort(key, begun.upload_id)
        self._objects.delete(key)
