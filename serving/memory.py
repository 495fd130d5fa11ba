"""Keep the memory of all models within a budget, and the process within a limit.

Memory is what the system cannot take back: pages that are mapped from files, as the weights of
LiteRT models are, count nothing. A model reserves an estimate before it is loaded. While it loads,
the growth of the process is measured, and the model keeps the larger of that and a second estimate
reserved until it is unloaded. When it was loaded twice, it reserves the smaller one at once. As
estimates miss what grows later, a load that would take the whole process over its limit is refused
too, and allocations beyond that limit fail instead of having the system kill the process.
"""

import ctypes
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from serving.errors import NoRoom

PAGE = os.sysconf("SC_PAGE_SIZE")
PRIVATE = re.compile(rb"Rss(?:Anon|Shmem):\s*(\d+) kB")  # /proc/self/status
# The limit of the container's control group, version 2 and version 1.
LIMIT_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
SHARE_FOR_MODELS = 0.8  # of the machine; the rest is for requests in flight and the system
SHARE_FOR_PROCESS = 0.95  # of the machine
FOR_REQUESTS = 16_000_000  # bytes that a process has beside its models, however small their budget
HANGING = 60.0  # seconds after which a load that has not ended gets no more growth
NO_ROOM_ADVICE = "Unload other models, or use an instance with more memory."
M_ARENA_MAX = -8  # malloc.h
MOST_REMEMBERED = 20_000  # models whose size is known after they are unloaded
STACKS = 800_000_000  # bytes of address space for threads; RLIMIT_DATA counts them, used or not


def private_bytes() -> int:
    """Resident bytes of this process that are not mapped from files.

    The system takes back pages that are mapped from files when memory is short; only these must
    stay. Without /proc (macOS), all that the process ever had.
    """
    if sys.platform == "linux":
        status = os.pread(_status(), 8192, 0)
        return sum(int(number) for number in PRIVATE.findall(status)) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@cache
def _status() -> int:
    """The open file with the sizes of this process. Each load reads it."""
    return os.open("/proc/self/status", os.O_RDONLY)


def machine_bytes() -> int:
    """The machine's memory in bytes, or its control group's limit if that is less."""
    limits = [os.sysconf("SC_PHYS_PAGES") * PAGE]
    for file in LIMIT_FILES:
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)


def spare_bytes() -> int:
    """The default budget: a share of the machine, minus what the process already uses."""
    return max(0, int(machine_bytes() * SHARE_FOR_MODELS) - private_bytes())


def has_room_for(size: int) -> bool:
    """Whether the process may get so many more private bytes without being killed."""
    return private_bytes() + size <= machine_bytes() * SHARE_FOR_PROCESS


def process_limit(budget: int) -> int:
    """The limit of the whole process for a budget of its models. Call before any is loaded."""
    beside = max(int(budget / SHARE_FOR_MODELS) - budget, FOR_REQUESTS)
    return min(int(machine_bytes() * SHARE_FOR_PROCESS), private_bytes() + budget + beside)


def cap(limit: int) -> None:
    """Make allocations beyond `limit` private bytes fail (Linux).

    A failed allocation ends one request or load. Without the limit, the system would kill the
    process, or another one.
    """
    if sys.platform == "linux":
        unused = _data_bytes() - private_bytes()
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = limit + max(0, unused) + STACKS
        if hard != resource.RLIM_INFINITY:
            soft = min(soft, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    """Bytes that the system counts against RLIMIT_DATA."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024


def few_arenas() -> None:
    """Have all threads share two heaps, which fragment less than one for each (glibc).

    Call before threads are started. With 600 models loaded and 3,000 replaced, memory grew from 524
    to 673 MB without this, and to 601 MB with it.
    """
    if sys.platform == "linux" and (option := getattr(ctypes.CDLL(None), "mallopt", None)):
        option(M_ARENA_MAX, 2)


def trim() -> None:
    """Return freed memory to the system, if the C library can (glibc)."""
    if sys.platform == "linux" and (release := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        release(0)


@dataclass(eq=False)
class Reservation:
    """The memory of one model: its estimate, or the growth measured while it loaded if larger.

    asked: the estimate in the reservation.  since: when the load began, on the budget's clock.
    measured: the estimate is what the model had reserved after earlier loads.
    """

    model: str
    asked: int
    estimate: int
    since: float
    measured: bool
    grown: float = field(default=0.0)

    @property
    def size(self) -> int:
        """Reserved bytes."""
        return max(self.estimate, int(self.grown))


class MemoryBudget:
    """The reservations of all models. Not for use by two threads.

    budget: bytes that all reservations together may have.  limit: private bytes of the process.
    The growth of the process is divided equally among the models that are loading, except those
    that hang. A reservation is never less than its estimate, because memory that a runtime had
    freed but kept, and uses again, does not show as growth.
    """

    def __init__(
        self,
        budget: int,
        limit: int,
        resident: Callable[[], int] = private_bytes,
        trim: Callable[[], None] = trim,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self._limit = limit
        self._resident = resident
        self.trim = trim
        self._clock = clock
        self._last_resident = 0
        self._loaded_bytes = 0
        self._reservations: set[Reservation] = set()
        self._loading: set[Reservation] = set()
        self._refused_sizes: dict[str, int] = {}
        # By target model and estimate: what it had after one load, and the smaller of two.
        self._first_sizes: dict[tuple[str, int], int] = {}
        self._loaded_sizes: dict[tuple[str, int], int] = {}

    @property
    def used(self) -> int:
        """Reserved bytes of all models."""
        return self._loaded_bytes + sum(reservation.size for reservation in self._loading)

    def reserve(self, model: str, estimate: int) -> Reservation:
        """Reserve memory for a model that starts to load now. Raises NoRoom."""
        loaded = self._loaded_sizes.get((model, estimate))
        size = max(loaded or estimate, self._refused_sizes.get(model, 0))
        reservation = Reservation(model, estimate, size, self._clock(), loaded is not None)
        self._check_budget(reservation, self.used + reservation.size)
        self._measure()
        self._check_process(reservation)
        self._reservations.add(reservation)
        self._loading.add(reservation)
        return reservation

    def end_load(
        self, reservation: Reservation, estimate: int | None = None, *, remember: bool = False
    ) -> None:
        """End a load. Raises NoRoom, and releases the reservation, if it outgrew the budget.

        The model's next `reserve` then asks for the size that was measured.  estimate: a new one,
        for a model that took more while it was loaded; of a known size, only a larger one counts.
        remember: what it has now is reserved when it is loaded again.
        """
        if estimate is not None:
            known = reservation.estimate if reservation.measured else 0
            reservation.estimate = max(estimate, known)
        self.keep(reservation)
        try:
            self._check_budget(reservation, self.used)
        except NoRoom:
            self._refused_sizes[reservation.model] = min(reservation.size, self.budget)
            self.release(reservation)
            raise
        self._refused_sizes.pop(reservation.model, None)
        if remember and not reservation.measured:
            self._remember((reservation.model, reservation.asked), reservation.size)

    def _remember(self, model: tuple[str, int], size: int) -> None:
        """The first load may take more than later ones: it packs weights."""
        if (first := self._first_sizes.pop(model, None)) is not None:
            self._loaded_sizes[model] = min(first, size)
        else:
            self._first_sizes[model] = size
        for sizes in (self._first_sizes, self._loaded_sizes):
            if len(sizes) > MOST_REMEMBERED:
                sizes.clear()

    def keep(self, reservation: Reservation) -> None:
        """End a load of something that stays in any case, as TensorFlow does."""
        if not reservation.measured or len(self._loading) > 1:
            self._measure()
        self._loading.remove(reservation)
        self._loaded_bytes += reservation.size

    def release(self, reservation: Reservation) -> None:
        """Give back the memory of a model that was unloaded or failed to load."""
        if self._loading:  # otherwise the next load measures before it begins
            self._measure()
        if reservation in self._reservations:
            self._reservations.remove(reservation)
            if reservation in self._loading:
                self._loading.remove(reservation)
            else:
                self._loaded_bytes -= reservation.size

    def _check_budget(self, reservation: Reservation, used: int) -> None:
        if used > self.budget:
            raise NoRoom(
                f"Memory exhausted: not enough memory to load model {reservation.model}: it takes "
                f"{_megabytes(reservation.size)}, and other models have "
                f"{_megabytes(used - reservation.size)} of {_megabytes(self.budget)}. "
                f"{NO_ROOM_ADVICE}"
            )

    def _check_process(self, reservation: Reservation) -> None:
        if self._last_resident + reservation.size > self._limit:
            self.trim()
            self._measure()
        if (used := self._last_resident) + reservation.size > self._limit:
            raise NoRoom(
                f"Memory exhausted: not enough memory to load model {reservation.model}: it takes "
                f"{_megabytes(reservation.size)}, and the process has {_megabytes(used)} of "
                f"{_megabytes(self._limit)}. {NO_ROOM_ADVICE}"
            )

    def _measure(self) -> None:
        now = self._resident()
        grown = max(0, now - self._last_resident)
        self._last_resident = now
        oldest = self._clock() - HANGING
        growing = [reservation for reservation in self._loading if reservation.since > oldest]
        for reservation in growing:
            reservation.grown += grown / len(growing)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
