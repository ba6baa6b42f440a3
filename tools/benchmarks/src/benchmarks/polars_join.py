"""What the enrichment is compared with: the same joins by Polars, in one process that holds all in memory.

Started as `python -m benchmarks.polars_join DATA INPUT OUTPUT`; prints the seconds from opening the input to the
written output. The departments' data is read before, as the departments' servers hold it too.
"""

import sys
import time
from pathlib import Path

import polars as pl


def right_side(data: pl.DataFrame, key: str, column: str, department: str) -> pl.DataFrame:
    """A data set as it is joined: the first row of each key, columns named as the enrichment names them."""
    trimmed = data.with_columns(pl.col(key).str.strip_chars())
    first = trimmed.filter(pl.col(key) != "").unique(key, keep="first", maintain_order=True)
    return first.rename({name: column if name == key else f"{column}.{department}.{name}" for name in first.columns})


def join(data: Path, source: Path, target: Path) -> float:
    """Join and write; the wall time in seconds."""
    vendors = pl.read_parquet(data / "finance" / "vendors.parquet").drop("bank_account")
    employees = pl.read_ndjson(data / "hr" / "employees.jsonl").drop("salary_band")
    contracts = pl.read_parquet(data / "legal" / "contracts.parquet").drop("value")
    sides = {
        "vendor_id": right_side(vendors, "vendor_id", "vendor_id", "finance"),
        "buyer": right_side(employees, "employee_id", "buyer", "hr"),
        "contract_id": right_side(contracts, "contract_id", "contract_id", "legal"),
    }
    started = time.perf_counter()
    table = pl.read_csv(source, infer_schema=False)
    for column, side in sides.items():
        table = table.join(side, on=column, how="left", maintain_order="left")
    table.write_csv(target)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(join(*(Path(argument) for argument in sys.argv[1:4])))
