"""The disk cache, over downloads that are made up."""

import asyncio
import errno
import os
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from local.endpoint.diskcache import DiskCache
from local.endpoint.errors import ServiceUnavailable, ValidationError

BUCKET = "facet-test"
SIZE = 1000


class Objects:
    """Every key is an artifact of SIZE bytes, on a disk of limited size."""

    def __init__(self, root: Path, disk: int = 1 << 30) -> None:
        self.root = root
        self.disk = disk
        self.downloads: list[str] = []
        self.fails: OSError | None = None

    async def unpack(self, bucket: str, key: str, folder: Path) -> None:
        assert bucket == BUCKET
        self.downloads.append(key)
        (folder / "1").mkdir()
        content = key.encode().ljust(SIZE, b".")
        (folder / "1" / "saved_model.pb").write_bytes(content[: SIZE // 2])
        if key == "broken":
            raise ValidationError("no archive")
        if self.fails is not None:
            raise self.fails
        if taken(self.root) + SIZE // 2 > self.disk:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        (folder / "1" / "saved_model.pb").write_bytes(content)


def taken(root: Path) -> int:
    return sum(file.stat().st_size for file in root.rglob("*.pb"))


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path)


def cache_of(objects: Objects, budget: int = 10 * SIZE) -> DiskCache:
    return DiskCache(objects.root, budget, objects.unpack)


async def fetch(cache: DiskCache, *names: str) -> None:
    for name in names:
        async with cache.hold(name, BUCKET, name) as artifact:
            content = (artifact.path / "1" / "saved_model.pb").read_bytes()
            assert content == name.encode().ljust(SIZE, b".")


def folders(objects: Objects) -> list[str]:
    return sorted(each.name for each in objects.root.iterdir())


def test_the_longest_unused_goes_first(objects: Objects) -> None:
    cache = cache_of(objects, 2 * SIZE)
    asyncio.run(fetch(cache, "a", "b", "a", "c"))
    assert [name in cache for name in "abc"] == [True, False, True]
    assert cache.used == 2 * SIZE
    assert folders(objects) == ["a", "c"]
    assert objects.downloads == ["a", "b", "c"]


def test_what_is_held_stays(objects: Objects) -> None:
    cache = cache_of(objects, SIZE)

    async def scenario() -> None:
        async with cache.hold("a", BUCKET, "a") as artifact:
            await fetch(cache, "b")
            assert artifact.path.is_dir()
        await fetch(cache, "b")

    asyncio.run(scenario())
    assert ("a" in cache, "b" in cache) == (False, True)


def test_an_earlier_run_is_found_and_its_rests_are_cleared(objects: Objects) -> None:
    asyncio.run(fetch(cache_of(objects), "a", "b"))
    os.utime(objects.root / "b", (1, 1))
    shutil.copytree(objects.root / "a", objects.root / ".tmp-half")
    (objects.root / "without-a-list" / "model").mkdir(parents=True)
    cache = cache_of(objects, SIZE)
    assert folders(objects) == ["a", "b"]
    assert cache.used == 2 * SIZE
    asyncio.run(fetch(cache, "a"))
    assert objects.downloads == ["a", "b"]
    assert folders(objects) == ["a"], "b was used longest ago"


@pytest.mark.parametrize("harm", ["cut", "overwritten", "added", "deleted"])
def test_what_changed_on_disk_is_downloaded_again(objects: Objects, harm: str) -> None:
    cache = cache_of(objects)
    asyncio.run(fetch(cache, "a"))
    file = objects.root / "a" / "model" / "1" / "saved_model.pb"
    if harm == "cut":
        os.truncate(file, SIZE // 2)
    elif harm == "overwritten":
        file.write_bytes(b"x" * SIZE)
    elif harm == "added":
        file.with_name("more.pb").touch()
    else:
        shutil.rmtree(file.parent)
    asyncio.run(fetch(cache, "a", "a"))
    assert objects.downloads == ["a", "a"]
    assert cache.used == SIZE
    assert folders(objects) == ["a"]


def test_a_cache_that_was_deleted_is_filled_again(objects: Objects) -> None:
    cache = cache_of(objects)
    asyncio.run(fetch(cache, "a"))
    shutil.rmtree(objects.root / "a")
    asyncio.run(fetch(cache, "a"))
    assert cache.used == SIZE


def test_only_what_an_earlier_run_left_is_renewed(objects: Objects) -> None:
    asyncio.run(fetch(cache_of(objects), "a"))
    cache = cache_of(objects)

    async def scenario() -> list[bool]:
        return [await cache.renew("a"), await cache.renew("a")]

    assert asyncio.run(scenario()) == [True, False]
    assert cache.used == 0
    asyncio.run(fetch(cache, "a"))
    assert not asyncio.run(cache.renew("a")), "it is fresh from S3"
    assert objects.downloads == ["a", "a"]


def test_a_full_disk_makes_room_and_tries_again(objects: Objects) -> None:
    cache = cache_of(objects)
    asyncio.run(fetch(cache, *"abcd"))
    objects.disk = 4 * SIZE + SIZE // 2
    asyncio.run(fetch(cache, "e"))
    assert objects.downloads == [*"abcd", "e", "e"]
    assert folders(objects) == ["c", "d", "e"]
    assert cache.used == 3 * SIZE


def test_a_disk_full_of_other_things_names_the_model_and_leaves_nothing(objects: Objects) -> None:
    cache = cache_of(objects)
    objects.disk = SIZE

    async def scenario() -> None:
        async with AsyncExitStack() as held:
            await held.enter_async_context(cache.hold("a", BUCKET, "a"))
            with pytest.raises(ServiceUnavailable, match=r"s3://facet-test/b .* No space left"):
                await fetch(cache, "b")

    asyncio.run(scenario())
    assert folders(objects) == ["a"]
    assert objects.downloads == ["a", "b", "b"]
    asyncio.run(fetch(cache, "a"))


def test_other_failures_of_the_disk_are_not_tried_again(objects: Objects) -> None:
    cache = cache_of(objects)
    objects.fails = PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(ServiceUnavailable, match=r"s3://facet-test/a .* Permission denied"):
        asyncio.run(fetch(cache, "a"))
    assert objects.downloads == ["a"]
    assert folders(objects) == []


def test_nothing_stays_of_what_cannot_be_unpacked(objects: Objects) -> None:
    cache = cache_of(objects)
    with pytest.raises(ValidationError):
        asyncio.run(fetch(cache, "broken"))
    assert "broken" not in cache
    assert folders(objects) == []
