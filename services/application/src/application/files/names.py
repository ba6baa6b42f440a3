"""Names of files as people give them: which are taken, and how they are written into a header."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

from common.problem import Problem

MAX_NAME_BYTES = 255
_CONVERTED = {".xls", ".xlsb", ".ods"}
_BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def checked_name(name: str) -> str:
    """The name in Unicode's composed form, without space around it.

    Raises:
        Problem: 422 for a name that is empty, too long, a path, or holds characters that are not for people to read
            (line breaks, controls, marks that turn the direction of text and so hide an extension).
    """
    clean = unicodedata.normalize("NFC", name).strip()
    if not clean or clean.strip(".") == "":
        raise _invalid("The file has no name.")
    if len(clean.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise _invalid(f"The name is longer than {MAX_NAME_BYTES} bytes.")
    if "/" in clean or "\\" in clean:
        raise _invalid("The name has a path in it.")
    for position, char in enumerate(clean, 1):
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(char) in _BIDIRECTIONAL:
            raise _invalid(f"Character {position} of the name (U+{ord(char):04X}) cannot be used in a name.")
    return clean


def _invalid(detail: str) -> Problem:
    expected = f"a file name such as invoices.csv: no path, no control characters, at most {MAX_NAME_BYTES} bytes"
    return Problem(422, "invalid-name", "The name of the file cannot be used", detail, field="name", expected=expected)


def result_name(name: str) -> str:
    """What the enriched file is called: ``invoices.csv`` becomes ``invoices.enriched.csv``, also before ``.gz``.

    The result of ``invoices.xls`` is ``invoices.enriched.xlsx``.
    """
    packed = name[-3:] if is_packed(name) else ""
    path = PurePosixPath(name.removesuffix(packed))
    ending = ".xlsx" if path.suffix.lower() in _CONVERTED else path.suffix
    return f"{path.stem}.enriched{ending}{packed}"


def is_packed(name: str) -> bool:
    """Whether the file is compressed, as the name of an accepted one says."""
    return name.lower().endswith(".gz")


def content_disposition(name: str) -> str:
    """The header by which a browser saves a download as ``name`` (RFC 6266; RFC 8187 for what is not ASCII)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join(char for char in plain if char.isprintable() and char not in '"\\%').strip() or "file"
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
