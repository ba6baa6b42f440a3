"""A CSV file of invoices with keys of three departments, as long as one likes and the same in each run."""

from pathlib import Path
from random import Random

HEADER = "invoice_no,vendor_id,buyer,contract_id,amount,note,date\n"
MAPPING = {"vendor_id": ["finance.vendors"], "buyer": ["hr.employees"], "contract_id": ["legal.contracts"]}
_CHUNK_ROWS = 20_000


def write_invoices(path: Path, rows: int, note: str = "due, net") -> None:
    """Write `rows` invoices with the same `note`; about one key in fifty has no match."""
    random = Random(rows)  # noqa: S311 - believable, not secret
    chunk = [
        f"V-{random.randrange(1, 24_500):05},E-{random.randrange(1, 5_100):05},C-{random.randrange(1, 3_060):05},"
        f'{random.randrange(1, 10_000_000) / 100:.2f},"{note}",2026-0{random.randrange(1, 10)}-17\n'
        for _ in range(min(rows, _CHUNK_ROWS))
    ]
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        for start in range(0, rows, _CHUNK_ROWS):
            numbered = enumerate(chunk[: rows - start], start=start + 1)
            file.write("".join(f"INV-{number:08},{rest}" for number, rest in numbered))
