"""Models whose loading ended the process."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from serving.crash_guard import LOADING, SLOTS, WINDOW, CrashGuard
from serving.errors import LoadFailed

CAT, DOG = Path("/models/cat"), Path("/models/dog")


class Machine:
    """Processes that share a folder, and the time of day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_000_000.0
        self.running: list[CrashGuard] = []
        self._unfinished: list[AbstractContextManager[None]] = []

    def start(self) -> CrashGuard:
        self.running.append(CrashGuard(self.folder, lambda: self.now))
        return self.running[-1]

    def dies_while_loading(self, *models: Path) -> None:
        """A process starts, begins to load these, and is gone."""
        strikes = self.start()
        loads = [strikes.watch(model) for model in models]
        for load in loads:
            load.__enter__()
        self._unfinished += loads
        for file in self.folder.glob(f"*{LOADING}"):
            os.utime(file, (self.now, self.now))
        strikes.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "state")
    yield made
    for strikes in made.running:
        strikes.close()


def loads(strikes: CrashGuard, model: Path) -> bool:
    try:
        with strikes.watch(model):
            return True
    except LoadFailed:
        return False


def test_one_strike_refuses_nothing(machine: Machine) -> None:
    machine.dies_while_loading(CAT)
    assert loads(machine.start(), CAT)


def test_two_strikes_refuse_that_model_until_the_first_is_old(machine: Machine) -> None:
    machine.dies_while_loading(CAT)
    machine.now += 60
    machine.dies_while_loading(CAT)
    machine.now += 5
    strikes = machine.start()
    with pytest.raises(LoadFailed) as refused, strikes.watch(CAT):
        pass
    assert str(refused.value) == (
        "loading it ended the process 2 times (13:46:40 UTC, 13:47:40 UTC); "
        "it is tried again from 13:56:40 UTC on"
    )
    assert loads(strikes, DOG)
    machine.now = 1_000_000 + WINDOW + 1
    assert loads(strikes, CAT)


def test_a_load_that_ends_clears_what_was_before(machine: Machine) -> None:
    machine.dies_while_loading(CAT)
    with pytest.raises(LoadFailed, match="broken"), machine.start().watch(CAT):
        raise LoadFailed("broken")
    machine.dies_while_loading(CAT)
    assert loads(machine.start(), CAT)


def test_old_strikes_are_forgotten(machine: Machine) -> None:
    machine.dies_while_loading(CAT)
    machine.now += WINDOW + 1
    machine.dies_while_loading(CAT)
    assert loads(machine.start(), CAT)


def test_what_a_living_process_loads_is_no_strike(machine: Machine) -> None:
    machine.dies_while_loading(CAT)
    with machine.start().watch(CAT):
        assert loads(machine.start(), CAT)


def test_all_that_were_loading_have_a_strike_and_then_load_one_by_one(machine: Machine) -> None:
    machine.dies_while_loading(CAT, DOG)
    strikes = machine.start()
    loaded = threading.Event()

    def load_dog() -> None:
        assert loads(strikes, DOG)
        loaded.set()

    with strikes.watch(CAT):
        threading.Thread(target=load_dog).start()
        assert loads(strikes, Path("/models/other"))
        assert not loaded.wait(0.1)
    assert loaded.wait(10)


def test_only_the_guilty_one_gets_its_second(machine: Machine) -> None:
    machine.dies_while_loading(CAT, DOG)
    machine.dies_while_loading(CAT)
    strikes = machine.start()
    assert not loads(strikes, CAT)
    assert loads(strikes, DOG)


def test_many_loads_at_once_and_one_after_the_other(machine: Machine) -> None:
    strikes = machine.start()
    for number in range(3 * SLOTS):
        assert loads(strikes, Path(f"/models/{number}"))
    strikes.close()
    many = [Path(f"/models/{number}") for number in range(SLOTS)]
    machine.dies_while_loading(*many)
    machine.dies_while_loading(many[-1])
    assert [model for model in many if not loads(machine.start(), model)] == [many[-1]]


def test_files_do_not_pile_up(machine: Machine) -> None:
    for _ in range(3):
        machine.dies_while_loading(CAT)
        loads(machine.start(), CAT)
        machine.now += WINDOW + 1
    for strikes in machine.running:
        strikes.close()
    machine.start()
    assert len(list(machine.folder.iterdir())) == 2  # the lock and its own


@pytest.mark.parametrize("blocked", ["", "state"])
def test_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, blocked: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        strikes = CrashGuard(tmp_path / "file" / blocked)
        assert loads(strikes, CAT)
        assert loads(strikes, CAT)
    assert [each.message.partition(":")[0] for each in caplog.records] == [
        "a model that ends the process on load will not be refused"
    ]
