"""Finds identifiers in running text: whole words, or words joined by signs, that fit a data set's pattern."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from application.engine.core.evidence import key_pattern
from application.engine.core.model import DatasetInfo

# Scripts that are written without spaces do not belong to an identifier that stands beside them.
_WORD = re.compile(r"[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_SPACE = re.compile(r"\s")
_MAX_WORDS = 8
_MAX_LENGTH = 200
_WINDOW = 2048
# What joins words so that a part of them is not an identifier: V-00001-2, file_V-00001, V-00001.pdf, x@V-00001.
_TIGHT = "-_.@"
_DASHES = "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_AS_TYPED = str.maketrans({**dict.fromkeys(_DASHES, "-"), **dict.fromkeys(_INVISIBLE, None)})
_CLOSING = ".,;:!?)]}>'\"*_"


@dataclass(frozen=True, slots=True)
class Found:
    """An identifier: ``key`` as it is looked up, its place, where a note about it goes, which data sets it fits."""

    key: str
    start: int
    end: int
    after: int
    fits: tuple[int, ...]


class Finder:
    """Finds keys of ``datasets``; the numbers in ``Found.fits`` are places in it."""

    def __init__(self, datasets: Sequence[DatasetInfo]) -> None:
        patterns = [key_pattern(dataset) for dataset in datasets]

        @lru_cache(maxsize=1 << 16)
        def fits(text: str) -> tuple[int, ...]:
            has_digit = any(char.isdecimal() for char in text)
            return tuple(
                index
                for index, pattern in enumerate(patterns)
                if (pattern.fullmatch(text) is not None if pattern is not None else has_digit and len(text) >= 3)
            )

        self._fits = fits

    def fits(self, key: str) -> tuple[int, ...]:
        """The data sets whose pattern a key fits."""
        return self._fits(key)

    def find(self, text: str) -> Iterator[Found]:
        """The identifiers in ``text`` in order, the longest that fits at each place; they do not overlap."""
        run = _Run(text, 0)
        for starts, ends in _chains(text):
            first = 0
            while first < len(starts):
                start = starts[first]
                last, key, fits = self._longest(text, starts, ends, first)
                if fits:
                    end = ends[last]
                    if start >= run.end:
                        run = _Run(text, start)
                    yield Found(key, start, end, run.note_place(start, end), fits)
                first = last + 1

    def _longest(self, text: str, starts: array[int], ends: array[int], first: int) -> tuple[int, str, tuple[int, ...]]:
        """The word with which the longest identifier ends that starts with word ``first``; the key, what it fits."""
        start = starts[first]
        for last in range(min(len(starts), first + _MAX_WORDS) - 1, first - 1, -1):
            end = ends[last]
            if end - start > _MAX_LENGTH:
                continue
            key = text[start:end].translate(_AS_TYPED)
            if (fits := self._fits(key)) and _stands_alone(text, start, end):
                return last, key, fits
        return first, "", ()


def _chains(text: str) -> Iterator[tuple[array[int], array[int]]]:
    """Starts and ends of words that are joined by one or two signs and no space.

    In arrays, as one chain may be as long as the text: objects would take a hundred times what the text does.
    """
    starts, ends = array("Q"), array("Q")
    for match in _WORD.finditer(text):
        start, end = match.span()
        if starts and (start - ends[-1] > 2 or _SPACE.search(text, ends[-1], start)):
            yield starts, ends
            starts, ends = array("Q"), array("Q")
        starts.append(start)
        ends.append(end)
    if starts:
        yield starts, ends


def _stands_alone(text: str, start: int, end: int) -> bool:
    joined_before = start > 1 and text[start - 1].translate(_AS_TYPED) in _TIGHT and text[start - 2].isalnum()
    joined_after = end + 1 < len(text) and text[end].translate(_AS_TYPED) in _TIGHT and text[end + 1].isalnum()
    return not joined_before and not joined_after


class _Run:
    """The text without white space around a place, looked at once for all identifiers in it."""

    def __init__(self, text: str, place: int) -> None:
        begin = place
        while begin > 0 and not text[begin - 1].isspace():
            window = text[max(0, begin - _WINDOW) : begin]
            begin -= len(window.rsplit(None, 1)[-1])
        space = _SPACE.search(text, place)
        self.end = space.start() if space else len(text)
        self._address = begin if text.startswith("www.", begin) else text.find("://", begin, self.end)
        self._last = self.end
        if self._address >= 0:
            while self._last > begin and text[self._last - 1] in _CLOSING:
                self._last -= 1

    def note_place(self, start: int, end: int) -> int:
        """Right after an identifier; after the whole of a web address that it is part of, which a note would break."""
        return max(end, self._last) if 0 <= self._address < start else end
