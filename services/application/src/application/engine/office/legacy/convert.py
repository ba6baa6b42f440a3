"""Reads workbooks of other formats as ``.xlsx``, which their results are."""

from __future__ import annotations

import io

from application.engine.core.model import Detection, FileSource, Format, Limits, Source
from application.engine.office.archive import OLE, Archive
from application.engine.office.legacy import xls
from application.engine.office.legacy.ods import read_ods
from application.engine.office.legacy.writer import write_xlsx
from application.engine.office.legacy.xlsb import read_xlsb
from application.engine.office.package import main_part


def as_xlsx(source: Source, file_format: Format, limits: Limits) -> tuple[Source, Detection | None]:
    """``source``, or the ``.xlsx`` made from it, and a note about that for its owner. Raises ``InputError``."""
    if file_format is not Format.XLSX:
        return source, None
    source.seek(0)
    if source.read(len(OLE)) == OLE:
        with xls.readable():
            return _converted(write_xlsx(xls.read_xls(source), "XLS"), "xls")
    with Archive(source, limits, "XLSX", limits.workbook) as archive:
        is_ods = archive.find("content.xml") is not None and archive.find("mimetype") is not None
        is_xlsb = not is_ods and main_part(archive, "xl/workbook.xml").lower().endswith(".bin")
    if is_ods:
        return _converted(write_xlsx(read_ods(source, limits), "ODS"), "ods")
    if is_xlsb:
        return _converted(write_xlsx(read_xlsb(source, limits), "XLSB"), "xlsb")
    return source, None


def _converted(data: bytes, kind: str) -> tuple[Source, Detection]:
    told = (
        f"Files of the format .{kind} are read, but not written: the result is a new .xlsx file with the values and "
        "number formats of all sheets. Formulas are their results; colours, charts, comments and macros are left out."
    )
    return FileSource(io.BytesIO(data)), Detection(kind, told)
