"""Explains keys that were not found in one data set, by the keys that are in it."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa

from common.causes import Cause
from mcp_server.explain.differences import ALL, READABLE, Difference, between, form, forms
from mcp_server.explain.numbers import WholeNumbers, has_fraction, whole_numbers
from mcp_server.explain.typos import LONGEST, MOST_CHARACTERS, Slip, meant, slips_that_tell
from mcp_server.hash_index import HashIndex

MOST_PROPOSALS: Final = 3
MOST_TYPO_CANDIDATES: Final = 2_000_000
"""Texts that are tried for the typos of one call: what is left over is not looked into, whatever the machine."""

LONGEST_NUMBER: Final = 18
SAMPLED_KEYS: Final = 20_000
LEAST_LENGTH: Final = 3
MOST_WORDS: Final = 8

_LETTERS_AROUND: Final = re.compile(r"^[^\W\d_]+|[^\W\d_]+$")
_WORDS: Final = re.compile(r"[^\W_]+")
_WORDING: Final = {
    Difference.WHITE_SPACE: "white space or invisible characters",
    Difference.LETTER_CASE: "capital and small letters",
    Difference.SEPARATORS: "separators",
    Difference.LEADING_ZEROS: "leading zeros",
    Difference.LOOK_ALIKES: "letters that look alike",
}
_SLIP_WORDING: Final = {
    Slip.SWAPPED: "two characters are swapped",
    Slip.OTHER: "one character is another",
    Slip.MISSING: "one character is missing",
    Slip.EXTRA: "there is one character too many",
}


_WEIGHT: Final = {difference: weight for weight, difference in enumerate(Difference)}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A key that may have been meant.

    Attributes:
        score: 0 to 100, by the kind of reason; 50 at most where other keys fit as well.
        reason: In words.
    """

    key: str
    score: int
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a key was not found, with at most three proposals, the likeliest first.

    Attributes:
        dataset: The data set that has the key, where it is another one.
    """

    cause: Cause
    proposals: tuple[Proposal, ...] = ()
    dataset: str | None = None


UNKNOWN: Final = Explanation(Cause.UNKNOWN)


class Explainer:
    """The keys of one version of a data set, indexed by how they may be written otherwise.

    Some 60 bytes a key besides its text. What it says depends on the keys alone, and is the same each time.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        """Index the keys, which are different, and not empty."""
        self._keys = pa.array(keys, pa.large_string())
        numbered = [(int(key), row) for row, key in enumerate(self._all()) if _is_number(key)]
        self._numbers = np.array(sorted(numbered), np.int64).reshape(-1, 2)
        self._written = HashIndex.of((text, row) for row, key in enumerate(self._all()) for text in forms(key, ALL))
        self._parts = HashIndex.of((text, row) for row, key in enumerate(self._all()) for text in _parts(key))
        self._readable = HashIndex.of((form(key, READABLE), row) for row, key in enumerate(self._all()))
        sample = [text for key in self._sampled() if 0 < len(text := form(key, READABLE)) <= LONGEST]
        self._characters = sorted({character for text in sample for character in text})
        tells = sample and len(self._characters) <= MOST_CHARACTERS
        self._slips = slips_that_tell(sample, self._characters, self._known) if tells else frozenset[Slip]()

    def explain(
        self,
        misses: Sequence[str],
        elsewhere: Callable[[str], str | None],
        named: Callable[[str], Sequence[tuple[str, float]]],
    ) -> list[Explanation]:
        """Explain keys that were not found, in their order.

        Args:
            elsewhere: The other data set that has a key.
            named: The keys of the rows with a name, and how alike the name is, 0 to 100.
        """

        def in_others(texts: Sequence[str]) -> Iterator[Explanation]:
            for dataset in map(elsewhere, texts):
                yield UNKNOWN if dataset is None else Explanation(Cause.OTHER_DATASET, dataset=dataset)

        def as_names(texts: Sequence[str]) -> Iterator[Explanation]:
            for hits in map(named, texts):
                proposals = (Proposal(key, int(score), "has this name") for key, score in hits[:MOST_PROPOSALS])
                yield Explanation(Cause.NAME, tuple(proposals)) if hits else UNKNOWN

        found = [UNKNOWN] * len(misses)
        certain = (self._as_numbers, self._as_written, in_others)
        for look in (*certain, self._as_parts, self._as_longer, self._as_typos, as_names):
            left = [place for place, explanation in enumerate(found) if explanation is UNKNOWN]
            for place, explanation in zip(left, look([misses[place] for place in left]), strict=True):
                found[place] = explanation
        return found

    def _as_numbers(self, misses: Sequence[str]) -> Iterator[Explanation]:
        for miss in misses:
            numbers = whole_numbers(miss)
            yield UNKNOWN if numbers is None else self._in_range(numbers)

    def _in_range(self, numbers: WholeNumbers) -> Explanation:
        if numbers.highest >= 10**LONGEST_NUMBER:
            return UNKNOWN
        start, end = np.searchsorted(self._numbers[:, 0], [numbers.lowest, numbers.highest + 1])
        keys = [self._key(row) for row in self._numbers[start : min(end, start + MOST_PROPOSALS + 1), 1].tolist()]
        if numbers.exact:
            return _proposed(Cause.NUMBER_FORMAT, keys, 98, "is the same number in another format")
        if len(keys) > MOST_PROPOSALS:
            return Explanation(Cause.NUMBER_FORMAT)
        return _proposed(Cause.NUMBER_FORMAT, keys, 90, "is this number, whose last digits were lost")

    def _as_written(self, misses: Sequence[str]) -> Iterator[Explanation]:
        for miss, keys in zip(misses, self._found(self._written, misses, lambda miss: forms(miss, ALL)), strict=True):
            # The mark of a decimal number is no separator: 1.10 is not 110.
            yield UNKNOWN if not keys or has_fraction(miss) else self._nearest(miss, keys)

    @staticmethod
    def _nearest(miss: str, keys: Iterable[str]) -> Explanation:
        nearest: list[str] = []
        fewest: tuple[tuple[int, int], frozenset[Difference]] | None = None
        for key in keys:
            differences = between(miss, key)
            if differences is None:
                continue
            rank = (len(differences), sum(map(_WEIGHT.__getitem__, differences)))
            if fewest is None or rank < fewest[0]:
                fewest, nearest = (rank, differences), [key]
            elif rank == fewest[0]:
                nearest.append(key)
        if fewest is None:
            return UNKNOWN
        differences = fewest[1]
        gravest = max(differences, key=_WEIGHT.__getitem__)
        words = " and ".join(_WORDING[each] for each in Difference if each in differences)
        return _proposed(Cause(gravest.value), nearest, 100 - 2 * len(differences), f"differs in {words} only")

    def _as_parts(self, misses: Sequence[str]) -> Iterator[Explanation]:
        """What is a part of a key: `17` for `V-00017`."""
        texts = [_plain_number(miss) for miss in misses]
        found = self._found(self._parts, texts, lambda text: (form(text, ALL),) if not has_fraction(text) else ())
        for text, keys in zip(texts, found, strict=True):
            part = form(text, ALL)
            fitting = [key for key in keys if _has_part(form(key, ALL), part)]
            yield _proposed(Cause.PREFIX_OR_SUFFIX, fitting, 90, "has more before or after it")

    def _as_longer(self, misses: Sequence[str]) -> Iterator[Explanation]:
        """What holds a key among other words: `V-00017 (Acme)`."""
        for miss in misses:
            parts = [part for part in _within(miss) if len(part) >= LEAST_LENGTH]
            found = self._readable.few([form(part, READABLE) for part in parts])
            keys = [
                key
                for part, rows in zip(parts, found, strict=True)
                for key in map(self._key, rows)
                if form(key, READABLE) == form(part, READABLE)
            ]
            longest = max(map(len, keys), default=0)
            keys = [key for key in dict.fromkeys(keys) if len(key) == longest]
            yield _proposed(Cause.PREFIX_OR_SUFFIX, keys, 88, "stands in it among other characters")

    def _as_typos(self, misses: Sequence[str]) -> Iterator[Explanation]:
        tried = 0
        for miss in misses:
            typed = form(miss, READABLE)
            if not self._slips or not LEAST_LENGTH <= len(typed) <= LONGEST or tried > MOST_TYPO_CANDIDATES:
                yield UNKNOWN
                continue
            candidates = list(meant(typed, self._characters, self._slips))
            tried += len(candidates)
            yield self._typo(candidates)

    def _typo(self, candidates: Sequence[tuple[str, Slip]]) -> Explanation:
        texts = [text for text, _ in candidates]
        places = self._readable.holds(texts).tolist()
        slips: dict[str, Slip] = {}
        for place, rows in zip(places, self._readable.few([texts[place] for place in places]), strict=True):
            for key in map(self._key, rows):
                if form(key, READABLE) == texts[place]:
                    slips.setdefault(key, candidates[place][1])
        score = 80 if len(slips) == 1 else 50
        proposals = (Proposal(key, score, _SLIP_WORDING[slip]) for key, slip in slips.items())
        return Explanation(Cause.TYPO, tuple(islice(proposals, MOST_PROPOSALS))) if slips else UNKNOWN

    def _found(self, index: HashIndex, texts: Sequence[str], formed: Callable[[str], Sequence[str]]) -> list[list[str]]:
        """For each text the keys that the index has for any of its forms."""
        asked = [(place, one) for place, text in enumerate(texts) for one in formed(text)]
        rows = index.few([one for _, one in asked])
        taken = pa.array([row for some in rows for row in some], pa.int64())
        keys = iter(self._keys.take(taken).to_pylist())
        found: list[list[str]] = [[] for _ in texts]
        for (place, _), some in zip(asked, rows, strict=True):
            for key in islice(keys, len(some)):
                if key not in found[place]:
                    found[place].append(key)
        return found

    def _known(self, texts: Sequence[str]) -> list[bool]:
        known = np.zeros(len(texts), bool)
        known[self._readable.holds(texts)] = True
        return known.tolist()

    def _key(self, row: int) -> str:
        key: str = self._keys[row].as_py()
        return key

    def _all(self) -> Iterator[str]:
        for start in range(0, len(self._keys), 10_000):
            yield from self._keys.slice(start, 10_000).to_pylist()

    def _sampled(self) -> Iterator[str]:
        step = max(1, len(self._keys) // SAMPLED_KEYS)
        return (self._key(row) for row in range(0, len(self._keys), step))


def _proposed(cause: Cause, keys: Sequence[str], score: int, reason: str) -> Explanation:
    """The keys with their reason; none is likelier than the others."""
    if not keys:
        return UNKNOWN
    alone = len(keys) == 1
    proposals = (Proposal(key, score if alone else 50, reason) for key in keys[:MOST_PROPOSALS])
    return Explanation(cause, tuple(proposals))


def _is_number(key: str) -> bool:
    return len(key) <= LONGEST_NUMBER and key.isascii() and key.isdigit()


def _plain_number(text: str) -> str:
    numbers = whole_numbers(text)
    return text if numbers is None or not numbers.exact else str(numbers.lowest)


def _parts(key: str) -> set[str]:
    """Forms of what is left of a key without the letters around it, and of its last word."""
    readable = form(key, READABLE)
    words = _WORDS.findall(key)
    parts = {_LETTERS_AROUND.sub("", readable), *words[-1:]} - {readable}
    return {form(part, ALL) for part in parts if len(part) >= LEAST_LENGTH or any(map(str.isdigit, part))}


def _has_part(key: str, part: str) -> bool:
    return key != part and (key.startswith(part) or key.endswith(part))


def _within(text: str) -> Iterator[str]:
    """Parts of a text that may be a key: words that stand together, and each word without the letters around it."""
    words = list(islice(_WORDS.finditer(text), MOST_WORDS))
    for start, first in enumerate(words):
        for last in words[start:]:
            if (start, last) != (0, words[-1]):
                yield text[first.start() : last.end()]
    for word in words:
        if (left := _LETTERS_AROUND.sub("", word[0])) != word[0]:
            yield left
