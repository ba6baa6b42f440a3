"""Files and uploads in the table."""

from __future__ import annotations

from functools import partial

from application.aws.table import Table
from application.errors import Conflict
from application.records import File, Job, Upload, file_key, upload_key
from application.usage import FILES, UPLOADS, Usage, pointer_key

_DELETE_TRIES = 5


class FileInUse(Exception):
    """A job still runs on the file."""


class FileStore:
    """Blocking, safe in threads. An owner who asks for another's file is told that there is none."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, file: File, usage: Usage) -> None:
        """Keep a file whose object is there.

        Raises:
            StorageFull: It does not fit into what its owner may keep.
        """
        writes = [self._table.write_put(_item(file), is_new=False), *usage.of_file(file)]
        usage.keep(file.owner, partial(self._table.transact, writes), size=file.size)

    def of_owner(self, owner: str, limit: int, before: str | None) -> tuple[list[File], str | None]:
        """The owner's newest files after the place ``before``, and the place after them if there are more."""

        def read(identifiers: list[str]) -> list[File]:
            found = (File.of_item(item) for item in self._table.get_many([file_key(each) for each in identifiers]))
            return [file for file in found if not file.is_expired and not file.deleting]

        return self._table.page(f"OWNER#{owner}", FILES, limit, before, read)

    def get(self, file: str, owner: str) -> File | None:
        """The owner's file; None once it is expired or being deleted."""
        found = self._get(file, owner)
        return None if found is None or found.deleting else found

    def add_upload(self, upload: Upload, usage: Usage) -> None:
        """Keep an upload that has begun.

        Raises:
            TooManyUploads: Its owner has as many on their way as one may have.
            StorageFull: It will not fit into what its owner may keep.
        """
        writes = [self._table.write_put(_item(upload), is_new=False), *usage.of_upload(upload)]
        usage.keep(upload.owner, partial(self._table.transact, writes), uploads=1, size=upload.size)

    def uploads_of_owner(self, owner: str, limit: int, before: str | None) -> tuple[list[Upload], str | None]:
        """The owner's newest uploads on their way, as ``of_owner`` lists files."""

        def read(identifiers: list[str]) -> list[Upload]:
            found = (Upload.of_item(item) for item in self._table.get_many([upload_key(each) for each in identifiers]))
            return [upload for upload in found if not upload.is_expired]

        return self._table.page(f"OWNER#{owner}", UPLOADS, limit, before, read)

    def get_upload(self, upload: str, owner: str) -> Upload | None:
        """The owner's upload."""
        item = self._table.get(upload_key(upload))
        found = None if item is None else Upload.of_item(item)
        return None if found is None or found.owner != owner or found.is_expired else found

    def finish_upload(self, upload: Upload, file: File, usage: Usage) -> None:
        """Turn an upload into its file, at once.

        Raises:
            Conflict: The upload was finished or aborted meanwhile.
            StorageFull: The file does not fit into what its owner may keep.
        """
        table = self._table
        writes = [table.write_delete(upload.key), table.write_put(_item(file), is_new=True), *usage.of_file(file)]
        usage.keep(file.owner, partial(table.transact, writes), size=file.size)
        table.delete(pointer_key(upload))

    def remove_upload(self, upload: Upload) -> None:
        """Forget the upload.

        Raises:
            Conflict: It was finished or aborted meanwhile.
        """
        self._table.transact([self._table.write_delete(upload.key)])
        self._table.delete(pointer_key(upload))

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
        """Forget the file and its jobs, with their reports and the keys that were approved for them."""
        for job in jobs:
            self._table.delete((f"OWNER#{job.owner}", f"JOB#{job.created_at}#{job.id}"))
            for item in list(self._table.query(job.key[0], "REP")):  # reports and repairs
                self._table.delete((str(item["pk"]), str(item["sk"])))
            self._table.delete(job.key)
            self._table.delete((file.key[0], f"JOB#{job.id}"))
        self._table.delete(pointer_key(file))
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
