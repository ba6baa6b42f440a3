"""Followers of a job cost one look at the table between them, however many they are."""

import asyncio
from typing import cast

import pytest

from application.jobs.following import Following
from application.records import Job

FOLLOWERS = 150


class Table:
    """Gives out states one after the other; the last one means that the job is gone."""

    def __init__(self, *states: str | Exception) -> None:
        self._left = list(states)
        self.looks = 0

    async def look(self) -> Job | None:
        self.looks += 1
        await asyncio.sleep(0)
        if not self._left:
            return None
        state = self._left.pop(0)
        if isinstance(state, Exception):
            raise state
        return cast("Job", state)


async def _follow(following: Following, table: Table) -> list[object]:
    seen: list[object] = []
    with following.follow("job", table.look) as followed:
        while (present := await followed.next()) is not None:
            seen.append(present)
    return seen


async def test_all_followers_of_a_job_share_one_look_at_a_time() -> None:
    following, table = Following(0.01), Table("queued", "running", "succeeded")
    seen = await asyncio.gather(*(_follow(following, table) for _ in range(FOLLOWERS)))
    assert seen == [["queued", "running", "succeeded"]] * FOLLOWERS
    assert table.looks == 4


async def test_nobody_looks_after_the_last_follower_has_left() -> None:
    following, table = Following(0.01), Table(*["running"] * 1000)
    others = asyncio.all_tasks()
    followers = [asyncio.create_task(_follow(following, table)) for _ in range(3)]
    with following.follow("job", table.look) as followed:
        await followed.next()
    for task in followers:
        task.cancel()
    await asyncio.wait(followers)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() <= others


async def test_an_error_reaches_all_followers_and_ends_nothing_for_later_ones() -> None:
    following, table = Following(0.01), Table("running", ValueError("not a job"), "succeeded")
    followers = [asyncio.create_task(_follow(following, table)) for _ in range(3)]
    for task in followers:
        with pytest.raises(ValueError, match="not a job"):
            await task
    assert await _follow(following, table) == ["succeeded"]
