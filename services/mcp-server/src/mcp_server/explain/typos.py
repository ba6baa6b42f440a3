"""Keys that are one slip of a finger away, where the data set's keys are far enough apart for that to mean anything."""

import random
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from itertools import islice
from typing import Final

MOST_FALSE_PROPOSALS: Final = 0.007
"""Share of keys that nobody has, but that look like the data set's, which may get a proposal."""

LONGEST: Final = 40
"""Characters of a key that is looked at; longer ones are texts."""

MOST_CHARACTERS: Final = 40
"""Different characters that are tried in place of one; a data set whose keys have more has texts for keys."""

SAMPLES: Final = 2_000


class Slip(StrEnum):
    """What happened when the key was typed."""

    SWAPPED = "swapped"
    OTHER = "other"
    MISSING = "missing"
    EXTRA = "extra"


def meant(typed: str, characters: Sequence[str], slips: frozenset[Slip]) -> Iterator[tuple[str, Slip]]:
    """What may have been meant by `typed`: each text that one of `slips` turns into it, the likeliest slips first."""
    places = range(len(typed))
    if Slip.SWAPPED in slips:
        for place in places[:-1]:
            if typed[place] != typed[place + 1]:
                yield typed[:place] + typed[place + 1] + typed[place] + typed[place + 2 :], Slip.SWAPPED
    if Slip.EXTRA in slips:
        for place in places:
            if place == 0 or typed[place] != typed[place - 1]:
                yield typed[:place] + typed[place + 1 :], Slip.EXTRA
    if Slip.OTHER in slips:
        for place in places:
            before, after, here = typed[:place], typed[place + 1 :], typed[place]
            for character in characters:
                if character != here:
                    yield before + character + after, Slip.OTHER
    if Slip.MISSING in slips:
        for place in range(len(typed) + 1):
            before, after = typed[:place], typed[place:]
            for character in characters:
                if not after or character != after[0]:
                    yield before + character + after, Slip.MISSING


def slips_that_tell(
    keys: Sequence[str], characters: Sequence[str], known: Callable[[Sequence[str]], Sequence[bool]]
) -> frozenset[Slip]:
    """Which slips lead to a key by chance so rarely that a key they lead to was meant.

    Keys are made up that look like those of the data set, and count where a slip leads from them to a real one. The
    same data set has the same answer each time.

    Args:
        keys: A sample of the data set's keys, in the form in which `known` knows them.
        known: Whether each of some texts is a key.
    """
    chance = random.Random(0)  # noqa: S311 - guards nothing, and has to give the same each time
    at_places = _characters_at_places(keys)
    rates: dict[Slip, float] = {}
    for slip in Slip:
        made_up = [_made_up(at_places[len(chance.choice(keys))], slip, chance) for _ in range(SAMPLES)]
        made_up = [text for text, real in zip(made_up, known(made_up), strict=True) if not real]
        if not made_up:
            continue
        tried = [[text for text, _ in meant(each, characters, frozenset({slip}))] for each in made_up]
        hits = iter(known([text for texts in tried for text in texts]))
        false = sum(any(list(islice(hits, len(texts)))) for texts in tried)
        rates[slip] = false / len(made_up)
    told: set[Slip] = set()
    total = 0.0
    for slip in sorted(rates, key=lambda slip: (rates[slip], list(Slip).index(slip))):
        total += rates[slip]
        if total > MOST_FALSE_PROPOSALS:
            break
        told.add(slip)
    return frozenset(told)


def _characters_at_places(keys: Sequence[str]) -> dict[int, list[list[str]]]:
    """By the length of a key: the characters that keys of this length have at each place."""
    found: dict[int, list[set[str]]] = {}
    for key in keys:
        for characters, character in zip(found.setdefault(len(key), [set() for _ in key]), key, strict=True):
            characters.add(character)
    return {length: [sorted(characters) for characters in places] for length, places in found.items()}


def _made_up(at_places: Sequence[Sequence[str]], slip: Slip, chance: random.Random) -> str:
    """A text like a key; it has a character more, or fewer, where `slip` would lead to such a one."""
    characters = [chance.choice(each) for each in at_places]
    place = chance.randrange(len(characters))
    if slip is Slip.EXTRA:
        characters.insert(place, chance.choice(at_places[place]))
    elif slip is Slip.MISSING and len(characters) > 1:
        del characters[place]
    return "".join(characters)
