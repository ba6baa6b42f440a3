"""The keys that a job did not find, as a workbook to fill in and give back."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils.exceptions import InvalidFileException

from fileproc.errors import InvalidRequest
from fileproc.models import Misses, UnmatchedKey

_PROPOSALS = ("Proposal", "Second", "Third")
_HEADER = ("Data set", "Column", "Key", "First row", "Why", *_PROPOSALS, "Use this key")
_WIDTHS = (20, 20, 24, 10, 32, 24, 24, 24, 24)
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
"""What XML cannot hold, as Excel writes it (ECMA-376, part 1, 22.9.2.19: `ST_Xstring`)."""

_TEXT = "@"
"""Excel's format for text: what is typed stays as it is, with its zeros."""


def workbook(found: Sequence[Misses], descriptions: Mapping[str, str]) -> bytes:
    """An XLSX file with a row for each key; the last column is empty, for the key to use.

    Args:
        found: The keys.
        descriptions: What people read of each cause.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Keys")
    for letter, width in zip("ABCDEFGHI", _WIDTHS, strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
    cells = [_text(sheet, name) for name in _HEADER]
    for cell in cells:
        cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True)
    sheet.append(cells)
    rows = 1
    for misses in found:
        for miss in misses.keys:
            sheet.append(list(_row(sheet, misses, miss, descriptions)))
            rows += 1
    sheet.auto_filter.ref = f"A1:I{rows}"
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def read_workbook(path: Path) -> dict[str, dict[str, str]]:
    """The keys that were filled in, by data set and by the key in the file.

    Raises:
        InvalidRequest: It is not such a workbook, or no key is filled in.
        OSError: It cannot be read.
    """
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, KeyError, ValueError) as error:
        raise _not_ours(path) from error
    try:
        rows = book.worksheets[0].iter_rows(values_only=True)
        header = [str(value) for value in next(rows, ())]
        places = [header.index(name) if name in header else -1 for name in ("Data set", "Key", "Use this key")]
        if -1 in places:
            raise _not_ours(path)
        found: dict[str, dict[str, str]] = {}
        for number, row in enumerate(rows, 2):
            dataset, key, use = (_read(row[place] if place < len(row) else None) for place in places)
            if not use.strip():
                continue
            if not (dataset and key):
                raise InvalidRequest(f"{path}, row {number}: the data set or the key is missing.")
            found.setdefault(dataset, {})[key] = use.strip()
    finally:
        book.close()
    if not found:
        raise InvalidRequest(f"{path}: no key is filled in. Write it into the column 'Use this key'.")
    return found


def _row(sheet: Any, misses: Misses, miss: UnmatchedKey, descriptions: Mapping[str, str]) -> Iterator[Any]:
    proposals = [proposal.key for proposal in miss.proposals[: len(_PROPOSALS)]]
    proposals += [""] * (len(_PROPOSALS) - len(proposals))
    why = f"Key of {miss.dataset}" if miss.dataset else descriptions.get(miss.cause or "", "")
    yield from (_text(sheet, text) for text in (misses.dataset, misses.column, miss.key))
    yield miss.row
    yield from (_text(sheet, text) for text in (why, *proposals, ""))


def _text(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, _UNSAFE.sub(lambda found: f"_x{ord(found[0]):04X}_", text))
    cell.data_type, cell.number_format = "s", _TEXT  # a key that begins with "=" is no formula
    return cell


def _read(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else _ESCAPED.sub(lambda found: chr(int(found[1], 16)), str(value))


def _not_ours(path: Path) -> InvalidRequest:
    return InvalidRequest(f"{path} is not a workbook with the columns 'Data set', 'Key' and 'Use this key'.")
