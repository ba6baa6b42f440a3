"""Departments that only the tests' stacks have: one for a group that no demo user is in, one with finer access."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from tests.helpers.canaries import as_object

FORMULAS = ("=1+1", '=HYPERLINK("http://127.0.0.1/","x")', "+49 30 1234", "-12.50", "@SUM(A1:A9)", "plain")
"""What a spreadsheet would run, in the data of `treasury-desk`."""

VAULT = {
    "displayName": "Zqvault keepers",
    "access": {"groups": ["hr-leads"], "restrictedGroups": ["legal-leads"]},
    "datasets": [
        {
            "name": "zqholdings",
            "object": "zqholdings.jsonl",
            "key": "zqholding_id",
            "aliases": ["zqholding"],
            "pattern": "^ZQ-[0-9]{4}$",
            "search": ["zqtitle"],
            "restrictedColumns": ["zqworth"],
        }
    ],
}
TREASURY = {
    "displayName": "Treasury Desk",
    "access": {"groups": ["finance", "legal"], "restrictedGroups": ["hr"]},
    "datasets": [
        {
            "name": "accounts",
            "object": "accounts.csv",
            "key": "account_id",
            "aliases": ["account"],
            "pattern": "^T-[0-9]{4}$",
            "search": ["label"],
            "restrictedColumns": ["signatory"],
        },
        {"name": "limits", "object": "limits.parquet", "key": "limit_id", "pattern": "^L-[0-9]{4}$"},
    ],
}


def _rows(key: str, letters: str, columns: Sequence[str], count: int) -> list[dict[str, str]]:
    return [
        {key: f"{letters}-{number:04}"} | {column: f"{column} {number}" for column in columns}
        for number in range(1, count + 1)
    ]


def _accounts() -> list[dict[str, str]]:
    rows = _rows("account_id", "T", ["label", "phone", "signatory"], 2000)
    for number, row in enumerate(rows):
        row["label"] = FORMULAS[number % len(FORMULAS)]
    return rows


def write_extra_departments(folder: Path) -> tuple[Path, Path]:
    """The folders for `local up --departments DIR --data DIR`."""
    departments, data = folder / "departments", folder / "data"
    _write(
        departments,
        data,
        "zqvault",
        VAULT,
        {"zqholdings.jsonl": _rows("zqholding_id", "ZQ", ["zqtitle", "zqworth"], 2500)},
    )
    limits: list[dict[str, object]] = [
        {"limit_id": f"L-{number:04}", "amount": number * 1000, "approved": number % 2 == 0}
        for number in range(1, 2200)
    ]
    _write(departments, data, "treasury-desk", TREASURY, {"accounts.csv": _accounts(), "limits.parquet": limits})
    return departments, data


def _write(
    departments: Path,
    data: Path,
    name: str,
    spec: Mapping[str, object],
    objects: Mapping[str, Sequence[Mapping[str, object]]],
) -> None:
    document = {
        "apiVersion": "fileprocessing.internal/v1alpha1",
        "kind": "Department",
        "metadata": {"name": name, "namespace": "file-processing"},
        "spec": dict(spec),
    }
    departments.mkdir(parents=True, exist_ok=True)
    (departments / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (data / name).mkdir(parents=True, exist_ok=True)
    for object_name, rows in objects.items():
        (data / name / object_name).write_bytes(as_object(object_name, rows))
