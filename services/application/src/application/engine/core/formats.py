"""What kind of file this is: its name says it, its first bytes must agree."""

from __future__ import annotations

import codecs
import re

from application.engine.core.errors import InputError
from application.engine.core.model import Format
from application.engine.core.packed import GZIP, PACKABLE, unpacked_head
from application.engine.core.text_table import HEAD_BYTES, table_format

_BY_EXTENSION = {
    "csv": Format.CSV,
    "tsv": Format.TSV,
    "tab": Format.TSV,
    "json": Format.JSON,
    "jsonl": Format.JSON_LINES,
    "ndjson": Format.JSON_LINES,
    "parquet": Format.PARQUET,
    "parq": Format.PARQUET,
    "xlsx": Format.XLSX,
    "xlsm": Format.XLSX,
    "xls": Format.XLSX,
    "xlsb": Format.XLSX,
    "ods": Format.XLSX,
    "txt": Format.TEXT,
    "md": Format.MARKDOWN,
    "markdown": Format.MARKDOWN,
    "pdf": Format.PDF,
    "docx": Format.DOCX,
}
_PACKED = ".gz"
_EXPECTED = "one of: " + ", ".join(
    [f".{extension}" for extension in _BY_EXTENSION]
    + [f".{extension}{_PACKED}" for extension, file_format in _BY_EXTENSION.items() if file_format in PACKABLE]
)
_SAVE_AS = {
    **dict.fromkeys(("xlt", "fods", "numbers"), "xlsx"),
    **dict.fromkeys(("doc", "dot", "odt", "rtf", "pages"), "docx"),
}
"""What Office programs can save files of other formats as."""

_ARCHIVES = {"zip", "7z", "rar", "tar", "tgz", "bz2", "xz", "zst", "gz"}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive, as XLSX, XLSB, ODS and DOCX are", {Format.XLSX, Format.DOCX}),
    (b"PK\x05\x06", "an empty ZIP archive", set[Format]()),
    (b"PAR1", "Parquet", {Format.PARQUET}),
    (b"PARE", "Parquet with an encrypted footer", {Format.PARQUET}),
    (b"%PDF-", "PDF", {Format.PDF}),
    (_OLE, "an Office file that is encrypted or of the format before 2007", set[Format]()),
    (b"\x1f\x8b", "a gzip archive", set[Format]()),
    (b"BZh", "a bzip2 archive", set[Format]()),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", set[Format]()),
    (b"7z\xbc\xaf", "a 7-Zip archive", set[Format]()),
    (b"\x89PNG", "a PNG image", set[Format]()),
    (b"\xff\xd8\xff", "a JPEG image", set[Format]()),
    (b"GIF8", "a GIF image", set[Format]()),
    (b"{\\rtf", "RTF", set[Format]()),
    (b"SQLite format 3\0", "an SQLite database", set[Format]()),
    (b"\x7fELF", "a program", set[Format]()),
)
_BINARY = {Format.PARQUET, Format.XLSX, Format.PDF, Format.DOCX}
_BETWEEN_OBJECTS = re.compile(rb"\}[ \t\r]*\n\s*\{")
"""Between the objects of JSON Lines. Within one JSON document it stands nowhere: a text has no line endings."""

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def detect_format(name: str, head: bytes) -> Format:
    """The format of a file called ``name`` that starts with ``head``. Raises ``InputError`` where they disagree."""
    file_format, ending = _named_format(name)
    if ending.endswith(_PACKED) and head:
        if not head.startswith(GZIP):
            raise _wrong(ending, "no gzip archive")
        head = unpacked_head(head, HEAD_BYTES)
    if not head:
        raise InputError("empty-file", "The file is empty", "The file has no content.", expected="a file with content")
    if head.startswith(_OLE) and ending == ".xls":
        return file_format
    if head.startswith(_OLE) and file_format in {Format.XLSX, Format.DOCX}:
        raise InputError(
            "encrypted-file",
            "The file is encrypted or too old",
            "The file is protected by a password, or is of the format that Office used before 2007.",
            expected=f"the file saved without a password as .{file_format.value}",
        )
    kind = _binary_kind(head, file_format)
    if kind is not None:
        raise _wrong(ending, kind)
    if file_format not in _BINARY:
        _check_text(head, file_format, ending)
    if file_format is Format.TEXT:
        return table_format(head) or file_format
    return file_format


def _named_format(name: str) -> tuple[Format, str]:
    """The format that the name says, and the name's ending that says it."""
    plain = name.lower().removesuffix(_PACKED)
    packed = _PACKED if plain != name.lower() else ""
    extension = plain.rpartition(".")[2] if "." in plain else ""
    file_format = _BY_EXTENSION.get(extension)
    ending = (f".{extension}" if extension else "") + packed
    if file_format is None or (packed and file_format not in PACKABLE):
        detail = f"Files that end in {ending[:20]} cannot be enriched." if ending else "The name has no extension."
        expected = _EXPECTED
        if packed or extension in _ARCHIVES:
            expected = "the table itself, or compressed by gzip as .csv.gz, .tsv.gz, .json.gz or .jsonl.gz"
        elif extension in _SAVE_AS:
            expected = (
                f"the file saved as .{_SAVE_AS[extension]}: open it in the program that it is from, and save a copy"
            )
        raise InputError("unsupported-format", "This kind of file cannot be enriched", detail, expected=expected)
    return file_format, ending


def _binary_kind(head: bytes, file_format: Format) -> str | None:
    """What a binary file is, if it is not of ``file_format``."""
    for magic, kind, formats in _MAGIC:
        if head.startswith(magic):
            return None if file_format in formats else kind
    if file_format is Format.PDF and b"%PDF-" in head[:1024]:
        return None
    return f"something other than {file_format.value.upper()}" if file_format in _BINARY else None


def _check_text(head: bytes, file_format: Format, ending: str) -> None:
    for mark in _MARKS[1:]:
        if head.startswith(mark):
            return
    text = head.removeprefix(_MARKS[0]).lstrip()
    if text[:9].lower() == b"<!doctype" or text[:5].lower() in {b"<html", b"<?xml"}:
        if file_format not in {Format.TEXT, Format.MARKDOWN}:
            raise _wrong(ending, "HTML or XML")
        return
    is_array = text[:1] == b"[" and text[1:].lstrip()[:1] in {b"{", b"]"}
    is_object = text[:1] == b"{" and text[1:].lstrip()[:1] in {b'"', b"}"}
    if file_format in {Format.CSV, Format.TSV} and (is_array or is_object):
        raise _wrong(ending, "JSON" if is_array else "JSON or JSON Lines")
    if file_format is Format.JSON_LINES and is_array:
        raise _wrong(ending, "a JSON array")
    if file_format is Format.JSON and is_object and _BETWEEN_OBJECTS.search(text):
        raise _wrong(ending, "JSON Lines")
    first_line = text.partition(b"\n")[0]
    if file_format is Format.TSV and b"\t" not in first_line and (b"," in first_line or b";" in first_line):
        raise _wrong(ending, "CSV, not separated by tabs")


def _wrong(ending: str, kind: str) -> InputError:
    return InputError(
        "wrong-format",
        "The file is not what its name says",
        f"The name ends in {ending}, but the content is {kind}.",
        expected="a name whose extension says what the file is",
    )
