"""Files of the fuzzer's that were internal errors."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from services.application.tests.engine.support import departments, enrich, preview, refusal


@pytest.mark.parametrize("data", [b'\r\n\r"', b'vendor_id,b\r\n\r"\\'])
def test_quote_after_mixed_line_endings_is_refused_in_words(data: bytes) -> None:
    assert refusal(data, "a.csv").slug == "unclosed-quote"


def test_time_beyond_year_9999_does_not_end_a_preview_or_job() -> None:
    times = pa.array([[1 << 62]], pa.list_(pa.timestamp("us")))
    file = io.BytesIO()
    pq.write_table(pa.table({"vendor_id": ["V-00001"], "times": times}), file)
    assert preview(file.getvalue(), "a.parquet", departments()).rows
    assert enrich(file.getvalue(), "a.parquet").data
