"""Models whose loading ended the process: refused for a while when it started again."""

import fcntl
import hashlib
import logging
import os
import queue
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from serving.errors import LoadFailed

log = logging.getLogger(__name__)

ENOUGH = 2  # strikes; one may be an operator's `kill -9` during an innocent load
WINDOW = 600.0  # seconds that a strike counts
LOADING, STRIKE = ".loading", ".strike"
KEY = 32  # bytes that stand for a model
SLOTS = 64  # models opened at once; more have to wait
NOTHING = b"\0" * KEY


def default_folder() -> Path:
    """Where the state is if nobody says otherwise; it may be that it cannot be written."""
    name = f"facet-serving-{os.getuid()}"
    with suppress(FileNotFoundError):
        return Path(tempfile.gettempdir(), name)
    return Path("/tmp", name)


class CrashGuard:
    """What loading did to processes before this one. For use by several threads.

    A process has a file in `folder`, locked while it lives, with the keys of the models that it
    is opening. The keys in a file that nobody has locked are strikes against their models for
    WINDOW seconds. Processes may share a folder; one that cannot be written is not used.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now
        self._times: dict[str, list[float]] = {}
        self._one_by_one = threading.Lock()
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(SLOTS):
            self._free.put(slot)
        self._file: int | None = None
        try:
            self._file = self._begin()
        except OSError as error:
            log.warning("a model that ends the process on load will not be refused: %s", error)

    def close(self) -> None:
        """As the process's end does: what is being opened becomes a strike. No call may follow."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextmanager
    def watch(self, model: Path) -> Iterator[None]:
        """To be around the opening of that file or folder. Raises LoadFailed on two strikes.

        Models with one strike are opened one by one: of several that were being opened when the
        process died, only the one that does it again gets its second.
        """
        key = hashlib.sha256(os.fsencode(model)).hexdigest()[:KEY]
        self._refuse(key)
        with ExitStack() as opening:
            if key in self._times:
                opening.callback(self._forgive, key)
                opening.enter_context(self._one_by_one)
            slot = self._free.get()
            opening.callback(self._free.put, slot)
            self._write(slot, key.encode())
            opening.callback(self._write, slot, NOTHING)
            yield

    def _begin(self) -> int:
        """Learn what happened, and open this process's file."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Path(self._folder, "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self._folder.glob(f"*{LOADING}"):
                _convict(left)
            for strike in self._folder.glob(f"*{STRIKE}"):
                self._learn(strike)
            own = os.open(self._folder / f"{uuid.uuid4().hex}{LOADING}", os.O_CREAT | os.O_WRONLY)
            fcntl.flock(own, fcntl.LOCK_EX)
            return own

    def _learn(self, strike: Path) -> None:
        with suppress(FileNotFoundError):  # another process may have forgiven it just now
            when = strike.stat().st_mtime
            if when + WINDOW < self._now():
                strike.unlink()
            else:
                self._times.setdefault(strike.name[:KEY], []).append(when)

    def _refuse(self, key: str) -> None:
        now = self._now()
        times = sorted(each for each in self._times.get(key, []) if each + WINDOW >= now)
        if len(times) >= ENOUGH:
            raise LoadFailed(
                f"loading it ended the process {len(times)} times "
                f"({', '.join(map(_clock, times))}); "
                f"it is tried again from {_clock(times[-ENOUGH] + WINDOW)} on"
            )

    def _write(self, slot: int, key: bytes) -> None:
        if self._file is not None:
            with suppress(OSError):  # the disk is full: this load is not watched
                os.pwrite(self._file, key, slot * KEY)

    def _forgive(self, key: str) -> None:
        """The process lives: the model is innocent, also of what came before."""
        self._times.pop(key, None)
        for strike in self._folder.glob(f"{key}*{STRIKE}"):
            strike.unlink(missing_ok=True)


def _convict(left: Path) -> None:
    """Turn the keys in a file that nobody has locked into strikes."""
    with left.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        when = left.stat().st_mtime
        for key in iter(lambda: file.read(KEY), b""):
            if key != NOTHING:
                strike = left.with_name(f"{key.decode()}.{left.stem}{STRIKE}")
                strike.touch()
                os.utime(strike, (when, when))
        left.unlink()


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S UTC")
