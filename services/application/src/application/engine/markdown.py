"""The parts of Markdown that a note would break: code, addresses, HTML, front matter."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_FENCE = re.compile(r" {0,3}(?:> ?)*(`{3,}|~{3,})")
_INLINE_CODE = re.compile(r"(?<!`)(`{1,4})(?!`)[^`\n](?:[^\n]{0,1000}?[^`\n])??\1(?!`)")
_UNTOUCHABLE = re.compile(
    r"\]\([^)\n]{0,2000}\)"  # [text](address)
    r"|^ {0,3}\[[^\]\n]{1,200}\]:[^\n]*"  # [name]: address
    r"|<!--(?s:.{0,5000}?)-->"
    r"|</?[A-Za-z][^>\n]{0,1000}>",  # <tag>, <https://address>
    re.MULTILINE,
)
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
        untouchable = _Spans([*self._blocks(text), *(match.span() for match in _UNTOUCHABLE.finditer(text))])
        code = _Spans([match.span() for match in _INLINE_CODE.finditer(text)])
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


class _Spans:
    """Parts of a text, to be asked which one a position is in."""

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def end_of(self, position: int) -> int | None:
        """Where the part that holds ``position`` ends; parts that touch are one."""
        index = bisect_right(self._starts, position) - 1
        return self._ends[index] if index >= 0 and position < self._ends[index] else None
