"""How much speaks for a column being a key into a data set: its name and its values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from application.engine.core.model import DatasetInfo
from common.patterns import InvalidPattern, compile_pattern

CERTAIN = 0.6
POSSIBLE = 0.3

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_KEY_WORDS = {"id", "no", "nr", "number", "key", "code", "ref", "reference"}
# What many columns hold that are no keys: a pattern that takes these says nothing about where values come from.
_COMMON_VALUES = ("7", "42", "100", "2026", "12345", "1234567", "19.99", "2026-11-23", "EUR", "DE", "Smith", "yes")


@dataclass(frozen=True, slots=True)
class Evidence:
    """``score`` from 0 to 1, and sentences for people."""

    score: float
    sentences: tuple[str, ...]


def words(name: str) -> tuple[str, ...]:
    """The words of a name: the same for ``Vendor ID``, ``vendorId``, ``VENDOR-ID`` and ``vendor_id``."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return tuple(word.casefold() for word in _WORD.findall(plain))


def key_pattern(dataset: DatasetInfo) -> Any:
    """The pattern of the data set's keys; nothing if there is none or it is not valid."""
    try:
        return compile_pattern(dataset.pattern) if dataset.pattern else None
    except InvalidPattern:
        return None


def weigh(column: str, values: Sequence[str], dataset: DatasetInfo) -> Evidence:
    """What speaks for ``column``, whose non-empty sample ``values`` are given, being a key into ``dataset``."""
    score, sentences = _weigh_name(column, dataset)
    pattern = key_pattern(dataset)
    if pattern is None or not values:
        return Evidence(score, sentences)
    hits = sum(pattern.search(value) is not None for value in values)
    share = hits / len(values)
    example = next((value for value in values if pattern.search(value)), "")
    found = f"{hits:,} of {len(values):,} values look like keys of {dataset.ref}"
    if share >= 0.8:
        found += f", for example {example[:80]}"
        if score or not any(pattern.search(value) for value in _COMMON_VALUES):
            return Evidence(min(1.0, max(score, 0.75) + 0.1), (*sentences, found))
        return Evidence(POSSIBLE, (f"{found}, but other things look like that too",))
    if share >= 0.3:
        return Evidence(score or POSSIBLE, (*sentences, found))
    if not score:
        return Evidence(0.0, ())
    return Evidence(max(0.0, score - 0.5), (*sentences, f"but only {found}"))


def _weigh_name(column: str, dataset: DatasetInfo) -> tuple[float, tuple[str, ...]]:
    ref = dataset.ref
    if column == dataset.key:
        return 1.0, (f"the name is the key of {ref}",)
    if column in dataset.aliases:
        return 0.95, (f"the name is an alias of {ref}",)
    own = words(column)
    if not own:
        return 0.0, ()
    joined = "".join(own)
    for known, kind in ((dataset.key, "key"), *((alias, "alias") for alias in dataset.aliases)):
        if joined == "".join(words(known)):
            return 0.9, (f"the name means {known}, the {kind} of {ref}",)
    plain = [word for word in own if word not in _KEY_WORDS] or list(own)
    name = words(ref.dataset)
    if tuple(plain) in {name, (*name[:-1], name[-1].removesuffix("s"))}:
        return 0.75, (f"the name says {ref.dataset}",)
    for known, kind in ((dataset.key, "key"), *((alias, "alias") for alias in dataset.aliases)):
        known_words = words(known)
        telling = any(word not in _KEY_WORDS and len(word) >= 4 for word in known_words)
        if telling and own[-len(known_words) :] == known_words:
            return 0.7, (f"the name ends in {known}, the {kind} of {ref}",)
    return 0.0, ()
