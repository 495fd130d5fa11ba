"""The disk cache, with a fake download."""

import asyncio
import errno
import os
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from local.endpoint.disk_cache import DiskCache
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
        async with cache.use(name, BUCKET, name) as artifact:
            content = (artifact.path / "1" / "saved_model.pb").read_bytes()
            assert content == name.encode().ljust(SIZE, b".")


def folders(objects: Objects) -> list[str]:
    return sorted(each.name for each in objects.root.iterdir())


def test_deletes_the_least_recently_used_artifact_first(objects: Objects) -> None:
    cache = cache_of(objects, 2 * SIZE)
    asyncio.run(fetch(cache, "a", "b", "a", "c"))
    assert [name in cache for name in "abc"] == [True, False, True]
    assert cache.used == 2 * SIZE
    assert folders(objects) == ["a", "c"]
    assert objects.downloads == ["a", "b", "c"]


def test_an_artifact_in_use_is_not_deleted(objects: Objects) -> None:
    cache = cache_of(objects, SIZE)

    async def scenario() -> None:
        async with cache.use("a", BUCKET, "a") as artifact:
            await fetch(cache, "b")
            assert artifact.path.is_dir()
        await fetch(cache, "b")

    asyncio.run(scenario())
    assert ("a" in cache, "b" in cache) == (False, True)


def test_keeps_whole_artifacts_of_an_earlier_run_and_deletes_half_ones(
    objects: Objects,
) -> None:
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
def test_downloads_again_what_changed_on_disk(objects: Objects, harm: str) -> None:
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


def test_downloads_again_what_was_deleted_from_disk(objects: Objects) -> None:
    cache = cache_of(objects)
    asyncio.run(fetch(cache, "a"))
    shutil.rmtree(objects.root / "a")
    asyncio.run(fetch(cache, "a"))
    assert cache.used == SIZE


def test_removes_an_artifact_only_if_an_earlier_run_downloaded_it(objects: Objects) -> None:
    asyncio.run(fetch(cache_of(objects), "a"))
    cache = cache_of(objects)

    async def scenario() -> list[bool]:
        return [await cache.remove_if_old("a"), await cache.remove_if_old("a")]

    assert asyncio.run(scenario()) == [True, False]
    assert cache.used == 0
    asyncio.run(fetch(cache, "a"))
    assert not asyncio.run(cache.remove_if_old("a")), "it is fresh from S3"
    assert objects.downloads == ["a", "a"]


def test_a_full_disk_deletes_unused_artifacts_and_downloads_again(objects: Objects) -> None:
    cache = cache_of(objects)
    asyncio.run(fetch(cache, *"abcd"))
    objects.disk = 4 * SIZE + SIZE // 2
    asyncio.run(fetch(cache, "e"))
    assert objects.downloads == [*"abcd", "e", "e"]
    assert folders(objects) == ["c", "d", "e"]
    assert cache.used == 3 * SIZE


def test_a_disk_full_of_other_files_is_an_error_that_names_the_model(objects: Objects) -> None:
    cache = cache_of(objects)
    objects.disk = SIZE

    async def scenario() -> None:
        async with AsyncExitStack() as held:
            await held.enter_async_context(cache.use("a", BUCKET, "a"))
            with pytest.raises(ServiceUnavailable, match=r"s3://facet-test/b .* No space left"):
                await fetch(cache, "b")

    asyncio.run(scenario())
    assert folders(objects) == ["a"]
    assert objects.downloads == ["a", "b", "b"]
    asyncio.run(fetch(cache, "a"))


def test_other_disk_errors_are_not_retried(objects: Objects) -> None:
    cache = cache_of(objects)
    objects.fails = PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(ServiceUnavailable, match=r"s3://facet-test/a .* Permission denied"):
        asyncio.run(fetch(cache, "a"))
    assert objects.downloads == ["a"]
    assert folders(objects) == []


def test_an_archive_that_cannot_be_unpacked_leaves_no_files(objects: Objects) -> None:
    cache = cache_of(objects)
    with pytest.raises(ValidationError):
        asyncio.run(fetch(cache, "broken"))
    assert "broken" not in cache
    assert folders(objects) == []
