"""The columns of one version of a data set in a file that is mapped into memory."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from mcp_server.columns import Values


def write(file: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write batches one after the other; returns the number of rows."""
    rows = 0
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def read(file: Path) -> dict[str, Values]:
    """The columns by name."""
    reader = pa.ipc.open_file(pa.memory_map(str(file)))
    batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    return {
        field.name: Values(field, [batch.column(place) for batch in batches])
        for place, field in enumerate(reader.schema)
    }
