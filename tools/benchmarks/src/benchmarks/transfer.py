"""Upload and download through the gateway, against the same bytes to S3's stand-in without it; and its memory."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import httpx2

import fileproc
from benchmarks.figures import Figure
from benchmarks.invoices import write_invoices
from benchmarks.load import peak_megabytes
from local.stack import Stack

ROUNDS = 3
CHUNK = 1 << 20
LONG_NOTE = 5_000
ROWS_A_GIGABYTE = 200_000
"""Of invoices with a long note: a large file whose enrichment is quick."""


class Transfers:
    """The two ways to the same bytes."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        environment = stack.environment()
        self._bucket = environment["FILES_BUCKET"]
        self._s3 = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        self._plain = httpx2.Client(timeout=600)
        self._http = httpx2.Client(base_url=stack.addresses.gateway, headers=stack.authorization("dana"), timeout=600)

    def upload_direct(self, source: Path) -> None:
        """As any AWS client does."""
        self._s3.upload_file(str(source), self._bucket, "benchmark/direct")

    def download_direct(self, key: str, target: Path) -> None:
        """One object into a file, by one GET of its presigned address."""
        url = self._s3.generate_presigned_url("get_object", Params={"Bucket": self._bucket, "Key": key})
        with self._plain.stream("GET", url) as answer:
            _write(answer, target)

    def upload(self, source: Path) -> str:
        """One POST whose body is the file; the file's identifier."""
        with source.open("rb") as file:
            answer = self._http.post("/api/files", params={"name": source.name}, content=_chunks(file.read))
        return str(answer.raise_for_status().json()["id"])

    def download(self, job: str, target: Path) -> None:
        """A job's result into a file, by one GET."""
        with self._http.stream("GET", f"/api/jobs/{job}/result") as answer:
            _write(answer, target)

    def enrich(self, file: str) -> str:
        """A job that adds one column; its identifier."""
        with fileproc.Client(self._stack.addresses.gateway, self._stack.token("dana")) as client:
            wish = {"vendor_id": ["finance.vendors"]}
            job = client.submit(file, mapping=wish, columns={"finance.vendors": ["country"]})
            done = client.wait(job.id)
        if done.status != "succeeded":
            raise RuntimeError(f"the job ended as {done.status}: {done.error}")
        return job.id

    def result_key(self, job: str) -> str:
        """Where S3 has a job's result."""
        (found,) = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=f"results/{job}/")["Contents"]
        return found["Key"]


def run(gigabytes: int) -> list[Figure]:
    """Rates with a file of 250 MB, in turn; then memory with one of `gigabytes` GB."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, Stack(Path(name) / "state") as stack:
        source, target = Path(name) / "invoices.csv", Path(name) / "downloaded"
        write_invoices(source, ROWS_A_GIGABYTE // 4, note="n" * LONG_NOTE)
        size = source.stat().st_size / 1e6
        ways = Transfers(stack)
        job = ways.enrich(ways.upload(source))
        key = ways.result_key(job)
        measured: dict[str, Callable[[], object]] = {
            "direct up": lambda: ways.upload_direct(source),
            "up": lambda: ways.upload(source),
            "direct down": lambda: ways.download_direct(key, target),
            "down": lambda: ways.download(job, target),
        }
        rates: dict[str, list[float]] = {way: [] for way in measured}
        for _ in range(ROUNDS):
            for way, transfer in measured.items():
                rates[way].append(size / _seconds(transfer))
        rate = {way: statistics.median(found) for way, found in rates.items()}
        before = _peaks(stack)
        write_invoices(source, ROWS_A_GIGABYTE * gigabytes, note="n" * LONG_NOTE)
        ways.download(ways.enrich(ways.upload(source)), target)
        grown = {service: peak - before[service] for service, peak in _peaks(stack).items()}
    return [
        Figure("upload to S3's stand-in", rate["direct up"], "MB/s"),
        Figure("upload through the gateway", rate["up"], "MB/s"),
        Figure("upload, through / without", rate["up"] / rate["direct up"], "x", bound=0.5, at_least=True),
        Figure("download from S3's stand-in", rate["direct down"], "MB/s"),
        Figure("download through the gateway", rate["down"], "MB/s"),
        Figure("download, through / without", rate["down"] / rate["direct down"], "x", bound=0.5, at_least=True),
        *(
            Figure(f"peak memory that {gigabytes} GB add to the {service}", megabytes, "MB", bound=64)
            for service, megabytes in grown.items()
        ),
    ]


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(CHUNK):
        yield chunk


def _write(answer: httpx2.Response, target: Path) -> None:
    answer.raise_for_status()
    with target.open("wb") as file:
        for chunk in answer.iter_raw(CHUNK):
            file.write(chunk)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peaks(stack: Stack) -> dict[str, float]:
    return {service: peak_megabytes(stack.pid(service)) for service in ("gateway", "application", "worker")}
