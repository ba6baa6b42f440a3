"""How a person wants a file to be read and written: one model for REST, the file tools and the engine.

Each option is used in place of what the engine would detect. `FORMATS` says which formats take it.
"""

import codecs
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_DELIMITED = ("csv", "tsv")
_TEXT = ("csv", "tsv", "json", "jsonl", "txt", "md")
_ALL = (*_TEXT, "parquet", "xlsx", "pdf", "docx")

FORMATS: Mapping[str, tuple[str, ...]] = {
    "sheet": ("xlsx",),
    "header_row": (*_DELIMITED, "xlsx"),
    "no_header": (*_DELIMITED, "xlsx"),
    "delimiter": _DELIMITED,
    "quote": _DELIMITED,
    "decimal": _DELIMITED,
    "raw": _DELIMITED,
    "encoding": _TEXT,
    "add_only": _ALL,
}
"""The formats that take each option."""

# Names in a media type (IANA, Character Sets), by the names of Python's codecs.
ENCODINGS: Mapping[str, str] = {
    "utf-8": "utf-8", "utf-16": "utf-16", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be",
    "utf-32": "utf-32", "utf-32-le": "utf-32le", "utf-32-be": "utf-32be",
    **{f"cp{number}": f"windows-{number}" for number in range(1250, 1259)},
    **{f"iso8859-{part}": f"iso-8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    "cp437": "ibm437", "cp850": "ibm850", "cp852": "ibm852", "cp866": "ibm866",
    "koi8-r": "koi8-r", "koi8-u": "koi8-u", "mac-roman": "macintosh",
    "shift_jis": "shift_jis", "cp932": "windows-31j", "euc_jp": "euc-jp",
    "gbk": "gbk", "gb18030": "gb18030", "big5": "big5", "euc_kr": "euc-kr",
}  # fmt: skip
_CODECS = {charset: codec for codec, charset in ENCODINGS.items()}

_TAB_NAMES = {"tab", "\\t", "\t"}
_MOST_ROWS = 1000
_SHOWN = 60


def _takes(option: str) -> str:
    names = FORMATS[option]
    return "For any format." if names is _ALL else f"For {', '.join(name.upper() for name in names)}."


class FileOptions(BaseModel):
    """How to read a file and write its result; what is not given is detected, as the preview shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sheet: Annotated[str, Field(min_length=1, max_length=255)] | Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Enrich only this sheet: its name, or its number among the visible sheets, from 1. "
        + _takes("sheet"),
    )
    header_row: int | None = Field(
        default=None,
        ge=1,
        le=_MOST_ROWS,
        description="Row of the sheet, or line of the file, with the names of the columns, from 1. "
        + _takes("header_row"),
    )
    no_header: bool = Field(
        default=False,
        description="The file has no header row: the columns are called column_1, column_2 and so on. "
        + _takes("no_header"),
    )
    delimiter: str | None = Field(
        default=None, description="Character between cells: one ASCII character, or tab. " + _takes("delimiter")
    )
    quote: str | None = Field(
        default=None,
        description="Character around cells that hold a delimiter: one ASCII character, or none. " + _takes("quote"),
    )
    decimal: Literal[".", ","] | None = Field(
        default=None,
        description="Decimal sign of the numbers in the file, and of those that are added. " + _takes("decimal"),
    )
    encoding: str | None = Field(
        default=None,
        description="Encoding of the text, such as utf-8, windows-1252 or utf-16. " + _takes("encoding"),
    )
    add_only: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        # Every agent reads this, so it names no department.
        description="Add only these columns, each as in the result (key column.department.column) or as of a data set "
        "(department.dataset.column). " + _takes("add_only"),
    )
    raw: bool = Field(
        default=False,
        description="For programs: write added texts as they are, without the apostrophe that keeps a spreadsheet "
        "from running them as a formula. " + _takes("raw"),
    )

    @field_validator("sheet", mode="before")
    @classmethod
    def _a_sheet(cls, value: Any) -> Any:
        right = "the name of a sheet, or its number from 1"
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            raise _wrong(value, right)
        if value == "" or (isinstance(value, int) and value < 1):
            raise _wrong(value, right)
        return value

    @field_validator("header_row", mode="before")
    @classmethod
    def _a_row(cls, value: Any) -> Any:
        if value is not None and (type(value) is not int or not 1 <= value <= _MOST_ROWS):
            raise _wrong(value, f"the number of a row from 1 to {_MOST_ROWS}")
        return value

    @field_validator("delimiter", mode="before")
    @classmethod
    def _a_delimiter(cls, value: Any) -> Any:
        if isinstance(value, str) and value in _TAB_NAMES:
            return "tab"
        if value is not None and not (isinstance(value, str) and re.fullmatch(r"[ -~\x1f]", value)):
            raise _wrong(value, "one ASCII character such as ; or tab")
        if value is not None and re.fullmatch(r"[A-Za-z0-9\"\\]", value):
            raise _wrong(value, "a character that is no letter, digit, quote or backslash, such as ; or tab")
        return value

    @field_validator("quote", mode="before")
    @classmethod
    def _a_quote(cls, value: Any) -> Any:
        if value in {None, "none"} if isinstance(value, str | None) else False:
            return value
        if not (isinstance(value, str) and re.fullmatch(r"[!-~]", value)) or re.fullmatch(r"[A-Za-z0-9\\]", value):
            raise _wrong(value, "one character such as \" or ', or none")
        return value

    @field_validator("decimal", mode="before")
    @classmethod
    def _a_decimal(cls, value: Any) -> Any:
        if value is not None and value not in (".", ","):
            raise _wrong(value, ". or ,")
        return value

    @field_validator("encoding", mode="before")
    @classmethod
    def _an_encoding(cls, value: Any) -> Any:
        """The IANA name of the encoding, however it is written."""
        if value is None:
            return None
        try:
            codec = _CODECS.get(value.lower()) or codecs.lookup(value).name
            return ENCODINGS["utf-8" if codec == "utf-8-sig" else codec]
        except (AttributeError, LookupError, ValueError):
            raise _wrong(value, f"one of: {', '.join(_CODECS)}") from None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.no_header and self.header_row is not None:
            raise ValueError("no_header and header_row exclude each other: give header_row only for a file with names")
        if self.delimiter is not None and self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.delimiter!r}: give two different characters")
        return self

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the options that are set."""
        return tuple(name for name in FORMATS if getattr(self, name) not in (None, False))

    @property
    def codec(self) -> str | None:
        """Python's name of the encoding."""
        return None if self.encoding is None else _CODECS[self.encoding]


DETECT_ALL = FileOptions()
"""No option is set."""


def _wrong(value: object, right: str) -> ValueError:
    shown = repr(value)
    return ValueError(f"{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'} is not valid; give {right}")
