"""Writes a workbook of another format as ``.xlsx``, into memory: no file can be written where strangers' are read."""

from __future__ import annotations

import io
import re
import zipfile
from xml.sax.saxutils import escape

from application.engine.core.errors import InputError
from application.engine.office.legacy.book import GENERAL, Cell, Kind, LegacyBook, LegacySheet
from application.engine.office.xlsx.ranges import MAX_COLUMNS, MAX_ROWS, column_letters
from application.engine.office.xml import xml_text

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_FIRST_OWN_FORMAT = 164
_LEVEL = 2
_MAX_NAME = 31
_NO_NAME = re.compile(r"[\[\]:*?/\\\x00-\x1f]")


class _Styles:
    """The number formats that are used, each once."""

    def __init__(self) -> None:
        self._numbers = {GENERAL: 0}

    def number(self, shown: str) -> int:
        """The number of the style for a format."""
        return self._numbers.setdefault(shown, len(self._numbers))

    def xml(self) -> str:
        """The styles' part."""
        own = [(number + _FIRST_OWN_FORMAT, code) for code, number in self._numbers.items() if number]
        formats = "".join(f'<numFmt numFmtId="{number}" formatCode="{_quoted(code)}"/>' for number, code in own)
        styles = "".join(
            f'<xf numFmtId="{number}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
            for number in (0, *(number for number, _ in own))
        )
        return (
            f'{_HEAD}<styleSheet xmlns="{_MAIN}">'
            + (f'<numFmts count="{len(own)}">{formats}</numFmts>' if own else "")
            + '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
            '<fills count="2"><fill><patternFill patternType="none"/></fill>'
            '<fill><patternFill patternType="gray125"/></fill></fills>'
            '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
            '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
            f'<cellXfs count="{len(own) + 1}">{styles}</cellXfs>'
            '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
        )


def write_xlsx(book: LegacyBook, kind: str) -> bytes:
    """The workbook as ``.xlsx``; ``kind`` is the format that it comes from. Raises ``InputError``."""
    sink = io.BytesIO()
    styles = _Styles()
    sheets: list[LegacySheet] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for number, sheet in enumerate(book.sheets, start=1):
            sheets.append(sheet)
            with archive.open(f"xl/worksheets/sheet{number}.xml", "w") as part:
                part.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
                for row, cells in sheet.rows:
                    if row > MAX_ROWS or cells[-1].column > MAX_COLUMNS:
                        raise _too_large(sheet.name, kind)
                    part.write(f'<row r="{row}">{"".join(_cell(row, cell, styles) for cell in cells)}</row>'.encode())
                merged = "".join(f'<mergeCell ref="{reference}"/>' for reference in sheet.merged)
                after = f'<mergeCells count="{len(sheet.merged)}">{merged}</mergeCells>' if merged else ""
                part.write(f"</sheetData>{after}</worksheet>".encode())
        archive.writestr("xl/styles.xml", styles.xml())
        archive.writestr("xl/workbook.xml", _workbook(sheets, from_1904=book.from_1904))
        parts = [f"worksheets/sheet{number}.xml" for number in range(1, len(sheets) + 1)]
        related = [("worksheet", part) for part in parts] + [("styles", "styles.xml")]
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(related))
        archive.writestr("_rels/.rels", _relations([("officeDocument", "xl/workbook.xml")]))
        archive.writestr("[Content_Types].xml", _types(parts))
    return sink.getvalue()


def _cell(row: int, cell: Cell, styles: _Styles) -> str:
    style = f' s="{number}"' if (number := styles.number(cell.shown)) else ""
    tag = f'<c r="{column_letters(cell.column)}{row}"{style}'
    if cell.kind is Kind.TEXT:
        return f'{tag} t="inlineStr"><is><t xml:space="preserve">{xml_text(cell.text)}</t></is></c>'
    return f'{tag} t="{cell.kind}"><v>{cell.text}</v></c>'


def _quoted(text: str) -> str:
    return escape(text, {'"': "&quot;"})


def _workbook(sheets: list[LegacySheet], *, from_1904: bool) -> str:
    listed = "".join(
        f'<sheet name="{_quoted(name)}" sheetId="{number}" state="{"hidden" if sheet.is_hidden else "visible"}" '
        f'r:id="rId{number}"/>'
        for number, (sheet, name) in enumerate(zip(sheets, _names(sheets), strict=True), start=1)
    )
    days = '<workbookPr date1904="1"/>' if from_1904 else ""
    return f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">{days}<sheets>{listed}</sheets></workbook>'


def _names(sheets: list[LegacySheet]) -> list[str]:
    """The sheets' names as Excel takes them: no longer, without its signs, each once."""
    names: dict[str, str] = {}
    for sheet in sheets:
        plain = _NO_NAME.sub("_", sheet.name).strip("'")[:_MAX_NAME] or "Sheet"
        name, number = plain, 1
        while name.casefold() in names:
            number += 1
            name = f"{plain[: _MAX_NAME - 8]} ({number})"
        names[name.casefold()] = name
    return list(names.values())


def _relations(related: list[tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(related, start=1)
    )
    return f'{_HEAD}<Relationships xmlns="{_RELATIONS}">{listed}</Relationships>'


def _types(parts: list[str]) -> str:
    listed = "".join(f'<Override PartName="/xl/{part}" ContentType="{_TYPE}.worksheet+xml"/>' for part in parts)
    return (
        f'{_HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{listed}</Types>'
    )


def _too_large(name: str, kind: str) -> InputError:
    return InputError(
        "file-too-large",
        "The file is too large",
        f"The sheet {name!r} of the {kind} file has more rows or columns than a sheet of an .xlsx file can have.",
        expected=f"at most {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns",
    )
