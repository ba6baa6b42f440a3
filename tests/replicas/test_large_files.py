"""A CSV of 200 MB in the chat: none of it stays in the memory of any replica."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.frontend.person import People
from tests.frontend.site import Site
from tests.frontend.test_large_files import AT_WORK_SECONDS, MOST_GROWTH_BYTES, Memory, came_back_whole, large

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

__all__ = ["large"]


def test_200_mb_in_the_chat_do_not_pass_through_langflows_memory(
    people: People, site: Site, large: Path, report_figure: Callable[[str], None]
) -> None:
    person = people("alice")
    person.open_chat()
    memory = Memory(site)
    person.attach(large, seconds=AT_WORK_SECONDS)
    grown = memory.growth()
    report_figure(
        f"memory of a replica of the page: {memory.before / 1e6:.0f} MB resident; "
        f"at most {grown / 1e6:.0f} MB more while {large.stat().st_size / 1e6:.0f} MB were attached in the chat"
    )
    assert grown < MOST_GROWTH_BYTES
    person.write()
    person.is_answered(large.name, seconds=AT_WORK_SECONDS)
    assert memory.growth() < MOST_GROWTH_BYTES, "nor while it was enriched"
    came_back_whole(person, "large.enriched.csv")
    person.look("200 MB")
