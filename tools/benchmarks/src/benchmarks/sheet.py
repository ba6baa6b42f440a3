"""Enriching a full Excel sheet as a user does it, beside reading the same file alone with calamine."""

import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path

import psutil
import python_calamine
import xlsxwriter

import fileproc
from benchmarks.figures import Figure
from benchmarks.invoices import MAPPING
from local.stack import Stack

ROWS = 1_048_576
COLUMNS = {
    "finance.vendors": ["name", "country", "payment_terms"],
    "hr.employees": ["name", "email"],
    "legal.contracts": ["title", "end_date"],
}
TEXTS = 7
NUMBERS = 10
_SAMPLE_SECONDS = 0.1
SETTINGS = {"gateway": {"RATE_LIMIT": "1000000/second"}}


def write_sheet(path: Path, rows: int) -> None:
    """Write a sheet of 20 columns, three of them keys, whose texts are shared as Excel's are.

    XlsxWriter holds it in memory: 5 GB for a full one.
    """
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("Invoices")
    names = [*MAPPING, *(f"text {n}" for n in range(TEXTS)), *(f"number {n}" for n in range(NUMBERS))]
    sheet.write_row(0, 0, names)
    for row in range(1, rows):
        keys = [f"V-{row % 24_500:05}", f"E-{row % 5_100:05}", f"C-{row % 3_060:05}"]
        # Some texts stand in one cell only: a million of them.
        texts = [f"text {n} of item {row if n < 2 else row * n % 5000}" for n in range(TEXTS)]
        for column, text in enumerate([*keys, *texts]):
            sheet.write_string(row, column, text)
        for column in range(NUMBERS):
            sheet.write_number(row, len(names) - NUMBERS + column, row * column + 0.25)
    book.close()


def read_alone(path: Path) -> float:
    """Seconds that calamine takes to read each cell of the sheet."""
    started = time.perf_counter()
    sheet = python_calamine.load_workbook(path).get_sheet_by_index(0)
    if sum(1 for _ in sheet.iter_rows()) != ROWS:
        raise RuntimeError("calamine did not read all rows")
    return time.perf_counter() - started


def run() -> list[Figure]:
    """One job on a full sheet, judged by calamine."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as name,
        Stack(Path(name) / "state", settings=SETTINGS) as stack,
        ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool,
    ):
        source, target = Path(name) / "full.xlsx", Path(name) / "enriched.xlsx"
        pool.submit(write_sheet, source, ROWS).result()
        alone = pool.submit(read_alone, source).result()
        with fileproc.Client(stack.addresses.api, stack.token("dana")) as client, _peak(stack.pid("worker")) as peak:
            file = client.upload(source)
            started = time.perf_counter()
            job = client.submit(file.id, mapping=MAPPING, columns=COLUMNS)
            done = client.wait(job.id)
            seconds = time.perf_counter() - started
            if done.status != "succeeded":
                raise RuntimeError(f"the job ended as {done.status}: {done.error}")
            client.download(job.id, target)
        pool.submit(read_alone, target).result()
        return [
            Figure("calamine reads 1,048,576 rows x 20 columns", alone, "s"),
            Figure("the job, seven columns of three data sets", seconds, "s"),
            Figure("job / calamine", seconds / alone, "x", bound=4),
            Figure("peak memory of the job's process", max(peak), "MB", bound=400),
        ]


@contextmanager
def _peak(pid: int) -> Iterator[list[float]]:
    """The resident memory of the largest process below ``pid``, in MB, as often as it is looked at."""
    found = [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            for process in psutil.Process(pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    found.append(process.memory_info().rss / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
