"""Fuzzy search over the texts of a data set: order of words, spelling, case and accents may differ."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from rapidfuzz import fuzz, process

CANDIDATES = 20
"""How many more candidates than asked for are ranked again."""

# Letters that Unicode does not take apart; and what is inside a word (O'Neill) or an abbreviation (S.A.).
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "'": "", "\u2019": "", ".": ""}
)
_WORDS = re.compile(r"\w+")
_PASSAGE_ENDS = re.compile(r"(?<=[.;!?])\s+|\n+")


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
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    return " ".join(_WORDS.findall(plain.translate(_PLAIN)))


class TextIndex:
    """Texts with their keys, made ready to be compared; what is alike when compared is compared once."""

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        """Take pairs of key and text; a text without a word is left out."""
        self._keys: list[str] = []
        self._texts: list[str] = []
        self._places: dict[str, int] = {}
        self._alike: dict[int, list[int]] = {}  # further places of what is at a place already
        for key, text in entries:
            if not (compared := normal(text)):
                continue
            place = len(self._keys)
            self._keys.append(key)
            self._texts.append(text)
            first = self._places.setdefault(compared, place)
            if first != place:
                self._alike.setdefault(first, []).append(place)
        self._normal = list(self._places)

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

        Takes about 1.5 ms for 1,000 texts, most of it without the interpreter's lock: call it from a thread.
        """
        wanted = normal(query)
        if not wanted:
            return []
        # Texts are many and hits are few: a quick score picks the candidates, a careful one ranks them.
        # `cdist` lets other threads run meanwhile, as `extract` does not, at the same cost.
        scores = process.cdist(
            [wanted], self._normal, scorer=fuzz.WRatio, score_cutoff=least_score, dtype=np.float64, workers=1
        )[0]
        candidates = np.flatnonzero(scores)
        best_first = candidates[np.lexsort((candidates, -scores[candidates]))]
        ranked = [(_score(wanted, self._normal[place]), int(place)) for place in best_first[: limit * CANDIDATES]]
        ranked.sort(key=lambda candidate: (-candidate[0], candidate[1]))
        best: dict[str, Hit] = {}
        for score, place in ranked:
            if score < least_score or len(best) >= limit:
                break
            first = self._places[self._normal[place]]
            for found in (first, *self._alike.get(first, ())):
                best.setdefault(self._keys[found], Hit(self._keys[found], score, self._texts[found]))
        return list(islice(best.values(), limit))


def _score(query: str, text: str) -> float:
    # Each word of the query is compared with the word of the text that is most like it; the likeness of the whole
    # decides between texts that have all the words.
    words = text.split()
    likeness = [max(fuzz.ratio(word, other) for other in words) for word in query.split()]
    return 0.8 * sum(likeness) / len(likeness) + 0.2 * fuzz.token_sort_ratio(query, text)
