"""Jobs in the table. Each change of state is one conditional write, so that of several who try, one succeeds.

    queued --claim--> running --publish--> succeeded
       ^                 |----finish-----> failed, cancelled
       '----release------'      retry: failed, cancelled --> queued

Items of one job: the job itself (indexed by its last heartbeat while it is not finished), pointers to it from its
owner (for the list) and from its file (for deletion), its report, the keys that were approved for it, and the
idempotency key it was submitted with.
"""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from application import metrics
from application.aws.table import Table, Value
from application.engine import Report
from application.errors import CannotRepair, Conflict, Fenced
from application.jobs.repairs import REPAIRS, Repairs
from application.records import File, Job, JobProgress, JobResult, iso, job_key, new_id
from application.usage import Usage
from common.telemetry import trace_headers

ACTIVE_PARTITION = "ACTIVE"
IDEMPOTENCY_SECONDS = 7 * 24 * 3600
_MOST_BYTES = 350_000
"""Of what is kept in an item of its own; DynamoDB's items are at most 400 KB."""


class KeyTaken(Exception):
    """The idempotency key was used for another request."""


class Waiting(NamedTuple):
    """A job that may begin; ``since`` is its last sign of life, in milliseconds since the epoch."""

    id: str
    owner: str
    since: int


class JobStore:
    """Blocking, safe in threads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, job: str) -> Job | None:
        """The job, whoever owns it; None once it has expired."""
        item = self._table.get(job_key(job))
        found = None if item is None else Job.of_item(item)
        return None if found is None or found.is_expired else found

    def submitted_with(self, owner: str, key: str, request_hash: str) -> Job | None:
        """The job that the owner submitted with this idempotency key, if they did.

        Raises:
            KeyTaken: It was another request.
        """
        item = self._table.get(_idempotency_key(owner, key))
        if item is None or int(item["expires_at"]) <= time.time():
            return None
        job = self.get(str(item["job"]))
        if job is not None and item["request"] != request_hash:
            raise KeyTaken
        return job

    def submit(self, job: Job, file: File, key: str | None, request_hash: str, usage: Usage, repairs: Repairs) -> None:
        """Keep a new job, and the keys that were approved for it.

        Raises:
            CannotRepair: More was approved than can be kept.
            Conflict: The file is gone, another request with the same idempotency key was quicker, or another job or
                file took the owner's last room.
        """
        table = self._table
        writes = [
            table.write_put({**_keys(job), **_activity(job.heartbeat), **job.attributes()}, is_new=True),
            table.write_put(
                {**_pointer(job, f"OWNER#{job.owner}", f"JOB#{job.created_at}#{job.id}"), "size": job.file_size},
                is_new=True,
            ),
            table.write_put(_pointer(job, file.key[0], f"JOB#{job.id}"), is_new=True),
            self._count_on_file(file),
            *usage.of_new_job(job),
        ]
        if key is not None:
            writes.append(self._keep_key(job, key, request_hash))
        if job.repairs:
            data = gzip.compress(REPAIRS.dump_json(repairs), 6)
            if len(data) > _MOST_BYTES:
                raise CannotRepair(
                    "The keys that were approved are too many or too long to be kept. Mend the file instead."
                )
            writes.append(
                table.write_put({**_repairs_key(job), "repairs": data, "expires_at": job.expires_at}, is_new=True)
            )
        table.transact(writes)

    def repairs(self, job: Job) -> Repairs:
        """The keys that were approved for a job."""
        if not job.repairs:
            return {}
        pk, sk = _repairs_key(job).values()
        item = self._table.get((pk, sk))
        assert item is not None  # noqa: S101 - kept in the transaction that made the job
        data = item["repairs"]
        assert isinstance(data, bytes)  # noqa: S101 - as it was written
        return REPAIRS.validate_json(gzip.decompress(data))

    def _keep_key(self, job: Job, key: str, request_hash: str) -> Any:
        place = _idempotency_key(job.owner, key)
        now = int(time.time())
        kept = self._table.get(place)
        fields: dict[str, Value | None] = {
            "request": request_hash, "job": job.id, "expires_at": now + IDEMPOTENCY_SECONDS
        }  # fmt: skip
        if kept is None:
            return self._table.write_put({"pk": place[0], "sk": place[1], **fields}, is_new=True)
        if int(kept["expires_at"]) > now and self.get(str(kept["job"])) is not None:
            raise Conflict
        return self._table.write_update(place, fields, "#job = :old", {"old": kept["job"]})

    def _count_on_file(self, file: File) -> Any:
        return self._table.write_update(
            file.key, {}, "#deleting = :no AND #owner = :owner", {"no": False, "owner": file.owner}, {"jobs": 1}
        )

    def of_owner(self, owner: str, limit: int, before: str | None) -> tuple[list[Job], str | None]:
        """The owner's newest jobs after the place ``before``, and the place after them if there are more."""

        def read(identifiers: list[str]) -> list[Job]:
            found = (Job.of_item(item) for item in self._table.get_many([job_key(each) for each in identifiers]))
            return [job for job in found if not job.is_expired]

        return self._table.page(f"OWNER#{owner}", "JOB#", limit, before, read)

    def claim(self, job: Job, silent_ms: int) -> Job:
        """Begin the next attempt at a job that is queued, or whose worker has been silent for so long.

        Raises:
            Conflict: It is running or finished.
        """
        now, holder = _now(), new_id()
        try:
            return self._update(
                job.id,
                {"status": "running", "holder": holder, "resends": 0, "updated_at": iso(time.time()), **_activity(now)},
                "#fence = :fence AND (#status = :queued OR (#status = :running AND #heartbeat < :silent))",
                {"fence": job.fence, "queued": "queued", "running": "running", "silent": now - silent_ms},
                {"fence": 1, "attempts": 1},
            )
        except Conflict:
            # The first try may have been done though its answer was lost, and what conflicts with it is itself.
            present = self.get(job.id)
            if present is not None and present.holder == holder:
                return present
            raise

    def beat(self, job: Job, progress: JobProgress) -> Job:
        """Say that the attempt is alive and how far it is; the job as it is, with a cancellation that was asked for.

        Raises:
            Fenced: The job belongs to another attempt now.
        """
        changed = job.model_copy(update={"progress": progress})
        changes = {**changed.attributes("progress"), **_activity(_now()), "updated_at": iso(time.time())}
        return self._own(job, changes)

    def keep_report(self, job: Job, report: Report) -> None:
        """Keep the attempt's report, before it is published; of very many long keys, fewer examples."""
        data = gzip.compress(report.model_dump_json().encode(), 6)
        while len(data) > _MOST_BYTES:
            halved = tuple(
                entry.model_copy(
                    update={"unmatched_sample": entry.unmatched_sample[: len(entry.unmatched_sample) // 2]}
                )
                for entry in report.mappings
            )
            if halved == report.mappings:
                raise ValueError("the report is too long to be kept")
            report = report.model_copy(update={"mappings": halved})
            data = gzip.compress(report.model_dump_json().encode(), 6)
        pk, _ = job.key
        self._table.put({"pk": pk, "sk": f"REPORT#{job.fence}", "report": data, "expires_at": job.expires_at})

    def report(self, job: Job) -> Report | None:
        """The report of a job that succeeded."""
        if job.result is None:
            return None
        item = self._table.get((job.key[0], f"REPORT#{job.result.attempt}"))
        if item is None:
            return None
        data = item["report"]
        assert isinstance(data, bytes)  # noqa: S101 - as it was written
        return Report.model_validate_json(gzip.decompress(data))

    def publish(self, job: Job, result: JobResult, progress: JobProgress) -> Job:
        """Make the attempt's result the job's.

        Raises:
            Fenced: The job belongs to another attempt now.
        """
        changed = job.model_copy(update={"result": result, "progress": progress, "error": None})
        try:
            published = self._own(job, {**changed.attributes("result", "progress", "error"), **_finished("succeeded")})
        except Fenced:
            # As in `claim`: the answer to a write that was done may have been lost.
            present = self.get(job.id)
            if present is None or present.result != result:
                raise
            published = present
        metrics.count_result(job.departments, late=job.is_late)
        return published

    def fail(self, job: Job, error: dict[str, Any], *, retryable: bool) -> Job:
        """End the job with an error, as the attempt or sweeper that sees it as ``job``.

        Raises:
            Fenced: It changed hands meanwhile.
        """
        changed = job.model_copy(update={"error": error})
        failed = self._own(job, {**changed.attributes("error"), "retryable": retryable, **_finished("failed")})
        department = error.get("department")
        # Neither a file that cannot be read nor a right that was taken away is a result that came late.
        if retryable and not str(error["type"]).endswith(":access-withdrawn"):
            metrics.count_result([department] if department else job.departments, late=True)
        return failed

    def cancel(self, job: Job) -> Job:
        """End the job as cancelled.

        Raises:
            Fenced: It changed hands meanwhile.
        """
        return self._own(job, {**_finished("cancelled"), "retryable": True})

    def release(self, job: Job, *, counts: bool, seconds: int) -> Job:
        """Give the job back to be run by another worker, not before ``seconds`` from now.

        Without ``counts``, as if this attempt had not been.

        Raises:
            Fenced: It changed hands meanwhile.
        """
        attempts = job.attempts if counts else job.attempts - 1
        changes: dict[str, Value | None] = {"status": "queued", "attempts": attempts, "updated_at": iso(time.time())}
        return self._own(job, {**changes, **_activity(_now() + seconds * 1000)})

    def request_cancel(self, job: Job) -> Job:
        """Ask whoever runs the job to stop.

        Raises:
            Conflict: It is finished.
        """
        return self._update(
            job.id,
            {"cancel_requested": True, "updated_at": iso(time.time())},
            "#status = :queued OR #status = :running",
            {"queued": "queued", "running": "running"},
        )

    def retry(self, job: Job, file: File, caller: str, caller_until: int, usage: Usage) -> None:
        """Queue a finished job again, for the caller as they are now.

        Raises:
            Conflict: The job is not what it was, the file is gone, or another job took the owner's last room.
        """
        progress = JobProgress(total_bytes=job.file_size)
        changes: dict[str, Value | None] = {
            "status": "queued", "attempts": 0, "resends": 0, "cancel_requested": False, "error": None,
            "retryable": False, "finished_at": None, "caller": caller, "caller_until": caller_until,
            "traceparent": trace_headers().get("traceparent"),
            "updated_at": iso(time.time()), **_activity(_now()),
            **job.model_copy(update={"progress": progress}).attributes("progress"),
        }  # fmt: skip
        condition, values = "#status = :status AND #fence = :fence", {"status": job.status, "fence": job.fence}
        self._table.transact(
            [
                self._table.write_update(job.key, changes, condition, values),
                self._count_on_file(file),
                *usage.of_retried_job(job),
            ]
        )

    def silent(self, before_ms: int) -> Iterator[Job]:
        """Jobs that are not finished and whose last sign of life is older."""
        for item in self._table.query_index(ACTIVE_PARTITION, _index_time(before_ms)):
            yield Job.of_item(item)

    def waiting(self, silent_ms: int, most: int) -> list[Waiting]:
        """Find the jobs that wait longest: queued and due, or running without a sign of life for ``silent_ms``.

        Read at most ``most`` unfinished jobs from the index, which may lag behind the table by a moment.
        """
        now = _now()
        found: list[Waiting] = []
        for item in islice(self._table.query_index(ACTIVE_PARTITION, _index_time(now)), most):
            since = int(item["heartbeat"])
            if item["status"] == "queued" or since < now - silent_ms:
                found.append(Waiting(str(item["pk"]).removeprefix("JOB#"), str(item["owner"]), since))
        return found

    def note_resend(self, job: Job) -> Job:
        """Count that the job's message is sent again, so that of several sweepers one sends it.

        Raises:
            Conflict: It showed life, or another sweeper was quicker.
        """
        return self._update(
            job.id,
            {"resends": job.resends + 1},
            "#heartbeat = :seen AND #resends = :resends AND #status = :status",
            {"seen": job.heartbeat, "resends": job.resends, "status": job.status},
        )

    def _own(self, job: Job, changes: dict[str, Value | None]) -> Job:
        try:
            return self._update(
                job.id, changes, "#fence = :fence AND #status = :status", {"fence": job.fence, "status": job.status}
            )
        except Conflict as error:
            raise Fenced from error

    def _update(
        self,
        job: str,
        changes: dict[str, Value | None],
        condition: str,
        values: dict[str, Value],
        add: dict[str, int] | None = None,
    ) -> Job:
        return Job.of_item(self._table.update(job_key(job), changes, condition, values, add))


def _now() -> int:
    return int(time.time() * 1000)


def _index_time(milliseconds: int) -> str:
    return f"{milliseconds:015d}"


def _keys(job: Job) -> dict[str, Value | None]:
    return {"pk": job.key[0], "sk": job.key[1]}


def _repairs_key(job: Job) -> dict[str, str]:
    return {"pk": job.key[0], "sk": "REPAIRS"}


def _activity(heartbeat: int) -> dict[str, Value | None]:
    return {"heartbeat": heartbeat, "gsi1pk": ACTIVE_PARTITION, "gsi1sk": _index_time(heartbeat)}


def _finished(status: str) -> dict[str, Value | None]:
    now = iso(time.time())
    return {"status": status, "finished_at": now, "updated_at": now, "gsi1pk": None, "gsi1sk": None}


def _pointer(job: Job, pk: str, sk: str) -> dict[str, Value | None]:
    return {"pk": pk, "sk": sk, "id": job.id, "expires_at": job.expires_at}


def _idempotency_key(owner: str, key: str) -> tuple[str, str]:
    return f"OWNER#{owner}", f"KEY#{hashlib.sha256(key.encode()).hexdigest()}"
