"""Input files of some size, and what must come back for them."""

import csv
import io

PADDING = "x" * 300


def vendors_csv(rows: int, start: int = 0) -> bytes:
    """Rows of which each has a key of its own; every fifth has no match."""
    lines = ["vendor_id,note"]
    lines += [f"{vendor_key(number)},{number} {PADDING}" for number in range(start, start + rows)]
    return "\n".join(lines).encode() + b"\n"


def vendor_key(number: int) -> str:
    return f"V-9{number:06d}" if number % 5 == 0 else f"V-{number % 20_000:05d}"


def check_vendors(result: bytes, rows: int, start: int = 0) -> None:
    """Every row once, in order, with what belongs to it."""
    reader = csv.reader(io.StringIO(result.decode()))
    assert next(reader) == ["vendor_id", "note", "vendor_id.finance.name", "vendor_id.finance.country"]
    number = start
    for row in reader:
        key = vendor_key(number)
        added = ["", ""] if number % 5 == 0 else [f"Vendor {number % 20_000}", "NL"]
        assert row == [key, f"{number} {PADDING}", *added], (number, row)
        number += 1
    assert number == start + rows
