import json
from pathlib import Path

import polars as pl
import pytest

from benchmarks.figures import Figure, show
from benchmarks.invoices import write_invoices
from benchmarks.load import MAX_CALLS, measure
from benchmarks.polars_join import join
from local import data


@pytest.mark.parametrize(
    ("value", "bound", "at_least", "holds"),
    [
        (2.9, 3, False, True),
        (3.1, 3, False, False),
        (100, 100, True, True),
        (99, 100, True, False),
        (7, None, False, True),
    ],
)
def test_a_promise_is_kept_or_missed(
    tmp_path: Path, value: float, bound: float | None, *, at_least: bool, holds: bool
) -> None:
    figure = Figure("ratio", value, "x", bound, at_least=at_least)
    assert show("One", [figure], tmp_path / "figures.json") is holds
    (written,) = json.loads((tmp_path / "figures.json").read_text())
    assert (written["value"], written["holds"]) == (value, holds)


@pytest.mark.parametrize(
    ("url", "calls"),
    [("http://192.0.2.1/mcp", 1), ("http://localhost.example/mcp", 1), ("http://127.0.0.1:9/mcp", MAX_CALLS + 1)],
)
async def test_load_goes_to_this_machine_alone_and_is_bounded(url: str, calls: int) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        await measure(url, [b"{}"], {}, calls=calls, connections=1, pids=[])


def test_polars_joins_what_the_job_adds(tmp_path: Path) -> None:
    data.write(tmp_path / "data")
    write_invoices(tmp_path / "invoices.csv", 500)
    assert join(tmp_path / "data", tmp_path / "invoices.csv", tmp_path / "joined.csv") > 0
    joined = pl.read_csv(tmp_path / "joined.csv", infer_schema=False)
    assert joined.height == 500
    assert {"vendor_id.finance.name", "buyer.hr.email", "contract_id.legal.title"} <= set(joined.columns)
    assert not {"vendor_id.finance.bank_account", "buyer.hr.salary_band", "contract_id.legal.value"} & set(
        joined.columns
    )
    assert joined.get_column("invoice_no").to_list()[-1] == "INV-00000500"
