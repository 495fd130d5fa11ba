"""Which models may be unloaded."""

import asyncio
from contextlib import ExitStack

from local.endpoint.entries import SHARE, Entries

GENERATION = 7


def loaded(count: int) -> Entries:
    entries = Entries(lambda: GENERATION)
    for number in range(count):
        with entries.use(str(number), f"model-{number}") as entry:
            entries.put(entry, GENERATION)
    return entries


def unused(entries: Entries) -> list[str]:
    return [entry.target for entry in entries.longest_unused()]


def test_the_longest_unused_come_first_and_one_in_many_at_once() -> None:
    entries = loaded(3)
    assert unused(entries) == ["model-0"]
    with entries.use("0", "model-0"):
        assert unused(entries) == ["model-1"]
    assert unused(entries) == ["model-1"]
    assert entries.loaded() == ["model-1", "model-2", "model-0"]
    assert unused(loaded(3 * SHARE)) == ["model-0", "model-1", "model-2"]


def test_what_is_in_use_stays() -> None:
    entries = loaded(2)
    with ExitStack() as requests:
        for number in (0, 1):
            requests.enter_context(entries.use(str(number), f"model-{number}"))
        assert unused(entries) == []
        with entries.use("new", "new") as wanting:
            assert entries.others_may_make_room(wanting)


def test_only_loads_that_have_room_may_make_room_later() -> None:
    async def scenario() -> None:
        entries = Entries(lambda: GENERATION)
        with entries.use("a", "a") as wanting, entries.use("b", "b") as other:
            assert not entries.others_may_make_room(wanting)
            other.loading = asyncio.create_task(asyncio.sleep(0))
            assert entries.others_may_make_room(wanting)
            other.without_room = True
            assert not entries.others_may_make_room(wanting)
            await other.loading

    asyncio.run(scenario())


def test_what_an_earlier_container_had_is_forgotten() -> None:
    now = [GENERATION]
    entries = Entries(lambda: now[0])
    for number in range(3):
        with entries.use(str(number), f"model-{number}") as entry:
            entries.put(entry, GENERATION)
    now[0] += 1
    assert entries.loaded() == []
    with entries.use("1", "model-1") as entry:
        entries.put(entry, now[0])
    assert entries.loaded() == ["model-1"]
    now[0] = GENERATION
    assert entries.loaded() == [], "the other entries are gone"
