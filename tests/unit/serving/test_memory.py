"""The memory ledger, on a process whose size the test sets."""

import mmap
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from serving.errors import NoRoom
from serving.memory import MemoryBudget, machine_bytes, process_limit, resident_bytes

UNLIMITED = 1 << 60


class Process:
    size = 1000

    def __call__(self) -> int:
        return self.size


def test_growth_beyond_the_estimate_is_charged() -> None:
    process = Process()
    ledger = MemoryBudget(1000, UNLIMITED, process)
    charge = ledger.open("a", 100)
    process.size += 300
    ledger.settle(charge)
    assert charge.size == ledger.used == 300
    ledger.release(charge)
    assert ledger.used == 0


def test_memory_used_again_shows_as_the_estimate() -> None:
    ledger = MemoryBudget(1000, UNLIMITED, Process())
    charge = ledger.open("a", 100)
    ledger.settle(charge)
    assert charge.size == 100


def test_growth_is_shared_by_those_that_load_at_that_time() -> None:
    process = Process()
    ledger = MemoryBudget(10_000, UNLIMITED, process)
    first = ledger.open("a", 0)
    process.size += 100
    second = ledger.open("b", 0)
    process.size += 400
    ledger.settle(first)
    process.size += 50
    ledger.settle(second)
    process.size += 5000
    assert (first.size, second.size) == (300, 250)


def test_a_load_that_hangs_is_not_charged_what_others_take() -> None:
    process, now = Process(), [0.0]
    ledger = MemoryBudget(10_000, UNLIMITED, process, clock=lambda: now[0])
    hanging = ledger.open("a", 10)
    now[0] = 61
    process.size += 500
    other = ledger.open("b", 10)
    process.size += 300
    ledger.settle(other)
    assert (hanging.size, other.size) == (10, 300)


def test_no_room_names_the_model_and_both_sizes() -> None:
    ledger = MemoryBudget(10_000_000, UNLIMITED, Process())
    ledger.settle(ledger.open("a", 7_000_000))
    with pytest.raises(NoRoom, match=r"model b: it takes 4\.0 MB, others 7\.0 MB of 10\.0 MB"):
        ledger.open("b", 4_000_000)
    assert ledger.used == 7_000_000


def test_a_model_that_outgrew_the_budget_asks_for_what_it_takes_next_time() -> None:
    process = Process()
    ledger = MemoryBudget(1000, UNLIMITED, process)
    other = ledger.open("a", 600)
    ledger.settle(other)
    charge = ledger.open("b", 100)
    process.size += 500
    with pytest.raises(NoRoom, match="model b"):
        ledger.settle(charge)
    assert ledger.used == 600
    with pytest.raises(NoRoom):
        ledger.open("b", 100)
    ledger.release(other)
    ledger.settle(ledger.open("b", 100))


def test_growth_that_stays_is_kept_whatever_the_budget() -> None:
    process = Process()
    ledger = MemoryBudget(100, UNLIMITED, process)
    charge = ledger.open("TensorFlow", 50)
    process.size += 500
    ledger.keep(charge)
    assert ledger.used == 500


def test_the_process_is_measured() -> None:
    before = resident_bytes()
    with mmap.mmap(-1, 50_000_000) as block:  # what the process has of its own may be free memory
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
        assert 40_000_000 < resident_bytes() - before < 80_000_000
        assert len(block) < machine_bytes()


@pytest.mark.parametrize(("text", "limited"), [("1000000\n", True), ("max\n", False)])
def test_a_control_groups_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, limited: bool
) -> None:
    file = tmp_path / "memory.max"
    file.write_text(text)
    monkeypatch.setattr("serving.memory.LIMIT_FILES", (file,))
    assert (machine_bytes() == 1_000_000) is limited


def test_a_load_that_would_take_the_process_over_its_limit_is_refused() -> None:
    process = Process()
    process.size = 9_500_000
    ledger = MemoryBudget(1 << 40, 10_000_000, process, trim=lambda: None)
    with pytest.raises(NoRoom, match=r"model a: it takes 1\.0 MB, the process 9\.5 MB of 10\.0 MB"):
        ledger.open("a", 1_000_000)
    assert ledger.used == 0
    ledger.open("b", 400_000)


def test_memory_that_was_freed_but_kept_is_given_back_first() -> None:
    process = Process()
    process.size = 9_500_000

    def trim() -> None:
        process.size = 2_000_000

    ledger = MemoryBudget(1 << 40, 10_000_000, process, trim)
    assert ledger.open("a", 1_000_000).size == 1_000_000


def test_the_process_limit_leaves_room_for_requests_but_not_more_than_the_machine() -> None:
    assert 1_250_000_000 < process_limit(1_000_000_000) < 1_250_000_000 + 2 * resident_bytes()
    assert process_limit(1 << 60) < machine_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux' RLIMIT_DATA")
def test_an_allocation_beyond_the_limit_fails_and_the_process_goes_on() -> None:
    script = """
from serving import memory
memory.cap(memory.resident_bytes() + 100_000_000)
kept = bytearray(90_000_000)
try:
    bytearray(2_000_000_000)
except MemoryError:
    print(len(kept))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
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
    subprocess.run([sys.executable, "-c", ARENAS, call, str(report)], check=True, timeout=60)
    assert (report.read_text().count("<heap ") <= 2) is few
