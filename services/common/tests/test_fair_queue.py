"""A subject with many requests holds up no other: turns go round, and a subject has a limit of its own."""

import asyncio
from collections import Counter

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from common.fair_queue import FairQueue, Turn


async def queued(queue: FairQueue, subject: str) -> asyncio.Task[Turn]:
    task = asyncio.create_task(queue.turn(subject))
    await asyncio.sleep(0)
    return task


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_one_request_waits_for_one_turn_and_not_for_the_hundred_before_it() -> None:
    queue = FairQueue(1, 1)
    running = await queue.turn("greedy")
    greedy = [await queued(queue, "greedy") for _ in range(100)]
    other = await queued(queue, "other")
    running.release()
    await settled()
    greedy[0].result().release()
    await settled()
    assert other.done()
    other.result().release()
    for task in greedy[1:]:
        (await task).release()


async def test_a_subject_at_its_limit_leaves_the_rest_to_others() -> None:
    queue = FairQueue(3, 2)
    tasks = [await queued(queue, "greedy") for _ in range(5)]
    await settled()
    assert [task.done() for task in tasks] == [True, True, False, False, False]
    with await queue.turn("other"):
        pass
    assert not tasks[2].done()
    tasks[0].result().release()
    await settled()
    assert tasks[2].done()
    for task in tasks[3:]:
        task.cancel()


async def test_requests_of_one_subject_keep_their_order() -> None:
    queue = FairQueue(1, 1)
    order: list[int] = []

    async def work(number: int) -> None:
        with await queue.turn("a"):
            order.append(number)

    await asyncio.gather(*(work(number) for number in range(20)))
    assert order == list(range(20))


async def test_a_request_that_is_cancelled_in_the_moment_of_its_turn_gives_it_back() -> None:
    queue = FairQueue(1, 1)
    first = await queue.turn("a")
    second = await queued(queue, "b")
    first.release()
    second.cancel()
    await asyncio.wait((second,))
    async with asyncio.timeout(5):
        (await queue.turn("c")).release()


@settings(max_examples=100, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=40),
)
def test_limits_hold_and_everyone_has_a_turn(at_once: int, of_one: int, wanted: list[tuple[str, int, bool]]) -> None:
    async def run() -> None:
        queue = FairQueue(at_once, of_one)
        held: Counter[str] = Counter()
        served = 0

        async def work(subject: str, steps: int) -> None:
            nonlocal served
            with await queue.turn(subject):
                held[subject] += 1
                assert held.total() <= at_once
                assert held[subject] <= of_one
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    served += 1
                finally:
                    held[subject] -= 1

        tasks = [(asyncio.create_task(work(subject, steps)), leaves) for subject, steps, leaves in wanted]
        await asyncio.sleep(0)
        for task, leaves in tasks:
            if leaves:
                task.cancel()
        async with asyncio.timeout(10):
            await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
            assert served >= sum(not leaves for _, _, leaves in wanted)
            # All turns are free again.
            turns = [await queue.turn(str(number)) for number in range(at_once)]
        assert len(turns) == at_once

    asyncio.run(run())
