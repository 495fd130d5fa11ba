"""Packed weights on disk: what is written, read, refused and removed."""

import errno
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from serving import memory
from serving.litert import binding, weights
from serving.litert.compiled import SMALLEST, Compiled
from serving.litert.weights import ABANDONED, WeightCache
from serving.runtimes.runtime import Array
from tests.support.inputs.lite_models import dense

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="packed weights need Linux")

INPUTS, OUTPUTS = 300, 200
SIZE = 4 * INPUTS * OUTPUTS
IMAGE = np.random.default_rng(0).normal(size=(3, INPUTS)).astype(np.float32)


@pytest.fixture(autouse=True)
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run in memory; only one is about that."""
    monkeypatch.setattr(weights, "IN_MEMORY", frozenset())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "weights"


@pytest.fixture
def model(tmp_path: Path) -> Callable[[int], Path]:
    def write(seed: int) -> Path:
        random = np.random.default_rng(seed)
        path = tmp_path / f"{seed}.tflite"
        path.write_bytes(dense(random.normal(size=(INPUTS, OUTPUTS)).astype(np.float32)))
        return path

    return write


def answer(path: Path, cache: WeightCache | None = None) -> Array:
    engine = Compiled(path, 1, cache)
    scores = engine.call("serving_default", {"image": IMAGE})["scores"]
    engine.close()
    return scores


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_weights_are_written_once_and_mapped_from_then_on(
    folder: Path, model: Callable[[int], Path]
) -> None:
    path = model(1)
    wanted = answer(path)
    for cache in (WeightCache(folder, None), WeightCache(folder, None)):
        assert np.array_equal(answer(path, cache), wanted)
        (name,) = names(folder)
        written = (folder / name).stat()
        assert (written.st_mode & 0o777, written.st_uid) == (0o400, os.geteuid())
        engine = Compiled(path, 1, cache)
        assert str(folder / name) in Path("/proc/self/maps").read_text()
        assert engine.mapped == path.stat().st_size + written.st_size > SIZE
        engine.close()
        assert str(folder / name) not in Path("/proc/self/maps").read_text()
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "grow", "unreadable"])
def test_a_damaged_file_is_noticed_and_written_again(
    folder: Path, model: Callable[[int], Path], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """XNNPACK itself ends the process, or computes something else."""
    path = model(1)
    wanted = answer(path, WeightCache(folder, None))
    (name,) = names(folder)
    whole = (folder / name).read_bytes()
    (folder / name).chmod(0o600)
    flipped = whole[:SIZE] + bytes([whole[SIZE] ^ 1]) + whole[SIZE + 1 :]
    damaged = {"flip": flipped, "cut": whole[:999], "empty": b"", "grow": whole + b"\0"}
    if damage == "unreadable":
        (folder / name).unlink()
        (folder / name).symlink_to("/etc/passwd")
    else:
        (folder / name).write_bytes(damaged[damage])
    again = WeightCache(folder, None)
    assert np.array_equal(answer(path, again), wanted)
    assert (folder / name).read_bytes() == whole
    assert damage == "unreadable" or "are damaged; they will be made again" in caplog.text


def test_a_model_that_replaces_another_gets_its_own_weights(
    folder: Path, model: Callable[[int], Path]
) -> None:
    cache = WeightCache(folder, None)
    path = model(1)
    answer(path, cache)
    other = model(2)
    wanted = answer(other)
    other.replace(path)
    assert np.array_equal(answer(path, cache), wanted)
    assert len(names(folder)) == 2


def test_names_depend_on_the_model_the_library_and_the_processor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = WeightCache(folder, None)
    assert here.key(b"a") == WeightCache(folder, None).key(b"a") != here.key(b"b")
    monkeypatch.setattr(weights, "PROCESSOR", ("vendor_id",))
    assert WeightCache(folder, None).key(b"a") != here.key(b"a")
    monkeypatch.undo()
    monkeypatch.setattr(binding, "VERSION", "9.9.9")
    assert WeightCache(folder, None).key(b"a") != here.key(b"a")


def test_the_least_recently_used_files_make_room(
    folder: Path, model: Callable[[int], Path]
) -> None:
    cache = WeightCache(folder, int(3.5 * SIZE))
    paths = [model(seed) for seed in range(4)]
    for path in paths[:3]:
        answer(path, cache)
    written = {*names(folder)}
    answer(paths[0], cache)
    answer(paths[3], cache)
    assert len(names(folder)) == 3
    (removed,) = written - {*names(folder)}
    smaller = WeightCache(folder, int(1.5 * SIZE))
    assert len(names(folder)) == 1
    answer(paths[1], smaller)
    assert len(names(folder)) == 1
    assert names(folder) == [removed]


def test_a_file_larger_than_the_limit_is_not_written(
    folder: Path, model: Callable[[int], Path]
) -> None:
    assert answer(model(1), WeightCache(folder, SIZE // 2)).shape == (3, OUTPUTS)
    assert names(folder) == []


def test_unfinished_files_are_not_used_and_removed_when_nobody_writes_them(folder: Path) -> None:
    WeightCache(folder, None)
    for name, age in (("recent", 0.0), ("old", 2 * ABANDONED)):
        (folder / f".{name}").write_bytes(b"half")
        os.utime(folder / f".{name}", (time.time() - age,) * 2)
    cache = WeightCache(folder, 1)
    assert names(folder) == [".recent"]
    with cache.found("") as found:
        assert found is None


def test_models_are_served_if_the_disk_is_full(
    folder: Path,
    model: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cache = WeightCache(folder, None)
    wanted = answer(model(1))
    monkeypatch.setattr(os, "write", full)
    for _ in range(2):
        assert np.array_equal(answer(model(1), cache), wanted)
    assert names(folder) == []
    assert caplog.text.count("packed weights cannot be kept: No space left on device") == 1


def test_models_are_served_without_files_for_which_there_is_no_memory(
    folder: Path, model: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = WeightCache(folder, None)
    wanted, claimed = answer(model(1)), []

    def none(size: int) -> bool:
        claimed.append(size)
        return False

    monkeypatch.setattr(memory, "has_room_for", none)
    assert np.array_equal(answer(model(1), cache), wanted)
    assert names(folder) == []
    monkeypatch.undo()
    assert claimed[-1] == 3 * model(1).stat().st_size
    assert np.array_equal(answer(model(1), cache), wanted)
    assert len(names(folder)) == 1


def test_files_that_are_made_at_the_same_time_need_memory_together(folder: Path) -> None:
    cache, half = WeightCache(folder, None), int(0.6 * memory.machine_bytes())
    with cache.building(half) as first, cache.building(half) as second:
        assert (first, second) == (True, False)
    with cache.building(half) as again:
        assert again


def test_weights_that_another_process_removed_are_made_again(
    folder: Path, model: Callable[[int], Path]
) -> None:
    cache, path = WeightCache(folder, None), model(1)
    wanted = answer(path, cache)
    (name,) = names(folder)
    (folder / name).unlink()
    assert np.array_equal(answer(path, cache), wanted)
    assert names(folder) == [name]


def test_a_small_model_has_no_file(folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.tflite"
    small.write_bytes(dense(np.ones((INPUTS, 5), np.float32)))
    assert small.stat().st_size < SMALLEST
    answer(small, WeightCache(folder, None))
    assert names(folder) == []


def test_many_threads_may_load_one_model(folder: Path, model: Callable[[int], Path]) -> None:
    cache, path = WeightCache(folder, None), model(1)
    wanted = answer(path)
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: answer(path, cache), range(24))]
    assert all(np.array_equal(each, wanted) for each in answers)
    assert len(names(folder)) == 1


@pytest.mark.parametrize("mode", [0o750, 0o707, 0o500])
def test_a_folder_that_others_may_use_or_nobody_may_write_is_refused(
    folder: Path, mode: int
) -> None:
    folder.mkdir(parents=True)
    folder.chmod(mode)
    if mode == 0o500 and os.geteuid() == 0:
        pytest.skip("root may write it")
    with pytest.raises(OSError, match=r"mode must be 0700|cannot be written"):
        WeightCache(folder, None)


def test_a_folder_of_another_user_or_a_link_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.parent.mkdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        WeightCache(folder, None)
    folder.unlink()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match="others may write or read"):
        WeightCache(folder, None)


def test_a_limit_of_files_turns_it_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XNNPACK would end the process when it cannot write all."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**9, 10**9))
    with pytest.raises(OSError, match="RLIMIT_FSIZE"):
        WeightCache(folder, None)


def test_a_folder_in_memory_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "IN_MEMORY", {"tmpfs"})
    monkeypatch.setattr(weights, "_file_system", lambda _: "tmpfs")
    with pytest.raises(OSError, match=r"is in memory \(tmpfs\)"):
        WeightCache(folder, None)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="nothing is mounted there")
def test_a_file_system_in_memory_is_recognised() -> None:
    assert weights._file_system(Path("/dev/shm").stat().st_dev) == "tmpfs"
