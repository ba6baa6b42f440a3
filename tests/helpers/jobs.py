"""Jobs whose results can be judged: every input row once, in order, with what the data says, or nothing at all."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.helpers.data import DataSet, expected_rows, json_value
from tests.helpers.files import make_file, read_table
from tests.helpers.rest import Rest
from tests.helpers.traces import Traces

MAPPING = {"vendor_id": ["finance.vendors"], "employee_id": ["hr.employees"], "contract_id": ["legal.contracts"]}


@dataclass(frozen=True)
class Task:
    """A file to be enriched, and its rows."""

    extension: str
    rows: Sequence[Mapping[str, str]]

    @classmethod
    def of_size(cls, extension: str, count: int, note: str = "") -> "Task":
        """So many rows: keys that are known, unknown and missing, in an order that nothing sorts."""
        return cls(
            extension,
            [
                {
                    "row": str(number),
                    "vendor_id": f"V-{number * 7919 % 26_000:05}" if number % 11 else "",
                    "employee_id": f"E-{number * 31 % 5_500:05}",
                    "contract_id": f"C-{number * 17 % 3_300:05}",
                    "note": f"{note}{number}",
                }
                for number in range(count)
            ],
        )

    def content(self) -> bytes:
        """The file."""
        return make_file(self.extension, self.rows)

    def is_fulfilled_by(self, result: bytes, user: str, data_sets: Mapping[str, DataSet]) -> bool:
        """Whether a result is exactly what `user` must get."""
        mapped = [(column, data_sets[ref], data_sets[ref].visible(user)) for column, (ref,) in MAPPING.items()]
        found = read_table(self.extension, result)
        expected = expected_rows(self.extension, self.rows, mapped)
        # A cell of a workbook without text is no cell.
        nothing = None if self.extension == "xlsx" else ""
        return len(found) == len(self.rows) and all(
            {name: json_value(value) for name, value in row.items()}
            == {name: nothing if value == "" else json_value(value) for name, value in wanted.items()}
            for row, wanted in zip(found, expected, strict=True)
        )


async def submit_all(rest: Rest, tasks: Sequence[Task]) -> dict[str, Task]:
    """Jobs by identifier."""
    jobs = {}
    for task in tasks:
        file = await rest.upload(f"input.{task.extension}", task.content())
        jobs[await rest.submit(file, mapping=MAPPING)] = task
    return jobs


async def all_are_right(
    rest: Rest, user: str, jobs: Mapping[str, Task], data_sets: Mapping[str, DataSet], seconds: float
) -> None:
    """Every job succeeds in time, and its result is right."""
    for job, task in jobs.items():
        state = await rest.finished(job, seconds)
        assert state["status"] == "succeeded", state
        assert state["progress"]["rows"] == len(task.rows)
        result = (await rest.good("GET", f"/api/jobs/{job}/result")).body
        assert len(result) == state["result"]["size"]
        assert task.is_fulfilled_by(result, user, data_sets), job


@asynccontextmanager
async def nothing_half_is_visible(rest: Rest, jobs: Mapping[str, Task]) -> AsyncIterator[None]:
    """All the while, a result is either not there or whole."""
    sizes: dict[str, set[int]] = {job: set() for job in jobs}

    async def watch() -> None:
        while True:
            for job, seen in sizes.items():
                answer = await rest.call("GET", f"/api/jobs/{job}/result")
                if answer.status == 200:
                    seen.add(len(answer.body))
                else:
                    assert answer.status in (409, 503), answer
            await asyncio.sleep(0.3)

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        (outcome,) = await asyncio.gather(watcher, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError), outcome
    assert all(len(seen) <= 1 for seen in sizes.values()), sizes


def only_results_are_left(left: Traces, jobs: Sequence[str]) -> None:
    """One result for each job that succeeded, with its list of misses if it has some; and nothing of other attempts."""
    assert left.uploads == frozenset()
    kept = {key for key in left.objects if key.startswith("results/")}
    misses = {key for key in kept if key.endswith(".misses")}
    assert sorted(key.split("/")[1] for key in kept - misses) == sorted(jobs), left.objects
    assert {key.removesuffix(".misses") for key in misses} <= kept, left.objects
