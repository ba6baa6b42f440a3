"""Files and uploads in the table."""

from __future__ import annotations

from functools import partial

from application.errors import Conflict
from application.records import File, Job, Upload, file_key, upload_key
from application.table import Table
from application.usage import Usage, stored_key, stored_pointer

_DELETE_TRIES = 5


class FileInUse(Exception):
    """A job still runs on the file."""


class FileStore:
    """Blocking, safe in threads. An owner who asks for another's file is told that there is none."""

    def __init__(self, table: Table) -> None:
        """Nothing is asked yet."""
        self._table = table

    def add(self, file: File, usage: Usage) -> None:
        """Keep a file whose object is there.

        Raises:
            StorageFull: It does not fit into what its owner may keep.
        """
        self._keep(file, usage)

    def get(self, file: str, owner: str) -> File | None:
        """The owner's file; None once it is expired or being deleted."""
        found = self._get(file, owner)
        return None if found is None or found.deleting else found

    def add_upload(self, upload: Upload, usage: Usage) -> None:
        """Keep an upload that has begun.

        Raises:
            StorageFull: It does not fit into what its owner may keep.
        """
        self._keep(upload, usage)

    def _keep(self, record: File | Upload, usage: Usage) -> None:
        writes = [self._table.write_put(_item(record), is_new=False), *usage.of_stored(record)]
        usage.keep(record.owner, record.size, partial(self._table.transact, writes))

    def get_upload(self, upload: str, owner: str) -> Upload | None:
        """The owner's upload."""
        item = self._table.get(upload_key(upload))
        found = None if item is None else Upload.of_item(item)
        return None if found is None or found.owner != owner or found.is_expired else found

    def finish_upload(self, upload: Upload, file: File) -> None:
        """Turn an upload into its file, at once.

        Raises:
            Conflict: The upload was finished or aborted meanwhile.
        """
        table = self._table
        table.transact(
            [
                table.write_delete(upload.key),
                table.write_put(_item(file), is_new=True),
                table.write_put(stored_pointer(file), is_new=False),
            ]
        )

    def remove_upload(self, upload: Upload) -> None:
        """Forget the upload.

        Raises:
            Conflict: It was finished or aborted meanwhile.
        """
        self._table.transact([self._table.write_delete(upload.key)])
        self._table.delete(stored_key(upload))

    def begin_delete(self, file: str, owner: str) -> tuple[File, list[Job]] | None:
        """Mark the file as going, so that no job can start on it; it and all its jobs. None if there is no such file.

        Raises:
            FileInUse: A job runs on it, or is about to.
        """
        for _ in range(_DELETE_TRIES):
            found = self._get(file, owner)
            if found is None:
                return None
            jobs = self._jobs(file)
            if any(job.is_active for job in jobs):
                raise FileInUse
            try:
                # Whoever starts a job on the file counts it in `jobs`: an unchanged count means that none has started.
                self._table.update(found.key, {"deleting": True}, "#jobs = :seen", {"seen": found.jobs})
            except Conflict:
                continue
            return found, jobs
        raise FileInUse

    def finish_delete(self, file: File, jobs: list[Job]) -> None:
        """Forget the file and its jobs."""
        for job in jobs:
            self._table.delete((f"OWNER#{job.owner}", f"JOB#{job.created_at}#{job.id}"))
            self._table.delete(job.key)
            self._table.delete((file.key[0], f"JOB#{job.id}"))
        self._table.delete(stored_key(file))
        self._table.delete(file.key)

    def _get(self, file: str, owner: str) -> File | None:
        item = self._table.get(file_key(file))
        found = None if item is None else File.of_item(item)
        return None if found is None or found.owner != owner or found.is_expired else found

    def _jobs(self, file: str) -> list[Job]:
        pointers = list(self._table.query(file_key(file)[0], "JOB#"))
        return [
            Job.of_item(item) for item in self._table.get_many([(str(pointer["sk"]), "JOB") for pointer in pointers])
        ]


def _item(record: File | Upload) -> dict[str, str | int | bool | bytes | None]:
    return {"pk": record.key[0], "sk": record.key[1], **record.attributes()}
