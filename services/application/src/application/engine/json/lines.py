"""JSON Lines: members are added before the closing brace of each line; every other byte stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

from application.engine.core.encoding import Encoding, check_utf8, detect_encoding, nul_error, read_text, utf8_error
from application.engine.core.errors import InputError
from application.engine.core.head import Head, check_mapping, column_collision, empty_file
from application.engine.core.join import clean_keys
from application.engine.core.model import Limits, Source
from application.engine.core.run import Run
from application.engine.json.values import (
    HeadRecords,
    InvalidJson,
    NotKeys,
    Object,
    collision,
    head_of,
    invalid_json,
    not_an_object,
    read_value,
    render_members,
    skip_space,
    too_deep,
)

_CHECKED_ROWS = 1000


class _Record:
    """One line: the object in it, and where its closing brace is."""

    __slots__ = ("brace", "line", "text", "value")

    def __init__(self, text: str, line: int, row: int) -> None:
        start = skip_space(text, 0)
        place = f"Line {line:,}"
        other_line = line if line != row else None
        try:
            value, end = read_value(text, start)
        except InvalidJson as error:
            if error.deep:
                raise too_deep(row, other_line) from None
            raise invalid_json(f"{error}, at character {error.position + 1:,}", row, other_line, place) from None
        if skip_space(text, end) != len(text):
            raise invalid_json(f"there is more after the value, at character {end + 1:,}", row, other_line, place)
        if not isinstance(value, dict):
            raise not_an_object(row, other_line, value)
        self.text = text
        self.line = line
        self.value: Object = value
        self.brace = end - 1


def read_head(source: Source, encoding: Encoding, limits: Limits, rows: int) -> Head:
    """The members of the first lines (fewer where they are long), in the order in which they first appear."""
    head = HeadRecords(rows, limits)
    count = 0
    for data, line in line_blocks(source, encoding, limits, min(limits.block, 1 << 18)):
        for record in _records(data, line, count + 1):
            count += 1
            if not head.add(record.value, len(record.text)):
                return head_of(head.records)
    if not head.records:
        raise empty_file()
    return head_of(head.records)


def enrich_json_lines(run: Run) -> None:
    """Write the file of ``run`` with the added members."""
    encoding = detect_encoding(run.source, run.options.codec)
    check_mapping(read_head(run.source, encoding, run.limits, _CHECKED_ROWS).columns, run.mapping)
    not_keys = NotKeys()
    run.sink.write(encoding.bom)
    with run.joiner_for(render_members(b":")) as joiner:
        for data, line in line_blocks(run.source, encoding, run.limits, run.limits.block):
            records = list(_records(data, line, run.rows + 1))
            for record_number, record in enumerate(records, start=run.rows + 1):
                if (name := collision(record.value, run.mapping)) is not None:
                    raise column_collision(name, record_number)
            values = [record.value for record in records]
            keys = [clean_keys(not_keys.keys(values, entry.column)) for entry in run.mapping]
            added = [part.to_pylist() for part in joiner.join(keys, range(run.rows + 1, run.rows + 1 + len(records)))]
            run.sink.write(encoding.encode_json(_splice(data, line, records, added)))
            run.advance(len(records), run.source.tell())
    run.warnings.extend(not_keys.warnings())


def _splice(data: str, first_line: int, records: list[_Record], added: list[list[bytes]]) -> bytes:
    lines = data.split("\n")
    for index, record in enumerate(records):
        members = b"".join(part[index] for part in added).decode()
        text, brace = record.text, record.brace
        if not record.value:
            members = members[1:]
        lines[record.line - first_line] = text[:brace] + members + text[brace:]
    return "\n".join(lines).encode("utf-8")


def _records(data: str, first_line: int, first_row: int) -> Iterator[_Record]:
    row = first_row
    for line, text in enumerate(data.split("\n"), start=first_line):
        if skip_space(text, 0) < len(text):
            yield _Record(text, line, row)
            row += 1


def line_blocks(source: Source, encoding: Encoding, limits: Limits, piece: int) -> Iterator[tuple[str, int]]:
    """Whole lines, and the number of the first. Raises ``InputError`` for a line over the limit, without reading on."""
    held = b""
    line = 1
    offset = len(encoding.bom)
    for part in read_text(source, encoding, piece):
        data = held + part
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > limits.record:
            raise _too_long(line + data.count(b"\n", 0, cut), limits.record)
        held = data[cut:]
        if cut:
            yield _decode(data[:cut], offset, line), line
            line += data.count(b"\n", 0, cut)
            offset += cut
    if held:
        yield _decode(held, offset, line), line


def _decode(data: bytes, offset: int, line: int) -> str:
    try:
        check_utf8(data)
        return data.decode()
    except UnicodeDecodeError as error:
        raise utf8_error(error, offset, None, line + data.count(b"\n", 0, error.start)) from None
    except InputError:
        raise nul_error(line + data.count(b"\n", 0, data.index(b"\0"))) from None


def _too_long(line: int, limit: int) -> InputError:
    return InputError(
        "record-too-long",
        "A line is too long",
        f"Line {line:,} is longer than {limit >> 20} MB.",
        line=line,
        expected=f"lines of at most {limit >> 20} MB",
    )
