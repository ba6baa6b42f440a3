"""Fuzzy search over the texts of a data set: order of words, spelling, case and accents may differ.

A search scans no texts. The index keeps each different word once, with the texts that have it, and for each pair of
letters the words that have that pair. The search compares each word of the query with the words that share most pairs
with it, and adds up the scores of their texts. Every step has a limit, so no query costs more than the limits allow.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

MAX_WORDS: Final = 16
"""Different words of a query that count: the most repeated ones, then the first ones."""

LETTERS_COMPARED: Final = 32
"""Letters of a word that count; longer words are numbers or texts without blanks."""

TEXT_COMPARED: Final = 256
"""Letters of a text that count for how alike it is as a whole."""

WORDS_COMPARED: Final = 320
"""Words that the words of one query are compared with."""

WORDS_LOOKED_AT: Final = 24_000
"""Most entries of the lists of pairs that are read for one query, the rarest pairs first."""

PLACES_SCORED: Final = 200_000
"""Most entries of the lists of places that are read for one query, those of the most similar words first."""

LEAST_PAIRS: Final = 0.35
"""Share of pairs in common below which two words are not compared."""

LEAST_LIKENESS: Final = 45
"""Likeness of two words, of 100, below which they have nothing to do with each other."""

RANKED_AGAIN: Final = 50
"""Texts more than asked for that are compared as a whole."""

WORDS_WEIGHT, WHOLE_WEIGHT = 0.8, 0.2

# Letters that Unicode does not take apart; and what is inside a word (O'Neill) or an abbreviation (S.A.).
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "'": "", "\u2019": "", ".": ""}
)
_WORDS = re.compile(r"\w+")
_PASSAGE_ENDS = re.compile(r"(?<=[.;!?])\s+|\n+")

Places = NDArray[np.int32]
_NOWHERE: Places = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that is like the query.

    Attributes:
        score: 0 to 100.
        text: What was found, as it is in the data.
    """

    key: str
    score: float
    text: str


def normal(text: str) -> str:
    """`text` as it is compared: lower case, no accents, words with single blanks between them."""
    folded = text.casefold()
    if not folded.isascii():
        decomposed = unicodedata.normalize("NFKD", folded)
        folded = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(_WORDS.findall(folded.translate(_PLAIN)))


class TextIndex:
    """Texts with their keys; texts that are alike when compared are compared once."""

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        """Take pairs of key and text; a text without a word is left out."""
        self._entries: list[list[tuple[str, str]]] = []
        self._texts: list[str] = []
        known: dict[str, int] = {}
        numbers: dict[str, int] = {}
        words_of_texts: list[int] = []
        lengths: list[int] = []
        for key, text in entries:
            if not (compared := normal(text)):
                continue
            place = known.setdefault(compared, len(known))
            if place < len(self._entries):
                self._entries[place].append((key, text))
                continue
            self._entries.append([(key, text)])
            self._texts.append(compared[:TEXT_COMPARED])
            found = {numbers.setdefault(word[:LETTERS_COMPARED], len(numbers)) for word in compared.split()}
            words_of_texts.extend(found)
            lengths.append(len(found))
        self._numbers = numbers
        self._words = list(numbers)
        self._places = _inverted(words_of_texts, lengths, len(numbers))
        self._pairs, self._pair_counts = _by_pairs(self._words)

    @classmethod
    def of_lines(cls, texts: Iterable[tuple[str, Sequence[str]]]) -> "TextIndex":
        """One entry for each key: all its texts in one line."""
        return cls((key, " ".join(parts)) for key, parts in texts)

    @classmethod
    def of_passages(cls, texts: Iterable[tuple[str, Sequence[str]]]) -> "TextIndex":
        """One entry for each sentence of a key's texts."""
        return cls((key, passage) for key, parts in texts for part in parts for passage in _PASSAGE_ENDS.split(part))

    def search(self, query: str, limit: int, least_score: float) -> list[Hit]:
        """The keys whose texts are most like the query, best first, each once.

        Takes at most 5 ms of CPU for 24,000 texts, whatever the query is.
        """
        words = normal(query).split()
        weights = dict(Counter(word[:LETTERS_COMPARED] for word in words).most_common(MAX_WORDS))
        if not weights or not self._texts:
            return []
        scores = self._scores(weights)
        candidates = np.flatnonzero(scores >= least_score - 100 * WHOLE_WEIGHT)
        wanted = limit + RANKED_AGAIN
        if len(candidates) > wanted:
            # Of equal scores the first places stay, so that the same query has the same answer.
            worst = np.partition(scores[candidates], len(candidates) - wanted)[len(candidates) - wanted]
            better = candidates[scores[candidates] > worst]
            equal = candidates[scores[candidates] == worst][: wanted - len(better)]
            candidates = np.sort(np.concatenate((better, equal)))
        if not len(candidates):
            return []
        whole = process.cdist(
            [" ".join(words)[:TEXT_COMPARED]],
            [self._texts[place] for place in candidates],
            scorer=fuzz.token_sort_ratio,
            dtype=np.float32,
            workers=1,
        )[0]
        totals = scores[candidates] + np.float32(WHOLE_WEIGHT) * whole
        best: dict[str, Hit] = {}
        for rank in np.lexsort((candidates, -totals)):
            if totals[rank] < least_score:
                break
            for key, text in self._entries[candidates[rank]]:
                best.setdefault(key, Hit(key, float(totals[rank]), text))
                if len(best) == limit:
                    return list(best.values())
        return list(best.values())

    def _scores(self, weights: Mapping[str, int]) -> NDArray[np.float32]:
        """For each text how much its words are like those of the query, of `100 * WORDS_WEIGHT`."""
        total = np.zeros(len(self._texts), np.float32)
        scored = PLACES_SCORED // len(weights)
        shares = WORDS_WEIGHT / sum(weights.values())
        best = np.zeros(len(self._texts), np.float32)
        for word, weight in weights.items():
            numbers, likeness = self._similar(word, 1 / len(weights))
            written: list[Places] = []
            room = scored
            for number in numbers:
                places = self._places[number]
                if written and len(places) > room:
                    break
                room -= len(places)
                written.append(places)
            # The most similar word of a text counts, so it is written last.
            for places, value in zip(reversed(written), likeness[: len(written)][::-1], strict=True):
                best[places] = value
            total += best * np.float32(weight * shares)
            for places in written:
                best[places] = 0
        return total

    def _similar(self, word: str, part: float) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Words that are like `word`, and how much, the most similar first; for `part` of what a query may cost."""
        numbers = self._sharing_pairs(word, int(WORDS_LOOKED_AT * part), int(WORDS_COMPARED * part))
        likeness = process.cdist(
            [word], [self._words[number] for number in numbers], scorer=fuzz.ratio, dtype=np.float32, workers=1
        )[0]
        if (same := self._numbers.get(word)) is not None:
            # However common its pairs are.
            numbers, likeness = np.append(numbers, np.int32(same)), np.append(likeness, np.float32(100))
        order = np.argsort(-likeness, kind="stable")
        order = order[likeness[order] >= LEAST_LIKENESS]
        return numbers[order], likeness[order]

    def _sharing_pairs(self, word: str, looked_at: int, most: int) -> NDArray[np.int32]:
        """`most` words that share most pairs with `word`, as far as `looked_at` entries of lists tell."""
        pairs = _pairs_of(word)
        read: list[Places] = []
        for found in sorted((self._pairs.get(pair, _NOWHERE) for pair in pairs), key=len):
            read.append(found[:looked_at])
            looked_at -= len(found)
            if looked_at <= 0:
                break
        numbers, common = np.unique(np.concatenate(read), return_counts=True)
        # Dice's coefficient, were the lists that were not read as those that were.
        shares = 2 * common / (self._pair_counts[numbers] + len(pairs)) * (len(pairs) / len(read))
        near = shares >= LEAST_PAIRS
        numbers, shares = numbers[near], shares[near]
        if len(numbers) > most:
            numbers = numbers[np.argpartition(-shares, most)[:most]]
        return numbers


def _pairs_of(word: str) -> set[str]:
    """Each letter with the one after it; the first and the last also with the word's end."""
    padded = f" {word} "
    return {padded[start : start + 2] for start in range(len(padded) - 1)}


def _inverted(items: Sequence[int], lengths: Sequence[int], count: int) -> list[Places]:
    """For each of `count` items the places of the lists that have it; the lists come as one, with their lengths."""
    flat = np.asarray(items, np.int32)
    places = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    order = np.argsort(flat, kind="stable")
    ends = np.cumsum(np.bincount(flat, minlength=count))
    return np.split(places[order], ends[:-1]) if count else []


def _by_pairs(words: Sequence[str]) -> tuple[dict[str, Places], NDArray[np.int32]]:
    """For each pair of letters the numbers of the words that have it; and how many different pairs each word has."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    counts = np.empty(len(words), np.int32)
    for number, word in enumerate(words):
        pairs = _pairs_of(word)
        counts[number] = len(pairs)
        for pair in pairs:
            found[pair].append(number)
    return {pair: np.asarray(numbers, np.int32) for pair, numbers in found.items()}, counts
