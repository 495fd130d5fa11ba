"""Models that ended the process: noted, suspected, refused, cleared."""

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from serving.errors import LoadFailed, ModelRefused
from serving.guard.crash_guard import (
    COMPUTING,
    LOADING,
    OVERRUN_FILE,
    REFUSED_FOR,
    SLOT_FILE,
    SLOTS,
    WINDOW,
    CrashGuard,
)
from tests.support.processes.waiting import LONG

CAT, DOG = Path("/models/cat"), Path("/models/dog")

Activity = Callable[[CrashGuard, Path], AbstractContextManager[None]]


def loading(guard: CrashGuard, model: Path) -> AbstractContextManager[None]:
    return guard.loading(model, f"{model.name}.tar.gz")


def computing(guard: CrashGuard, model: Path) -> AbstractContextManager[None]:
    return guard.computing(model)()


activities = pytest.mark.parametrize("activity", [loading, computing])


class Machine:
    """Processes that share a folder, and the time of day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_000_000.0
        self._running: list[CrashGuard] = []
        self._unfinished: list[AbstractContextManager[None]] = []

    def start(self, **waits: float) -> CrashGuard:
        self._running.append(CrashGuard(self.folder, lambda: self.now, **waits))
        return self._running[-1]

    def crash(self, activity: Activity, *models: Path) -> None:
        """A process starts, begins something with the models, and dies."""
        guard = self.start()
        for model in models:
            self._unfinished.append(activity(guard, model))
            self._unfinished[-1].__enter__()
        guard.close()

    def stop(self) -> None:
        for guard in self._running:
            guard.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "state")
    yield made
    made.stop()


def loads(guard: CrashGuard, model: Path) -> bool:
    try:
        with loading(guard, model):
            return True
    except ModelRefused:
        return False


@activities
def test_one_crash_refuses_nothing(machine: Machine, activity: Activity) -> None:
    machine.crash(activity, CAT)
    assert loads(machine.start(), CAT)


@pytest.mark.parametrize(
    ("activity", "text"), [(loading, "was loading"), (computing, "was computing")]
)
def test_two_crashes_refuse_the_model_until_the_first_is_ten_minutes_old(
    machine: Machine, activity: Activity, text: str
) -> None:
    machine.crash(activity, CAT)
    machine.now += 60
    machine.crash(activity, CAT)
    machine.now += 5
    guard = machine.start()
    with pytest.raises(ModelRefused) as refused, loading(guard, CAT):
        pass
    assert str(refused.value) == (
        f"Model cat.tar.gz ended the container 2 times while it {text} "
        "(13:46:40 UTC, 13:47:40 UTC). It is refused until 13:56:40 UTC. "
        "Upload a corrected version, or try again after that time."
    )
    assert loads(guard, DOG)
    machine.now = 1_000_000 + WINDOW + 1
    assert loads(guard, CAT)


@activities
def test_an_activity_that_ends_clears_earlier_crashes(machine: Machine, activity: Activity) -> None:
    machine.crash(activity, CAT)
    with pytest.raises(LoadFailed, match="broken"), activity(machine.start(), CAT):
        raise LoadFailed("broken")
    machine.crash(activity, CAT)
    assert loads(machine.start(), CAT)


def test_a_load_does_not_clear_crashes_of_computations(machine: Machine) -> None:
    for _ in range(2):
        assert loads(machine.start(), CAT)
        machine.crash(computing, CAT)
    assert not loads(machine.start(), CAT)


@activities
def test_crashes_older_than_the_window_do_not_count(machine: Machine, activity: Activity) -> None:
    machine.crash(activity, CAT)
    machine.now += WINDOW + 1
    machine.crash(activity, CAT)
    assert loads(machine.start(), CAT)


@activities
def test_work_of_a_living_process_is_no_crash(machine: Machine, activity: Activity) -> None:
    machine.crash(activity, CAT)
    with activity(machine.start(), CAT):
        assert loads(machine.start(), CAT)


@activities
def test_suspects_work_one_at_a_time_and_others_do_not_wait(
    machine: Machine, activity: Activity
) -> None:
    machine.crash(activity, CAT, DOG)
    guard = machine.start()
    done = threading.Event()

    def work_on_dog() -> None:
        with activity(guard, DOG):
            done.set()

    with activity(guard, CAT):
        thread = threading.Thread(target=work_on_dog)
        thread.start()
        with activity(guard, Path("/models/other")):
            assert not done.wait(0.1)
    assert done.wait(LONG)
    thread.join()


def test_a_suspect_that_loads_and_one_that_computes_do_not_work_together(machine: Machine) -> None:
    machine.crash(loading, CAT)
    machine.crash(computing, DOG)
    guard = machine.start(compute_wait=0.05)
    done = threading.Event()

    def compute() -> None:
        with computing(guard, DOG):
            done.set()

    with loading(guard, CAT):
        thread = threading.Thread(target=compute)
        thread.start()
        assert not done.wait(0.02)
        assert done.wait(LONG), "it goes ahead after compute_wait"
    thread.join()


@activities
def test_only_the_model_that_crashes_again_is_refused(machine: Machine, activity: Activity) -> None:
    machine.crash(activity, CAT, DOG)
    machine.crash(activity, CAT)
    guard = machine.start()
    assert not loads(guard, CAT)
    assert loads(guard, DOG)


def test_one_model_in_several_threads_is_one_crash(machine: Machine) -> None:
    machine.crash(computing, CAT, CAT, CAT)
    assert loads(machine.start(), CAT)


def test_slots_are_used_again_and_enough_for_many_at_once(machine: Machine) -> None:
    guard = machine.start()
    for number in range(3 * SLOTS):
        with computing(guard, Path(f"/models/{number}")):
            pass
    guard.close()
    many = [Path(f"/models/{number}") for number in range(SLOTS)]
    machine.crash(computing, *many)
    machine.crash(computing, many[-1])
    guard = machine.start()
    assert [model for model in many if not loads(guard, model)] == [many[-1]]


def test_files_do_not_pile_up(machine: Machine) -> None:
    for _ in range(3):
        machine.crash(loading, CAT)
        machine.crash(computing, CAT)
        loads(machine.start(), CAT)
        machine.now += WINDOW + 1
    machine.stop()
    machine.start()
    files = sorted(each.suffix for each in machine.folder.iterdir())
    assert files == ["", SLOT_FILE], "the lock and its own slots"


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, os.urandom(500)])
def test_a_damaged_slot_file_is_ignored(machine: Machine, content: bytes) -> None:
    machine.folder.mkdir()
    (machine.folder / f"damaged{SLOT_FILE}").write_bytes(content)
    assert loads(machine.start(), CAT)
    assert not (machine.folder / f"damaged{SLOT_FILE}").exists()


@pytest.mark.parametrize("blocked", ["", "state"])
def test_a_folder_that_cannot_be_written_turns_the_guard_off_with_one_warning(
    tmp_path: Path, blocked: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / blocked
    with caplog.at_level(logging.WARNING):
        guard = CrashGuard(folder)
        assert loads(guard, CAT)
        with computing(guard, CAT):
            pass
    (warning,) = caplog.messages
    assert warning.startswith(
        f"models that end the process will not be refused, because {folder} cannot be written: "
    )
    assert warning.endswith("Set FACET_SERVING_STATE to a folder that can")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' /dev/full")
def test_a_full_disk_turns_the_guard_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def full(path: Path, *args: object, **options: object) -> object:
        name = "/dev/full" if path.suffix == SLOT_FILE else path
        return opened(Path(name), *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    guard = CrashGuard(tmp_path)
    assert loads(guard, CAT)


@pytest.mark.parametrize("activity", [LOADING, COMPUTING])
def test_one_overrun_refuses_the_model_for_an_hour(machine: Machine, activity: Any) -> None:
    guard = machine.start()
    guard.overran(activity, CAT)
    assert not loads(guard, CAT), "at once"
    guard.end_on_purpose()
    machine.now += REFUSED_FOR - 1
    guard = machine.start()
    with pytest.raises(ModelRefused) as refused, loading(guard, CAT):
        pass
    assert str(refused.value) == (
        f"Model cat.tar.gz was stopped, because it did not end while it {activity.text} "
        "(13:46:40 UTC). It is refused until 14:46:40 UTC. Upload a corrected version, or try "
        "again after that time."
    )
    assert loads(guard, DOG)
    machine.now += 2
    assert loads(guard, CAT)
    assert loads(machine.start(), CAT)
    assert not list(machine.folder.glob(f"*{OVERRUN_FILE}"))


def test_a_process_that_ends_on_purpose_leaves_no_suspects(machine: Machine) -> None:
    for _ in range(2):
        guard = machine.start()
        with loading(guard, CAT), computing(guard, DOG):
            guard.end_on_purpose()
        guard.close()
    guard = machine.start()
    assert loads(guard, CAT)
    assert loads(guard, DOG)


def test_an_overrun_that_cannot_be_written_is_refused_by_this_process(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.folder.mkdir()
    guard = machine.start()
    guard.close()
    shutil.rmtree(machine.folder)
    guard.overran(LOADING, CAT)
    assert not loads(guard, CAT)
    assert "/models/cat will be loaded again after a restart" in caplog.text
