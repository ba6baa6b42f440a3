"""The one file of a ``multipart/form-data`` body, as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from common.problem import Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


class FormFile:
    """Reads a form with one part, ``file``; ``name`` is known once the first data of the file is."""

    def __init__(self, content_type: str) -> None:
        """Raises a ``Problem`` where the header has no usable boundary."""
        _, options = parse_options_header(content_type)
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(options[b"boundary"], callbacks)
        except (KeyError, FormParserError) as error:
            raise _invalid("The form has no usable boundary.") from error
        self.name: str | None = None
        self._parts = 0
        self._ended = False
        self._field = self._value = b""
        self._disposition = ""
        self._data: list[bytes] = []

    async def content(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The bytes of the file in the form that ``stream`` brings.

        Raises:
            Problem: The form is not valid, or is cut off.
        """
        async for chunk in stream:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise _invalid("The body is not a form of the boundary that its header names.") from error
            if self._data:
                yield b"".join(self._data)
                self._data.clear()
        if not self._ended or not self._parts:
            raise _invalid("The form is cut off." if self._parts else "The form is empty.")

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise _invalid("The form has more than one part.")
        self._disposition = ""

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != b"file":
            raise _invalid("The part of the form is not called 'file'.")
        if b"filename" in options:
            # Browsers write the name's UTF-8 bytes as they are.
            self.name = options[b"filename"].decode("utf-8", "replace")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _on_end(self) -> None:
        self._ended = True


def _invalid(detail: str) -> Problem:
    expected = "multipart/form-data with one part, 'file'; or the file itself as the body, and ?name=…"
    return Problem(422, "invalid-form", "The form cannot be read", detail, expected=expected)
