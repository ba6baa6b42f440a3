import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tools.local.tests.conftest import ROOT

from common.departments import Dataset, Department, parse_department
from local import data

FILES = sorted((ROOT / "base" / "departments").glob("[!k]*.yaml"))
DEPARTMENTS = [parse_department(file.read_text()) for file in FILES]
DATASETS = [(department, dataset) for department in DEPARTMENTS for dataset in department.spec.datasets]


def rows(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return [dict(row) for row in pq.read_table(file).to_pylist()]
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return [dict(row) for row in csv.DictReader(text.splitlines())]


def test_the_data_are_the_same_each_time(data_dir: Path, tmp_path: Path) -> None:
    data.write(tmp_path)
    files = [file.relative_to(tmp_path) for file in tmp_path.rglob("*.*")]
    assert len(files) == 4
    assert [file for file in files if (data_dir / file).read_bytes() != (tmp_path / file).read_bytes()] == []


@pytest.mark.parametrize(("department", "dataset"), DATASETS, ids=lambda value: getattr(value, "name", None))
def test_the_data_have_what_the_department_says(data_dir: Path, department: Department, dataset: Dataset) -> None:
    found = rows(data_dir / department.name / dataset.object)
    columns = {name for row in found for name in row}
    assert {dataset.key, *dataset.search, *dataset.restricted_columns} <= columns
    keys = [row[dataset.key].strip() for row in found if row[dataset.key] and row[dataset.key].strip()]
    assert dataset.pattern is not None
    assert all(re.match(dataset.pattern, key) for key in keys)
    least = {"vendors": 20_000, "employees": 5_000, "contracts": 3_000, "rates": 5}[dataset.name]
    assert len(set(keys)) >= least


def test_the_data_are_as_dirty_as_real_ones(data_dir: Path) -> None:
    vendors = rows(data_dir / "finance" / "vendors.parquet")
    keys, names = [row["vendor_id"] for row in vendors], [row["name"] for row in vendors]
    assert len(keys) > len(set(keys))
    assert None in keys
    assert any(key and key != key.strip() for key in keys)
    assert {name[0] for name in names} >= {"=", "+", "-", "@", '"', " "}
    assert any("\n" in name for name in names)
    assert any(not name.isascii() for name in names)
    assert any(row["currency"] is None for row in vendors)
    assert {row["status"] for row in vendors} >= {"active", "Active ", ""}
