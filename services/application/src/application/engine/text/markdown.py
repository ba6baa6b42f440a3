"""The parts of Markdown that a note would break: code, addresses, HTML, front matter."""

from __future__ import annotations

import heapq
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_FENCE = re.compile(r" {0,3}(?:> ?)*(`{3,}|~{3,})")
# Where a part of each kind starts. A pattern for the whole of one would be tried at each start up to its longest end:
# in a text of nothing but starts, that is thousands of characters for each of them.
_TICKS = re.compile(r"`+")
_ADDRESS, _COMMENT = re.compile(r"\]\("), re.compile("<!--")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]{1,200}\]:[^\n]*", re.MULTILINE)
_TAG = re.compile(r"</?[A-Za-z]")
_LONGEST_FENCE = 4
_LONGEST_CODE, _LONGEST_ADDRESS, _LONGEST_COMMENT, _LONGEST_TAG = 1000, 2000, 5000, 1000
_FRONT_END = re.compile(r"^(?:---|\.\.\.)[ \t\r]*$", re.MULTILINE)
_SPECIAL = re.compile(r"[\\`*\[\]<>|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def escape(text: str) -> str:
    """``text`` so that it reads as it is."""
    return _SPECIAL.sub(r"\\\g<0>", text)


@dataclass(slots=True)
class Regions:
    """Finds the parts of a text that is given in blocks of whole lines."""

    _fence: str = ""
    _front: bool | None = None
    _skipped: list[tuple[int, int]] = field(default_factory=list)

    def place(self, text: str, places: Sequence[tuple[int, int]]) -> list[int | None]:
        """Where a note goes for each ``(start, after)`` of an identifier; ``None`` where none may be."""
        untouchable = _Spans(self._blocks(text), *_untouchable(text))
        code = _Spans(_inline_code(text))
        found: list[int | None] = []
        for start, after in places:
            if untouchable.end_of(start) is not None:
                found.append(None)
            else:
                found.append(max(after, code.end_of(start) or 0))
        return found

    def _blocks(self, text: str) -> Iterator[tuple[int, int]]:
        """Lines of fenced code and of front matter."""
        at = 0
        for line in text.splitlines(keepends=True):
            end = at + len(line)
            bare = line.strip()
            starts_front = self._front is None and bare == "---" and _FRONT_END.search(text, end) is not None
            if self._front:
                self._front = bare not in {"---", "..."}
                inside = True
            else:
                self._front = starts_front
                inside = starts_front or self._fenced(line, bare)
            if inside:
                yield at, end
            at = end

    def _fenced(self, line: str, bare: str) -> bool:
        match = _FENCE.match(line)
        if not self._fence:
            # A fence of backticks has none in the rest of its line.
            if match and not (match[1][0] == "`" and "`" in line[match.end() :]):
                self._fence = match[1]
                return True
            return False
        closes = match and match[1].startswith(self._fence) and bare.lstrip("> ").strip(self._fence[0]) == ""
        if closes:
            self._fence = ""
        return True


def _untouchable(text: str) -> Iterator[Iterator[tuple[int, int]]]:
    """Addresses of links, ``[name]: address``, comments, and tags with addresses in angle brackets."""
    yield _enclosed(text, _ADDRESS.finditer(text), ")", _LONGEST_ADDRESS, one_line=True)
    yield (match.span() for match in _DEFINITION.finditer(text))
    yield _enclosed(text, _COMMENT.finditer(text), "-->", _LONGEST_COMMENT, one_line=False)
    yield _enclosed(text, _TAG.finditer(text), ">", _LONGEST_TAG, one_line=True)


def _enclosed(
    text: str, starts: Iterator[re.Match[str]], closing: str, longest: int, *, one_line: bool
) -> Iterator[tuple[int, int]]:
    """The parts that begin with one of ``starts`` and end with ``closing``; each character is searched once."""
    end = line_end = -1
    done = 0
    for start in starts:
        after = start.end()
        if start.start() < done:
            continue
        if end < after:
            end = text.find(closing, after)
            if end < 0:
                return
        if one_line and line_end < after:
            line_end = text.find("\n", after)
            line_end = len(text) if line_end < 0 else line_end
        if end - after <= longest and not (one_line and end > line_end):
            done = end + len(closing)
            yield start.start(), done


def _inline_code(text: str) -> Iterator[tuple[int, int]]:
    """What stands between two runs of as many back-ticks, up to four, in one line."""
    opened: dict[int, re.Match[str]] = {}
    line_end = 0
    for run in _TICKS.finditer(text):
        if run.start() >= line_end:
            opened.clear()
            line_end = text.find("\n", run.start())
            line_end = len(text) if line_end < 0 else line_end
        length = len(run[0])
        if length > _LONGEST_FENCE:
            continue
        first = opened.get(length)
        if first is not None and run.start() - first.end() <= _LONGEST_CODE:
            opened.clear()
            yield first.start(), run.end()
        else:
            opened[length] = run


class _Spans:
    """Parts of a text, to be asked which one a position is in."""

    def __init__(self, *spans: Iterator[tuple[int, int]]) -> None:
        """Each of ``spans`` is in order."""
        self._starts = array("Q")
        self._ends = array("Q")
        for start, end in heapq.merge(*spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def end_of(self, position: int) -> int | None:
        """Where the part that holds ``position`` ends; parts that touch are one."""
        index = bisect_right(self._starts, position) - 1
        return self._ends[index] if index >= 0 and position < self._ends[index] else None
