"""Keys that were not found are explained, by the tool and with the keys of one data set."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.causes import DESCRIPTIONS, Cause
from mcp_server.explain.explainer import Explainer, Explanation
from mcp_server.toolsets.explain import MAX_KEYS

if TYPE_CHECKING:
    from conftest import Running

CORRUPTED = 4_000
LOOK_ALIKES = str.maketrans({"0": "O", "1": "l", "C": "\u0421", "V": "\u0474", "A": "\u0410", "7": "\uff17"})

Corrupt = Callable[[str, random.Random], str]


def vendors() -> list[str]:
    return [f"V-{number:05}" for number in range(1, 5_001)]


def articles() -> list[str]:
    """Numbers of ten digits, a few with leading zeros."""
    chance = random.Random(1)
    return sorted({f"{chance.randrange(10 ** chance.choice([8, 10, 10])):010}" for _ in range(50_000)})


def customers() -> list[str]:
    chance = random.Random(2)
    letters = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
    return sorted({"C-" + "".join(chance.choices(letters, k=8)) for _ in range(50_000)})


DATA_SETS = {made.__name__: made for made in (vendors, articles, customers)}


@pytest.fixture(scope="module", params=DATA_SETS)
def keys(request: pytest.FixtureRequest) -> list[str]:
    return DATA_SETS[request.param]()


@pytest.fixture(scope="module")
def explainer(keys: list[str]) -> Explainer:
    return Explainer(keys)


def explained(explainer: Explainer, misses: Sequence[str]) -> list[Explanation]:
    """In portions, as the tool takes them."""
    portions = (misses[start : start + MAX_KEYS] for start in range(0, len(misses), MAX_KEYS))
    return [one for portion in portions for one in explainer.explain(portion, lambda _: None, lambda _: ())]


def _split(key: str, chance: random.Random) -> tuple[str, str]:
    place = chance.randrange(1, len(key))
    return key[:place], key[place:]


def white_space(key: str, chance: random.Random) -> str:
    return chance.choice([" ", "\u00a0", "\u200b", "\ufeff", "\u00ad", "\t", "\u202a"]).join(_split(key, chance))


def letter_case(key: str, _: random.Random) -> str:
    return key.lower()


def separators(key: str, chance: random.Random) -> str:
    other = chance.choice(["", "_", "/", "\u2013"])
    return key.replace("-", other) if "-" in key else (other or "-").join(_split(key, chance))


def leading_zeros(key: str, _: random.Random) -> str:
    return re.sub("(?<![0-9])0+(?=[0-9])", "", key)


def look_alikes(key: str, _: random.Random) -> str:
    return key.translate(LOOK_ALIKES)


def number_format(key: str, chance: random.Random) -> str:
    if not key.isdigit():
        return key
    return chance.choice([f"{int(key)}.0", f"{int(key):,}", f"{int(key):,}".replace(",", "."), f"{int(key)},00"])


def prefix_or_suffix(key: str, chance: random.Random) -> str:
    return chance.choice([f"{key} (Acme GmbH)", f"no. {key}", f"{key}/2026", key.rpartition("-")[2]])


def several(key: str, chance: random.Random) -> str:
    for corrupt in chance.sample([letter_case, separators, look_alikes], 2):
        key = corrupt(key, chance)
    return white_space(leading_zeros(key, chance), chance)


MECHANICAL = (white_space, letter_case, separators, leading_zeros, look_alikes, number_format, prefix_or_suffix)


def corrupted(keys: Sequence[str], corrupt: Corrupt) -> list[tuple[str, str]]:
    """Pairs of a key and what became of it, as far as it is no key any more."""
    chance, known = random.Random(3), set(keys)
    pairs = [(key, corrupt(key, chance)) for key in chance.choices(keys, k=CORRUPTED)]
    return [(key, miss) for key, miss in pairs if miss.strip() not in known]


@pytest.mark.parametrize("corrupt", [*MECHANICAL, several], ids=lambda corrupt: corrupt.__name__)
def test_what_a_program_did_to_a_key_is_undone_and_named(
    corrupt: Corrupt, keys: list[str], explainer: Explainer
) -> None:
    pairs = corrupted(keys, corrupt)
    found = explained(explainer, [miss for _, miss in pairs])
    firsts = [each.proposals[0].key if each.proposals else None for each in found]
    right = sum(first == key for first, (key, _) in zip(firsts, pairs, strict=True))
    wrong = sum(first not in {key, None} for first, (key, _) in zip(firsts, pairs, strict=True))
    assert right >= 0.98 * len(pairs)
    assert wrong <= 0.001 * len(pairs)
    if corrupt is not several:
        causes = Counter(each.cause for each in found)
        assert causes[Cause(corrupt.__name__)] >= 0.98 * len(pairs)


def slipped(key: str, chance: random.Random) -> str:
    """One slip of a finger, anywhere behind the first two characters."""
    place, other = chance.randrange(2, len(key) - 1), chance.choice("0123456789")
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    return chance.choice(
        [
            swapped,
            key[:place] + other + key[place + 1 :],
            key[:place] + key[place + 1 :],
            key[:place] + other + key[place:],
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("made", [articles, customers], ids=lambda made: made.__name__)
def test_the_key_that_was_meant_is_among_the_proposals_for_a_typo(made: Callable[[], list[str]]) -> None:
    keys = made()
    pairs = corrupted(keys, slipped)
    found = explained(Explainer(keys), [miss for _, miss in pairs])
    among = sum(key in [each.key for each in one.proposals] for one, (key, _) in zip(found, pairs, strict=True))
    assert among >= 0.9 * len(pairs)


@pytest.mark.slow
def test_a_key_that_nobody_has_gets_no_proposal(keys: list[str], explainer: Explainer) -> None:
    chance, known = random.Random(4), set(keys)
    letters = [character for character in "ABCDEFGHJKMNPQRSTUVWXYZ" if any(character in key[2:] for key in keys[:500])]

    def made_up(key: str) -> str:
        rest = (chance.choice("0123456789") if each.isdigit() else chance.choice(letters) for each in key[2:])
        return key[:2] + "".join(rest)

    misses = [miss for key in chance.choices(keys, k=CORRUPTED) if (miss := made_up(key)) not in known]
    proposed = [one for one in explained(explainer, misses) if one.proposals]
    assert len(proposed) <= 0.01 * len(misses)


def test_typos_are_not_guessed_where_any_key_is_one_slip_away_from_another() -> None:
    # A twentieth of all numbers are vendors: 90 numbers are one slip away from any of them.
    (found,) = explained(Explainer(vendors()), ["V-98765"])
    assert found == Explanation(Cause.UNKNOWN)


@pytest.mark.parametrize(
    ("miss", "cause", "proposed"),
    [
        pytest.param("1.23457E+11", "number_format", ["123456789012"], id="digits that a spreadsheet cut"),
        pytest.param("1234567890123450000", "unknown", [], id="too long a number"),
        pytest.param("12.50", "unknown", [], id="a decimal number is no identifier with a dot"),
        pytest.param("7.0", "number_format", ["007"], id="a whole number as a decimal one"),
        pytest.param("1.100", "number_format", ["1100"], id="thousands with a dot"),
        pytest.param("A1002", "separators", ["A-1-002"], id="separators before zeros"),
        pytest.param("A-1-2", "leading_zeros", ["A-1-002"], id="zeros within"),
        pytest.param("", "unknown", [], id="nothing"),
        pytest.param("---", "unknown", [], id="separators alone"),
        pytest.param("\u200b", "unknown", [], id="invisible characters alone"),
        pytest.param("\U0001f600", "unknown", [], id="a picture"),
        pytest.param("x" * 100_000, "unknown", [], id="a long text"),
        pytest.param("1" * 100_000, "unknown", [], id="a long number"),
        pytest.param("1" + "0" * 100_000, "unknown", [], id="a long round number"),
        pytest.param("ab", "letter_case", ["AB", "Ab"], id="two keys that fit as well"),
    ],
)
def test_special_cases(miss: str, cause: str, proposed: Sequence[str]) -> None:
    explainer = Explainer(["123456789012", "223456789012", "007", "1100", "1250", "A-1-002", "AB", "Ab"])
    (found,) = explained(explainer, [miss])
    assert (found.cause.value, [each.key for each in found.proposals]) == (cause, list(proposed))
    assert all(each.score <= 50 for each in found.proposals) or len(found.proposals) == 1


def documented() -> list[tuple[str, str, str]]:
    """The rows of the table in docs/files.md: cause, what is in the file, what is in the data set."""
    page = (Path(__file__).parents[3] / "docs/files.md").read_text()
    section = page.partition("## Keys that were not found")[2].partition("\n## ")[0]
    return re.findall(r"^\| ([a-z ,]+?) \| `(.+?)` \| `(.+?)` \|$", section, re.MULTILINE)


@pytest.mark.parametrize(("cause", "miss", "key"), documented())
def test_documented_causes(cause: str, miss: str, key: str) -> None:
    chance = random.Random(5)
    others = ("".join(chance.choices("ABCDEFGHJKMNPQRSTUVWXYZ23456789", k=9)) for _ in range(500))
    explainer = Explainer([*(key for _, _, key in documented()), *(f"CUST-{other}" for other in others)])
    (found,) = explained(explainer, [miss])
    assert (DESCRIPTIONS[found.cause].lower(), [each.key for each in found.proposals]) == (cause, [key])


async def causes(running: "Running", keys: Iterable[str]) -> list[tuple[str | None, str | None, list[str]]]:
    content = await running.call("finance_explain_keys", {"dataset": "vendors", "keys": list(keys)})
    return [(each["cause"], each["dataset"], [one["key"] for one in each["proposals"]]) for each in content["keys"]]


async def test_the_tool_explains_each_key_in_its_place(finance: "Running") -> None:
    found = await causes(finance, ["v-00001", "V-00001", "EUR", "V1", "nonsense", "  "])
    assert found == [
        ("letter_case", None, ["V-00001"]),
        (None, None, []),
        ("other_dataset", "rates", []),
        ("leading_zeros", None, ["V-00001"]),
        ("unknown", None, []),
        (None, None, []),
    ]


async def test_a_name_leads_to_its_key_by_columns_that_the_caller_sees(finance: "Running") -> None:
    vendor = (await finance.call("finance_lookup_vendors", {"keys": ["V-00001"]}, "finance"))["rows"][0]
    ((cause, _, proposed),) = await causes(finance, [vendor["values"]["name"]])
    assert (cause, proposed[0]) == ("name", "V-00001")


async def test_a_data_set_that_is_not_there_is_named(finance: "Running") -> None:
    said = await finance.refused("finance_explain_keys", {"dataset": "payroll", "keys": ["x"]})
    assert "there are vendors, rates" in said
