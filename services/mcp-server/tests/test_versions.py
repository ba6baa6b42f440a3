"""A version is built on disk beside the served one; what goes wrong meanwhile leaves that one served and says why."""

import asyncio
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import psutil
import pytest

from common.departments import Dataset
from mcp_server import builder
from mcp_server.building import Limits, build
from mcp_server.datasets import DataTable
from mcp_server.errors import ToolError
from mcp_server.s3 import DepartmentObjects, Place, StorageUnavailable

if TYPE_CHECKING:
    from conftest import Running, Serve, Until

pytestmark = pytest.mark.slow

OFTEN: dict[str, Any] = {"refresh_seconds": 0.05}
DEPARTMENT = """
apiVersion: fileprocessing.internal/v1alpha1
kind: Department
metadata: {name: real-estate}
spec: {displayName: R, access: {groups: [real-estate]}, datasets: [{name: things, object: things.csv, key: id}]}
"""
ONE, TWO = "id,size\n1,1\n", "id,size\n1,2\n"


async def size_of(running: "Running") -> str:
    (row,) = (await running.call("real_estate_lookup_things", {"keys": ["1"]}))["rows"]
    size: str = row["values"]["size"]
    return size


def versions_on_disk(running: "Running") -> list[Path]:
    return list((running.settings.data_directory / "datasets" / "things").iterdir())


async def test_a_restart_serves_what_it_finds_on_disk(serve: "Serve", until: "Until", tmp_path: Path) -> None:
    settings = OFTEN | {"data_directory": tmp_path}
    async with serve(DEPARTMENT, {"things.csv": ONE}, settings=settings) as running:
        before = (await running.readyz())[1]["datasets"]["things"]
        (version,) = versions_on_disk(running)
    (version.parent / "left-by-a-kill.building").mkdir()
    async with serve(DEPARTMENT, {"things.csv": ONE}, settings=settings) as running:
        assert (await running.readyz())[1]["datasets"]["things"] == before

        async def cleaned() -> bool:
            return versions_on_disk(running) == [version]

        await until(cleaned)
    # What a node left unfinished is built again.
    (version / "table.arrow").write_bytes(b"ARROW1")
    async with serve(DEPARTMENT, {"things.csv": ONE}, settings=settings) as running:
        assert await size_of(running) == "1"
    # Without S3's object the last good version is served, even from the start.
    async with serve(DEPARTMENT, {}, settings=settings) as running:
        assert await size_of(running) == "1"
    # Another key is another data set.
    async with serve(DEPARTMENT.replace("key: id", "key: size"), {"things.csv": TWO}, settings=settings) as running:
        (row,) = (await running.call("real_estate_lookup_things", {"keys": ["2"]}))["rows"]
        assert row["values"] == {"id": "1"}


async def test_a_large_object_is_built_in_a_process_that_may_be_killed(
    serve: "Serve", until: "Until", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(DEPARTMENT, {"things.csv": ONE}, settings=OFTEN) as running:
        monkeypatch.setattr(builder, "SMALL_BYTES", 0)
        running.put("things.csv", "id,size\n1,1,1\n")

        async def refused() -> bool:
            return await running.error_of("things") == "things.csv cannot be read as csv: ArrowInvalid"

        await until(refused)

        killed = asyncio.create_task(kill_a_build(until))
        running.put("things.csv", TWO)
        await killed

        async def told() -> bool:
            said = await running.error_of("things")
            return said == "things.csv cannot be loaded: the process that built it ended with status -9"

        await until(told)
        assert await size_of(running) == "1"
        assert len(versions_on_disk(running)) == 1


async def kill_a_build(until: "Until") -> None:
    async def killed() -> bool:
        builds = [child for child in psutil.Process().children() if "mcp_server.builder" in child.cmdline()]
        for child in builds:
            child.kill()
        return bool(builds)

    await until(killed)


async def test_an_object_that_does_not_fit_is_refused_and_says_what_it_needs(serve: "Serve", until: "Until") -> None:
    async with serve(DEPARTMENT, {"things.csv": ONE}, settings=OFTEN | {"max_data_bytes": 3_000_000}) as running:
        running.put("things.csv", "id,size\n" + "".join(f"{number},1\n" for number in range(200_000)))

        async def noticed() -> bool:
            return await running.error_of("things") is not None

        await until(noticed)
        assert await running.error_of("things") == (
            "things.csv does not fit: it needs about 6 MB on the server's disk, and 3 MB are free. Raise "
            "spec.server.storage in the Department."
        )
        assert await size_of(running) == "1"
        assert len(versions_on_disk(running)) == 1


async def test_an_object_that_is_replaced_while_it_is_read_is_never_mixed(finance: "Running") -> None:
    place = Place(finance.bucket, "finance", finance.settings.aws_region)
    objects = await asyncio.to_thread(DepartmentObjects, place)
    finance.put("other.csv", ONE)
    version = await asyncio.to_thread(objects.version, "other.csv")
    source = io.BufferedReader(objects.open("other.csv", version))
    finance.put("other.csv", TWO)
    with pytest.raises(StorageUnavailable, match=r"other\.csv was replaced while it was read"):
        await asyncio.to_thread(source.read)


def test_three_million_rows_are_found_as_polars_finds_them(tmp_path: Path) -> None:
    rows = 3_000_000
    chance = np.random.default_rng(7)
    texts = pl.Series(chance.integers(0, 2_500_000, rows)).cast(pl.String)
    blank = pl.Series(chance.random(rows) < 0.01)
    frame = pl.DataFrame({"id": "K-" + texts, "number": np.arange(rows), "name": "Thing " + texts.reverse()})
    frame = frame.with_columns(id=pl.when(blank).then(None).otherwise(pl.col("id")))
    frame.write_parquet(tmp_path / "things.parquet", row_group_size=400_000)
    spec = Dataset(name="things", object="things.parquet", key="id")
    folder = tmp_path / "version"
    folder.mkdir()
    with (tmp_path / "things.parquet").open("rb", buffering=0) as source:
        build(spec, "v1", source, folder, Limits(free_bytes=lambda: 1 << 40, read_share=lambda: 1))
    table = DataTable(spec, folder)
    first = frame.drop_nulls("id").unique("id", keep="first", maintain_order=True)
    assert table.row_count == first.height
    assert table.blank_keys == frame["id"].null_count()
    assert table.duplicate_keys == rows - table.blank_keys - first.height

    table.prepare()
    with pytest.raises(ToolError, match=r"things has 1,[0-9]{3},[0-9]{3} rows, and at most 250,000 can be searched"):
        table.text_index(["name"])

    asked = pl.DataFrame({"id": [f"K-{number}" for number in chance.integers(0, 2_600_000, 50_000)]})
    expected = asked.join(first, on="id", how="left", maintain_order="left")
    keys = asked["id"].to_list()
    parts = (keys[start : start + 5000] for start in range(0, len(keys), 5000))
    found = [row for part in parts for row in table.rows(part, ["number", "name"])]
    assert [row and row["number"] for row in found] == expected["number"].to_list()
    assert [row and row["name"] for row in found] == expected["name"].to_list()
