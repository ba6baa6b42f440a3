"""Writes the sample files beside it, the same ones each time: `python tools/local/samples/generate.py [FOLDER]`.

They hold keys of the departments' data (see `local.data`), some that match nothing, and cells that are easily spoilt:
leading zeros, long numbers, line breaks in quotes, dates, formulas.
"""

import csv
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import docx
import pyarrow as pa
import pyarrow.parquet as pq
from fpdf import FPDF
from openpyxl import Workbook
from openpyxl.styles import Font

WRITTEN = datetime(2026, 11, 2, 9, 0, 0)  # noqa: DTZ001 - Office files have no time zone
MODIFIED = re.compile(rb"(?<=W3CDTF\">)[^<]+(?=</dcterms:modified>)")
NOTES = [
    "",
    "",
    "",
    "second reminder",
    'says "net 30", pays net 60',
    "two lines:\nsee the delivery note",
    "=SUM(F2:F9)",
]
ODD_VENDORS = {2: "V-00047", 3: "V-00127", 5: "V-99999", 11: "", 17: " V-00017 ", 23: "v-00023"}
CURRENCIES = ["EUR", "EUR", "EUR", "USD", "GBP", "CHF", "CZK"]
MEMO = [
    "The frame agreement C-00042 with vendor V-00017 ends this year. E-00021 asks for an offer, E-00350 checks it.",
    "Vendor V-00107 (see also V-00107 in last month's list) was paid twice; E-00021 has the receipts.",
    "V-99999 and C-77777 are in nobody's books. Room 007, order 4711 and the date 2026-11-02 are no keys at all.",
]

Row = dict[str, Any]


def invoices(random: Random) -> Iterator[Row]:
    """Two columns of employees, one of vendors, one of contracts, one of currencies; in each something is unknown."""
    for number in range(1, 41):
        vendor = f"V-{random.randrange(1, 24_000):05}"
        yield {
            "invoice_no": f"{number:07}",
            "vendor_id": ODD_VENDORS.get(number, vendor),
            "contract_id": f"C-{random.randrange(1, 3_000):05}" if number % 3 else "",
            "buyer": f"E-{random.randrange(1, 5_000):05}" if number != 9 else "E-09999",
            "approver": f"E-{random.randrange(1, 400):05}",
            "amount": f"{random.lognormvariate(7, 1):.2f}",
            "currency": random.choice(CURRENCIES) if number != 30 else "XXX",
            "invoice_date": (date(2026, 9, 1) + timedelta(days=random.randrange(60))).isoformat(),
            "cost_center": f"{random.randrange(1, 120):03}",
            "note": NOTES[number % len(NOTES)],
        }


def write_invoices_csv(folder: Path, rows: list[Row]) -> None:
    """As a program on Windows would: line ends of two characters, quotes only where needed."""
    with (folder / "invoices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_invoices_xlsx(folder: Path, rows: list[Row]) -> None:
    """Typed cells, a bold header, a formula below, a second sheet."""
    book = Workbook()
    book.properties.created = book.properties.modified = WRITTEN
    sheet = book.active
    assert sheet is not None  # noqa: S101 - a new workbook has one
    sheet.title = "Invoices"
    sheet.append(list(rows[0]))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for row in rows:
        day = date.fromisoformat(row["invoice_date"])
        note = row["note"].replace("=SUM", "sum: ") or None
        typed = row | {"amount": float(row["amount"]), "invoice_date": day, "note": note}
        sheet.append([value if value != "" else None for value in typed.values()])
    sheet.column_dimensions["B"].width = 14
    notes = book.create_sheet("Read me")
    notes["A1"] = "Sums are checked by"
    notes["B1"] = "E-00021"
    notes["A2"], notes["B2"] = "Total", f"=SUM(Invoices!F2:F{len(rows) + 1})"
    raw = io.BytesIO()
    book.save(raw)
    _write_zip(folder / "invoices.xlsx", raw)


def write_employees(folder: Path, random: Random) -> None:
    """Participants of a training, as JSON Lines with nested values and fields that are not in every line."""
    lines = []
    for number in range(1, 31):
        row: Row = {
            "employee_id": f"E-{random.randrange(1, 5_000):05}" if number != 7 else "E-70000",
            "training": random.choice(["Data protection", "Fire safety", "Español B1", "Première secours"]),
            "score": random.choice([None, 71, 88.5, 93]),
            "badge": f"{number:03}",
            "sessions": [{"day": f"2026-10-{random.randrange(1, 30):02}", "present": bool(random.randrange(2))}],
        }
        if number % 4 == 0:
            row["substitute_employee"] = f"E-{random.randrange(1, 5_000):05}"
        lines.append(json.dumps(row, ensure_ascii=False))
    (folder / "employees.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_contracts(folder: Path, random: Random) -> None:
    """A register of contracts with decimals, dates and times as Parquet has them."""
    numbers = [f"C-{random.randrange(1, 3_000):05}" for _ in range(25)]
    numbers[3], numbers[8] = "C-77777", None  # type: ignore[call-overload]
    table = pa.table(
        {
            "contract_id": pa.array(numbers, pa.string()),
            "vendor_id": pa.array([f"V-{random.randrange(1, 24_000):05}" for _ in numbers], pa.string()),
            "buyer": pa.array([f"E-{random.randrange(1, 5_000):05}" for _ in numbers], pa.string()),
            "shelf": pa.array([f"{random.randrange(1, 60):03}" for _ in numbers], pa.string()),
            "budget": pa.array([Decimal(random.randrange(10**8)) / 100 for _ in numbers], pa.decimal128(12, 2)),
            "signed": pa.array([date(2024, 1, 1) + timedelta(days=random.randrange(900)) for _ in numbers]),
            "scanned": pa.array([WRITTEN - timedelta(minutes=random.randrange(9**6)) for _ in numbers]),
            "renews": pa.array([random.choice([True, False, None]) for _ in numbers]),
        }
    )
    pq.write_table(table, folder / "contracts.parquet")


def write_memo_docx(folder: Path) -> None:
    """Paragraphs, one of them with a word in bold inside a key, and a table."""
    document = docx.Document()
    document.core_properties.created = document.core_properties.modified = WRITTEN
    document.add_heading("Memo: open points with vendors", level=1)
    for text in MEMO:
        document.add_paragraph(text)
    split = document.add_paragraph("Please pay vendor V-")
    split.add_run("00017").bold = True
    split.add_run(" by Friday.")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Contract", "Owner"
    for contract, owner in (("C-00042", "E-00021"), ("C-01234", "E-00350")):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = contract, owner
    raw = io.BytesIO()
    document.save(raw)
    _write_zip(folder / "memo.docx", raw)


def write_memo_pdf(folder: Path) -> None:
    """The same text on two pages."""
    pdf = FPDF()
    pdf.set_creation_date(WRITTEN)
    pdf.set_title("Memo: open points with vendors")
    pdf.set_font("helvetica", size=12)
    for page in (MEMO[:2], MEMO[2:]):
        pdf.add_page()
        for text in page:
            pdf.multi_cell(0, 8, text, new_x="LMARGIN", new_y="NEXT")
            pdf.ln(4)
    pdf.output(str(folder / "memo.pdf"))


def _write_zip(file: Path, raw: io.BytesIO) -> None:
    """Write an Office file's members with the same time each, which the libraries take from the clock."""
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            member = zipfile.ZipInfo(name, WRITTEN.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            content = source.read(name)
            if name == "docProps/core.xml":
                content = MODIFIED.sub(WRITTEN.strftime("%FT%TZ").encode(), content)
            target.writestr(member, content)


def write(folder: Path) -> None:
    """Write all of them."""
    random = Random(7)  # noqa: S311 - believable, not secret
    rows = list(invoices(random))
    write_invoices_csv(folder, rows)
    write_invoices_xlsx(folder, rows)
    write_employees(folder, random)
    write_contracts(folder, random)
    write_memo_docx(folder)
    write_memo_pdf(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
