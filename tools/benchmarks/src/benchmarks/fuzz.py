"""Gives hostile files to previews and jobs, within the budgets that they have in a cluster.

``python -m benchmarks.fuzz`` makes 20,000 inputs (``--count``), half an hour on two cores, and exits with 1 where one
of them is an error of ours, takes longer than its budget or more memory than a pod has for it. Each input follows
from its number (``--start``), which is printed: ``--start N --count 1`` repeats one.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import local

from application.engine import (
    DEFAULT_LIMITS,
    ColumnInfo,
    ColumnMapping,
    DatasetInfo,
    DatasetRef,
    InputError,
    LookupBatch,
    Scalar,
    detect_format,
)
from application.sandbox import Budget, Cancellation, EngineFailed, Sandbox
from application.sandbox.process import Usage
from application.settings import MEBIBYTE, ApiSettings, WorkerSettings
from benchmarks.fuzz_inputs import make

API, WORKER = ApiSettings.model_fields, WorkerSettings.model_fields
PREVIEW = Budget(
    API["preview_memory_bytes"].default,
    API["preview_cpu_seconds"].default,
    API["preview_seconds"].default,
    512 * MEBIBYTE,
    4 * MEBIBYTE,
)
JOB = Budget(WORKER["job_memory_bytes"].default, 60, 180)
SHARED = 160 * MEBIBYTE
"""What a process has in memory before its task, most of it shared by all of them; and the last page of a limit."""
PATIENCE = 30.0
"""Seconds over its budget that a piece of work may take on a busy machine before it counts as a freeze."""

VENDORS = DatasetInfo(
    DatasetRef("finance", "vendors"),
    "vendor_id",
    (ColumnInfo("vendor_id"), ColumnInfo("name"), ColumnInfo("terms", "int64")),
    aliases=("vendor",),
    pattern="^V-[0-9]{5}$",
    version="v1",
)


class Departments:
    """One data set; its values are awkward in every format."""

    def datasets(self) -> Sequence[DatasetInfo]:
        """What there is."""
        return [VENDORS]

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        """Every second key is found."""
        values: dict[str, Scalar] = {"name": '=A"c,m;e\t\n<é>', "terms": 30}
        rows = [[values[column] for column in columns] if place % 2 == 0 else None for place in range(len(keys))]
        return LookupBatch("v1", tuple(columns), rows)


@dataclass
class Found:
    """What became of the inputs; ``faults`` are ours."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest: float = 0.0
    largest: int = 0


class Fuzzer:
    """Runs inputs, each as a preview and as a job."""

    def __init__(self) -> None:
        self.found = Found()
        self._own = local()

    def run(self, start: int, count: int, workers: int) -> Found:
        """Run ``count`` inputs from number ``start``, ``workers`` at a time."""
        with Sandbox(self._note) as self._sandbox, ThreadPoolExecutor(workers) as pool:
            for number, done in enumerate(pool.map(self._one, range(start, start + count)), 1):
                self.found.outcomes.update(done)
                if number % 500 == 0:
                    print(f"{number} inputs, {len(self.found.faults)} faults", file=sys.stderr, flush=True)
        return self.found

    def _note(self, usage: Usage) -> None:
        self._own.memory = usage.memory

    def _one(self, number: int) -> list[str]:
        name, data = make(number)
        try:
            detect_format(name, data[: 64 << 10])
        except InputError as error:
            return [f"upload {error.slug}"]
        return [self._outcome(name, data, "preview", PREVIEW), self._outcome(name, data, "job", JOB)]

    def _outcome(self, name: str, data: bytes, work: str, budget: Budget) -> str:
        self._own.memory = 0
        started = time.monotonic()
        try:
            (self._preview if work == "preview" else self._job)(name, data)
            outcome = "done"
        except InputError as error:
            outcome = error.slug
        except EngineFailed as error:
            outcome = "internal error"
            self.found.faults.append(f"{name} {work}: {error.kind} {''.join(error.places[-1:])}")
        except Exception as error:  # noqa: BLE001 - each is a fault
            outcome = "internal error"
            self.found.faults.append(f"{name} {work}: {error!r}")
        seconds, memory = time.monotonic() - started, self._own.memory
        self.found.longest = max(self.found.longest, seconds)
        self.found.largest = max(self.found.largest, memory)
        if budget.wall is not None and seconds > budget.wall + PATIENCE:
            self.found.faults.append(f"{name} {work}: took {seconds:.1f} s")
        if memory > budget.memory + SHARED:
            self.found.faults.append(f"{name} {work}: took {memory // MEBIBYTE} MB")
        return f"{work} {outcome}"

    def _preview(self, name: str, data: bytes) -> None:
        self._sandbox.preview(
            _Bytes(data),
            detect_format(name, data[: 64 << 10]),
            Departments(),
            limits=DEFAULT_LIMITS,
            budget=PREVIEW,
            cancellation=Cancellation(),
        )

    def _job(self, name: str, data: bytes) -> None:
        file_format = detect_format(name, data[: 64 << 10])
        column = "text" if file_format.is_document else "vendor_id"
        self._sandbox.enrich(
            _Bytes(data),
            file_format,
            (ColumnMapping(column, VENDORS, VENDORS.columns[1:]),),
            Departments(),
            _Nowhere(),
            progress=lambda _: None,
            limits=DEFAULT_LIMITS,
            budget=JOB,
            cancellation=Cancellation(),
        )


class _Bytes(io.BytesIO):
    """A source."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.getbuffer())


class _Nowhere(io.BytesIO):
    """A sink that keeps nothing."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # any buffer there
        """Count."""
        return len(data)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    found = Fuzzer().run(asked.start, asked.count, asked.workers)
    for outcome, count in sorted(found.outcomes.items()):
        print(f"{count:>7,}  {outcome}")
    print(f"longest {found.longest:.1f} s, largest {found.largest // MEBIBYTE} MB, faults {len(found.faults)}")
    print("\n".join(found.faults))
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
