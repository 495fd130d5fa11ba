"""Who takes how much memory: measured, and held to a budget."""

import ctypes
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serving.errors import NoRoom

PAGE = os.sysconf("SC_PAGE_SIZE")
# The limit of the container's control group, version 2 and version 1.
LIMIT_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
SHARE_FOR_MODELS = 0.8  # of the limit; the rest is for requests in flight and for the system
SHARE_FOR_US = 0.95  # of the machine
SUSPENDED = 60.0  # seconds after which a load that has not ended is charged no more growth
M_ARENA_MAX = -8  # malloc.h
STACKS = 512_000_000  # bytes set aside for threads; they count as data, used or not


def resident_bytes() -> int:
    """Memory of this process now; where there is no /proc (macOS), the most it ever took."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * PAGE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def machine_bytes() -> int:
    """Memory that this process may take: the machine's, or its control group's where less."""
    limits = [os.sysconf("SC_PHYS_PAGES") * PAGE]
    for file in LIMIT_FILES:
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)


def spare_bytes() -> int:
    """The default budget: a share of the machine, less what the process takes already."""
    return max(0, int(machine_bytes() * SHARE_FOR_MODELS) - resident_bytes())


def process_limit(budget: int) -> int:
    """What the whole process may take where its models may take `budget`; to ask at the start."""
    return min(
        int(machine_bytes() * SHARE_FOR_US), resident_bytes() + int(budget / SHARE_FOR_MODELS)
    )


def cap(limit: int) -> None:
    """Allocations beyond `limit` resident bytes fail, and harm nothing but who asked (Linux).

    Else the system would kill the process, or another one.
    """
    if sys.platform == "linux":
        unused = _data_bytes() - resident_bytes()
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = limit + max(0, unused) + STACKS
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    """What the system counts against RLIMIT_DATA."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024


def few_arenas() -> None:
    """Threads share two heaps, which break into fewer pieces than one for each (glibc).

    To be called before there are threads. With 600 models and 3,000 of them replaced, memory grew
    from 524 to 673 MB without, 601 MB with it.
    """
    if sys.platform == "linux" and (option := getattr(ctypes.CDLL(None), "mallopt", None)):
        option(M_ARENA_MAX, 2)


def trim() -> None:
    """Gives memory that was freed back to the system, where the C library can (glibc)."""
    if sys.platform == "linux" and (release := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        release(0)


@dataclass(eq=False)
class Reservation:
    """What one owner takes: the larger of its estimate and the growth seen while it loaded.

    since: when its load began, on the ledger's clock.
    """

    owner: str
    estimate: int
    since: float
    grown: float = field(default=0.0)

    @property
    def size(self) -> int:
        """In bytes."""
        return max(self.estimate, int(self.grown))


class MemoryBudget:
    """The charges of all owners, together within `budget` bytes. Not for use by two threads.

    And whatever was charged: who would take the process over `limit` bytes in memory is refused.

    Growth of the process is shared out evenly among the owners that are loading at that time, but
    for those that hang.
    Estimates are the floor: memory that a runtime had freed but kept, and now uses again, does
    not show as growth.
    """

    def __init__(
        self,
        budget: int,
        limit: int,
        resident: Callable[[], int] = resident_bytes,
        trim: Callable[[], None] = trim,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self._limit = limit
        self._resident = resident
        self.trim = trim
        self._clock = clock
        self._seen = 0
        self._settled = 0
        self._charges: set[Reservation] = set()
        self._loading: set[Reservation] = set()
        self._refused: dict[str, int] = {}

    @property
    def used(self) -> int:
        """Bytes charged to all owners."""
        return self._settled + sum(charge.size for charge in self._loading)

    def open(self, owner: str, estimate: int) -> Reservation:
        """A charge for an owner that starts to load now. Raises NoRoom."""
        charge = Reservation(owner, max(estimate, self._refused.get(owner, 0)), self._clock())
        self._refuse_beyond_budget(charge, self.used + charge.size)
        self._refuse_in_danger(charge)
        self._sample()
        self._charges.add(charge)
        self._loading.add(charge)
        return charge

    def settle(self, charge: Reservation) -> None:
        """End of loading. Raises NoRoom, and drops the charge, where it outgrew the budget.

        The next `open` for that owner then asks for what was measured.
        """
        self.keep(charge)
        try:
            self._refuse_beyond_budget(charge, self.used)
        except NoRoom:
            self._refused[charge.owner] = min(charge.size, self.budget)
            self.release(charge)
            raise
        self._refused.pop(charge.owner, None)

    def keep(self, charge: Reservation) -> None:
        """End of loading of what cannot be unloaded again."""
        self._sample()
        self._loading.remove(charge)
        self._settled += charge.size

    def release(self, charge: Reservation) -> None:
        """The owner is gone."""
        self._sample()
        if charge in self._charges:
            self._charges.remove(charge)
            if charge in self._loading:
                self._loading.remove(charge)
            else:
                self._settled -= charge.size

    def _refuse_beyond_budget(self, charge: Reservation, used: int) -> None:
        if used > self.budget:
            raise NoRoom(
                f"Memory exhausted: not enough memory to load model {charge.owner}: it takes "
                f"{_megabytes(charge.size)}, others {_megabytes(used - charge.size)} of "
                f"{_megabytes(self.budget)}."
            )

    def _refuse_in_danger(self, charge: Reservation) -> None:
        if self._resident() + charge.size > self._limit:
            self.trim()
        if (taken := self._resident()) + charge.size > self._limit:
            raise NoRoom(
                f"Memory exhausted: not enough memory to load model {charge.owner}: it takes "
                f"{_megabytes(charge.size)}, the process {_megabytes(taken)} of "
                f"{_megabytes(self._limit)}."
            )

    def _sample(self) -> None:
        now = self._resident()
        grown = max(0, now - self._seen)
        self._seen = now
        oldest = self._clock() - SUSPENDED
        growing = [charge for charge in self._loading if charge.since > oldest]
        for charge in growing:
            charge.grown += grown / len(growing)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
