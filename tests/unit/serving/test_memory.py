"""The memory budget, with a process whose size the test sets."""

import mmap
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from serving.errors import NoRoom
from serving.memory import MemoryBudget, machine_bytes, private_bytes, process_limit
from tests.support.processes.waiting import LONG

UNLIMITED = 1 << 60


class Process:
    size = 1000

    def __call__(self) -> int:
        return self.size


def test_reserves_growth_beyond_the_estimate() -> None:
    process = Process()
    budget = MemoryBudget(1000, UNLIMITED, process)
    reservation = budget.reserve("a", 100)
    process.size += 300
    budget.end_load(reservation)
    assert reservation.size == budget.used == 300
    budget.release(reservation)
    assert budget.used == 0


def test_reserves_at_least_the_estimate() -> None:
    budget = MemoryBudget(1000, UNLIMITED, Process())
    reservation = budget.reserve("a", 100)
    budget.end_load(reservation)
    assert reservation.size == 100


def test_divides_growth_among_the_models_that_are_loading() -> None:
    process = Process()
    budget = MemoryBudget(10_000, UNLIMITED, process)
    first = budget.reserve("a", 0)
    process.size += 100
    second = budget.reserve("b", 0)
    process.size += 400
    budget.end_load(first)
    process.size += 50
    budget.end_load(second)
    process.size += 5000
    assert (first.size, second.size) == (300, 250)


def test_a_hanging_load_gets_no_share_of_the_growth() -> None:
    process, now = Process(), [0.0]
    budget = MemoryBudget(10_000, UNLIMITED, process, clock=lambda: now[0])
    hanging = budget.reserve("a", 10)
    now[0] = 61
    process.size += 500
    other = budget.reserve("b", 10)
    process.size += 300
    budget.end_load(other)
    assert (hanging.size, other.size) == (10, 300)


def test_no_room_names_the_model_and_the_sizes() -> None:
    budget = MemoryBudget(10_000_000, UNLIMITED, Process())
    budget.end_load(budget.reserve("a", 7_000_000))
    sizes = r"it takes 4\.0 MB, and other models have 7\.0 MB of 10\.0 MB"
    with pytest.raises(NoRoom, match=f"model b: {sizes}"):
        budget.reserve("b", 4_000_000)
    assert budget.used == 7_000_000


def test_a_model_that_outgrew_the_budget_reserves_its_measured_size_next_time() -> None:
    process = Process()
    budget = MemoryBudget(1000, UNLIMITED, process)
    other = budget.reserve("a", 600)
    budget.end_load(other)
    reservation = budget.reserve("b", 100)
    process.size += 500
    with pytest.raises(NoRoom, match="model b"):
        budget.end_load(reservation)
    assert budget.used == 600
    with pytest.raises(NoRoom):
        budget.reserve("b", 100)
    budget.release(other)
    budget.end_load(budget.reserve("b", 100))


def test_keep_reserves_growth_even_beyond_the_budget() -> None:
    process = Process()
    budget = MemoryBudget(100, UNLIMITED, process)
    reservation = budget.reserve("TensorFlow", 50)
    process.size += 500
    budget.keep(reservation)
    assert budget.used == 500


def test_a_model_that_loaded_reserves_its_second_estimate() -> None:
    process = Process()
    budget = MemoryBudget(1000, UNLIMITED, process)
    small, grown = budget.reserve("a", 400), budget.reserve("b", 500)
    budget.end_load(small, 30)
    process.size += 80
    budget.end_load(grown, 30)
    assert (small.size, grown.size, budget.used) == (30, 80, 110)
    budget.release(small)
    assert budget.used == 80


def test_a_model_reserves_at_once_what_it_took_when_it_was_loaded_twice() -> None:
    process = Process()
    budget = MemoryBudget(1000, UNLIMITED, process)
    for grown in (200, 80):
        loaded = budget.reserve("a", 400)
        assert not loaded.measured
        process.size += grown
        budget.end_load(loaded, 30, remember=True)
        assert loaded.size == grown
        budget.release(loaded)
    again = budget.reserve("a", 400)
    assert (again.measured, again.size) == (True, 80)
    budget.end_load(again, 30, remember=True)
    assert (again.size, budget.used) == (80, 80)
    without_its_weights_on_disk = budget.reserve("a", 400)
    budget.end_load(without_its_weights_on_disk, 300)
    assert (without_its_weights_on_disk.size, budget.used) == (300, 380)
    budget.release(without_its_weights_on_disk)
    changed, other = budget.reserve("a", 500), budget.reserve("b", 400)
    assert (changed.measured, other.measured, changed.size, other.size) == (False, False, 500, 400)


def test_a_load_of_a_known_model_reads_the_size_of_the_process_once() -> None:
    process, reads = Process(), [0]

    def size() -> int:
        reads[0] += 1
        return process.size

    budget = MemoryBudget(10_000, UNLIMITED, size)
    counts = []
    for _ in range(4):
        reads[0] = 0
        reservation = budget.reserve("a", 10)
        budget.end_load(reservation, remember=True)
        budget.release(reservation)
        counts.append(reads[0])
    assert counts == [2, 2, 1, 1]


def test_an_unload_while_others_load_does_not_hide_their_growth() -> None:
    process = Process()
    budget = MemoryBudget(10_000, UNLIMITED, process)
    leaving = budget.reserve("a", 0)
    process.size += 100
    budget.end_load(leaving)
    loading = budget.reserve("b", 0)
    process.size -= 100
    budget.release(leaving)
    process.size += 60
    budget.end_load(loading)
    assert loading.size == 60


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_mapped_from_files_are_not_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(50_000_000))
    before = private_bytes()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert not any(mapped[page] for page in range(0, len(mapped), mmap.PAGESIZE))
        assert private_bytes() - before < 10_000_000


def test_measures_private_memory() -> None:
    before = private_bytes()
    with mmap.mmap(-1, 50_000_000) as block:  # what the process has of its own may be free memory
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
        assert 40_000_000 < private_bytes() - before < 80_000_000
        assert len(block) < machine_bytes()


@pytest.mark.parametrize(("text", "limited"), [("1000000\n", True), ("max\n", False)])
def test_a_control_group_limits_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, limited: bool
) -> None:
    file = tmp_path / "memory.max"
    file.write_text(text)
    monkeypatch.setattr("serving.memory.LIMIT_FILES", (file,))
    assert (machine_bytes() == 1_000_000) is limited


def test_refuses_a_load_that_would_exceed_the_limit_of_the_process() -> None:
    process = Process()
    process.size = 9_500_000
    budget = MemoryBudget(1 << 40, 10_000_000, process, trim=lambda: None)
    sizes = r"it takes 1\.0 MB, and the process has 9\.5 MB of 10\.0 MB"
    with pytest.raises(NoRoom, match=f"model a: {sizes}"):
        budget.reserve("a", 1_000_000)
    assert budget.used == 0
    budget.reserve("b", 400_000)


def test_trims_memory_before_refusing_a_load() -> None:
    process = Process()
    process.size = 9_500_000

    def trim() -> None:
        process.size = 2_000_000

    budget = MemoryBudget(1 << 40, 10_000_000, process, trim)
    assert budget.reserve("a", 1_000_000).size == 1_000_000


def test_the_process_limit_adds_room_for_requests_up_to_the_machine() -> None:
    assert 1_250_000_000 < process_limit(1_000_000_000) < 1_250_000_000 + 2 * private_bytes()
    assert 11_000_000 < process_limit(1_000_000) - private_bytes() < 21_000_000
    assert process_limit(1 << 60) < machine_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux' RLIMIT_DATA")
def test_an_allocation_beyond_the_limit_raises_memory_error() -> None:
    script = """
from serving import memory
memory.cap(memory.private_bytes() + 100_000_000)
kept = bytearray(90_000_000)
try:
    bytearray(2_000_000_000)
except MemoryError:
    print(len(kept))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=LONG)
    assert done.stdout == b"90000000\n", done.stderr


ARENAS = """
import ctypes, sys, threading
from serving import memory
if sys.argv[1] == "few":
    memory.few_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
barrier = threading.Barrier(8)
def allocate():
    barrier.wait()
    libc.malloc(50_000)
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
out = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="counts glibc's heaps")
@pytest.mark.parametrize(("call", "few"), [("few", True), ("", False)])
def test_threads_share_two_heaps(tmp_path: Path, call: str, few: bool) -> None:
    report = tmp_path / "heaps.xml"
    subprocess.run([sys.executable, "-c", ARENAS, call, str(report)], check=True, timeout=LONG)
    assert (report.read_text().count("<heap ") <= 2) is few
