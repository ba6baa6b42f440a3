"""What each subject uses of what is limited: jobs that are not finished, and bytes that are kept.

One item of a subject counts both. It is raised in the transaction that keeps what is counted, on the condition that
the limit holds, so no two requests can share the last room. It is never lowered: what ends, expires or is deleted
leaves it too high. Only when it says that a limit is reached, it is counted anew from the subject's pointers; so
being counted costs nothing but a condition, and counting is for those who are near their limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from application.errors import Conflict
from application.records import File, Job, Upload, job_key
from application.table import Item, Key, Table, Value

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ACTIVE = "ACTIVE#"
_STORED = "STORED#"
_TRIES = 5
_MOST_PRUNED = 90
"""At once: a transaction has at most 100 writes."""


class TooManyJobs(Exception):
    """The subject has as many unfinished jobs as one may have."""

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


class Usage:
    """Blocking, safe in threads."""

    def __init__(self, table: Table, *, max_jobs: int, max_bytes: int, retention_days: float) -> None:
        """The limits are of one subject; nothing that is counted is kept for longer than ``retention_days``."""
        self._table = table
        self._max_jobs = max_jobs
        self._max_bytes = max_bytes
        # An upload becomes a file, with all of a file's time, some hours after it was counted.
        self._kept_seconds = int((retention_days + 1) * 86400)

    def check(self, owner: str, *, jobs: int = 0, size: int = 0) -> None:
        """See that so many more jobs and bytes fit.

        Raises:
            TooManyJobs, StorageFull: They do not.
        """
        for _ in range(_TRIES):
            item = self._table.get(_key(owner)) or {}
            used = int(item.get("jobs", 0)), int(item.get("bytes", 0))
            if self._excess(*used, jobs, size) is None:
                return
            try:
                used = self._count(owner, item)
            except Conflict:
                # Something was added, or counted, meanwhile.
                continue
            break
        if (excess := self._excess(*used, jobs, size)) is not None:
            raise excess

    def keep(self, owner: str, size: int, write: Callable[[], None]) -> None:
        """Do ``write``, a transaction whose only condition is that so many more bytes fit.

        Raises:
            StorageFull: They do not.
        """
        for attempt in range(1, _TRIES + 1):
            self.check(owner, size=size)
            try:
                write()
            except Conflict:
                if attempt == _TRIES:
                    raise
            else:
                return

    def of_new_job(self, job: Job) -> Sequence[TransactWriteItemTypeDef]:
        """The writes that count a new job, and its result as as many bytes as its file. Its pointer is the list's."""
        return (self._active(job), self._raise(job.owner, jobs=1, size=job.file_size))

    def of_retried_job(self, job: Job) -> Sequence[TransactWriteItemTypeDef]:
        """The writes that count a job that is begun again."""
        return (self._active(job), self._raise(job.owner, jobs=1, size=0))

    def of_stored(self, record: File | Upload) -> Sequence[TransactWriteItemTypeDef]:
        """The writes that count a file, or an upload as what it will be."""
        return (
            self._table.write_put(stored_pointer(record), is_new=False),
            self._raise(record.owner, jobs=0, size=record.size),
        )

    def _active(self, job: Job) -> TransactWriteItemTypeDef:
        place: dict[str, Value | None] = {"pk": f"OWNER#{job.owner}", "sk": f"{_ACTIVE}{job.id}"}
        return self._table.write_put({**place, "job": job.id, "expires_at": job.expires_at}, is_new=False)

    def _raise(self, owner: str, *, jobs: int, size: int) -> TransactWriteItemTypeDef:
        conditions = ["(attribute_not_exists(#bytes) OR #bytes <= :room)"]
        values = {"room": self._max_bytes - size}
        if jobs:
            conditions.append("(attribute_not_exists(#jobs) OR #jobs < :most)")
            values["most"] = self._max_jobs
        return self._table.write_update(
            _key(owner),
            {"expires_at": int(time.time()) + self._kept_seconds},
            " AND ".join(conditions),
            values,
            {"bytes": size, "jobs": jobs, "version": 1},
        )

    def _excess(self, used_jobs: int, used_bytes: int, jobs: int, size: int) -> TooManyJobs | StorageFull | None:
        if jobs and used_jobs + jobs > self._max_jobs:
            return TooManyJobs(self._max_jobs)
        # A full store refuses what is of no size known yet, too.
        if used_bytes + max(size, 1) > self._max_bytes:
            return StorageFull(used_bytes, size, self._max_bytes)
        return None

    def _count(self, owner: str, item: Item) -> tuple[int, int]:
        """Count jobs and bytes anew, and keep that.

        Raises:
            Conflict: Something was added meanwhile.
        """
        pk, now = f"OWNER#{owner}", time.time()
        stored = [*self._table.query(pk, _STORED), *self._table.query(pk, "JOB#")]
        size = sum(int(pointer["size"]) for pointer in stored if int(pointer["expires_at"]) > now)
        pointers = list(self._table.query(pk, _ACTIVE))
        jobs = [Job.of_item(found) for found in self._table.get_many([job_key(str(one["job"])) for one in pointers])]
        active = {job.id for job in jobs if job.is_active and not job.is_expired}
        ended = [one for one in pointers if one["job"] not in active][:_MOST_PRUNED]
        if item:
            # The pointer of a job that is retried at this moment is not lost: a retry raises the version.
            counted = {"bytes": size, "jobs": len(active)}
            self._table.transact(
                [
                    self._table.write_update(
                        _key(owner), counted, "#version = :seen", {"seen": item["version"]}, {"version": 1}
                    ),
                    *(self._table.write_delete((pk, str(one["sk"]))) for one in ended),
                ]
            )
        return len(active), size


def stored_pointer(record: File | Upload) -> dict[str, Value | None]:
    """What says of an owner that they keep so many bytes; an upload and the file it becomes have the same one."""
    pk, sk = stored_key(record)
    return {"pk": pk, "sk": sk, "size": record.size, "expires_at": record.expires_at}


def stored_key(record: File | Upload) -> Key:
    """The key of that pointer."""
    return f"OWNER#{record.owner}", f"{_STORED}{record.id}"


def _key(owner: str) -> Key:
    return f"OWNER#{owner}", "USAGE"
