"""What each subject uses of what is limited: unfinished jobs, uploads on their way, and bytes that are kept.

An upload that was announced is not kept: until it is complete it counts as one upload, whatever its size.

One item of a subject counts all three. It is raised in the transaction that keeps the record, on the condition that the
limit holds, so no two requests can share the last room. It is never lowered: what ends, expires or is deleted leaves it
too high. Only when it says that a limit is reached, it is counted anew from the subject's pointers; so counting costs
nothing but a condition, except near the limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from application.aws.table import Item, Key, Table, Value
from application.errors import Conflict
from application.records import File, Job, Upload, job_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ACTIVE = "ACTIVE#"
FILES = "FILE#"
UPLOADS = "UPLOAD#"
_TRIES = 5
_MOST_PRUNED = 90
"""At once: a transaction has at most 100 writes."""


class TooManyJobs(Exception):
    """The subject has as many unfinished jobs as one may have."""

    def __init__(self, limit: int) -> None:
        """``limit`` is that many."""
        super().__init__(limit)
        self.limit = limit


class TooManyUploads(Exception):
    """The subject has as many uploads on their way as one may have."""

    def __init__(self, limit: int) -> None:
        """``limit`` is that many."""
        super().__init__(limit)
        self.limit = limit


class StorageFull(Exception):
    """What is to be kept does not fit into what one subject may keep."""

    def __init__(self, used: int, needed: int, limit: int) -> None:
        """All in bytes."""
        super().__init__(used, needed, limit)
        self.used = used
        self.needed = needed
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Amounts:
    """So many of each."""

    jobs: int = 0
    uploads: int = 0
    bytes: int = 0


class Usage:
    """Blocking, safe in threads."""

    def __init__(self, table: Table, *, max_jobs: int, max_uploads: int, max_bytes: int, retention_days: float) -> None:
        """The limits are of one subject; nothing that is counted is kept for longer than ``retention_days``."""
        self._table = table
        self._max_jobs = max_jobs
        self._max_uploads = max_uploads
        self._max_bytes = max_bytes
        # An upload becomes a file, with all of a file's time, some hours after it was counted.
        self._kept_seconds = int((retention_days + 1) * 86400)

    def check(self, owner: str, *, jobs: int = 0, uploads: int = 0, size: int = 0) -> None:
        """See that so many more jobs, uploads and bytes fit.

        Raises:
            TooManyJobs, TooManyUploads, StorageFull: They do not.
        """
        more = Amounts(jobs, uploads, size)
        for _ in range(_TRIES):
            item = self._table.get(_key(owner)) or {}
            used = Amounts(*(int(item.get(name, 0)) for name in ("jobs", "uploads", "bytes")))
            if self._excess(used, more) is None:
                return
            try:
                used = self._count(owner, item)
            except Conflict:
                # Something was added, or counted, meanwhile.
                continue
            break
        if (excess := self._excess(used, more)) is not None:
            raise excess

    def keep(self, owner: str, write: Callable[[], None], *, uploads: int = 0, size: int = 0) -> None:
        """Do ``write``, a transaction on the condition that so many more uploads and bytes fit.

        Raises:
            TooManyUploads, StorageFull: They do not.
            Conflict: Another condition of the transaction does not hold.
        """
        for attempt in range(1, _TRIES + 1):
            self.check(owner, uploads=uploads, size=size)
            try:
                write()
            except Conflict:
                if attempt == _TRIES:
                    raise
            else:
                return

    def of_new_job(self, job: Job) -> Sequence[TransactWriteItemTypeDef]:
        """The writes that count a new job, and its result as as many bytes as its file. Its pointer is the list's."""
        return (self._active(job), self._raise(job.owner, Amounts(jobs=1, bytes=job.file_size)))

    def of_retried_job(self, job: Job) -> Sequence[TransactWriteItemTypeDef]:
        """The writes that count a job that is begun again."""
        return (self._active(job), self._raise(job.owner, Amounts(jobs=1)))

    def of_file(self, file: File) -> Sequence[TransactWriteItemTypeDef]:
        """The writes that list a file among its owner's, and count it."""
        return (self._listed(file), self._raise(file.owner, Amounts(bytes=file.size)))

    def of_upload(self, upload: Upload) -> Sequence[TransactWriteItemTypeDef]:
        """The writes that list an upload among its owner's, and count it."""
        return (self._listed(upload), self._raise(upload.owner, Amounts(uploads=1)))

    def _listed(self, record: File | Upload) -> TransactWriteItemTypeDef:
        pk, sk = pointer_key(record)
        pointer: dict[str, Value | None] = {
            "pk": pk,
            "sk": sk,
            "id": record.id,
            "size": record.size,
            "expires_at": record.expires_at,
        }
        return self._table.write_put(pointer, is_new=False)

    def _active(self, job: Job) -> TransactWriteItemTypeDef:
        place: dict[str, Value | None] = {"pk": f"OWNER#{job.owner}", "sk": f"{_ACTIVE}{job.id}"}
        return self._table.write_put({**place, "job": job.id, "expires_at": job.expires_at}, is_new=False)

    def _raise(self, owner: str, more: Amounts) -> TransactWriteItemTypeDef:
        conditions = ["(attribute_not_exists(#bytes) OR #bytes <= :room)"]
        values = {"room": self._max_bytes - more.bytes}
        if more.jobs:
            conditions.append("(attribute_not_exists(#jobs) OR #jobs < :most_jobs)")
            values["most_jobs"] = self._max_jobs
        if more.uploads:
            conditions.append("(attribute_not_exists(#uploads) OR #uploads < :most_uploads)")
            values["most_uploads"] = self._max_uploads
        return self._table.write_update(
            _key(owner),
            {"expires_at": int(time.time()) + self._kept_seconds},
            " AND ".join(conditions),
            values,
            {"bytes": more.bytes, "jobs": more.jobs, "uploads": more.uploads, "version": 1},
        )

    def _excess(self, used: Amounts, more: Amounts) -> TooManyJobs | TooManyUploads | StorageFull | None:
        if more.jobs and used.jobs + more.jobs > self._max_jobs:
            return TooManyJobs(self._max_jobs)
        if more.uploads and used.uploads + more.uploads > self._max_uploads:
            return TooManyUploads(self._max_uploads)
        # A full store refuses a file whose size is not known yet, too.
        if used.bytes + max(more.bytes, 1) > self._max_bytes:
            return StorageFull(used.bytes, more.bytes, self._max_bytes)
        return None

    def _count(self, owner: str, item: Item) -> Amounts:
        """Count all anew, and keep that.

        Raises:
            Conflict: Something was added meanwhile.
        """
        pk, now = f"OWNER#{owner}", time.time()
        stored = [*self._table.query(pk, FILES), *self._table.query(pk, "JOB#")]
        size = sum(int(pointer["size"]) for pointer in stored if int(pointer["expires_at"]) > now)
        uploads = sum(int(pointer["expires_at"]) > now for pointer in self._table.query(pk, UPLOADS))
        pointers = list(self._table.query(pk, _ACTIVE))
        jobs = [Job.of_item(found) for found in self._table.get_many([job_key(str(one["job"])) for one in pointers])]
        active = {job.id for job in jobs if job.is_active and not job.is_expired}
        ended = [one for one in pointers if one["job"] not in active][:_MOST_PRUNED]
        if item:
            # The pointer of a job that is retried at this moment is not lost: a retry raises the version.
            counted = {"bytes": size, "jobs": len(active), "uploads": uploads}
            self._table.transact(
                [
                    self._table.write_update(
                        _key(owner), counted, "#version = :seen", {"seen": item["version"]}, {"version": 1}
                    ),
                    *(self._table.write_delete((pk, str(one["sk"]))) for one in ended),
                ]
            )
        return Amounts(len(active), uploads, size)


def pointer_key(record: File | Upload) -> Key:
    """Where a file or an upload is listed among its owner's, by the time at which it was made."""
    prefix = FILES if isinstance(record, File) else UPLOADS
    return f"OWNER#{record.owner}", f"{prefix}{record.created_at}#{record.id}"


def _key(owner: str) -> Key:
    return f"OWNER#{owner}", "USAGE"
