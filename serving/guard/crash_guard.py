"""Refuse models that end the server process while they load or compute, or never end.

A crafted or corrupt file can end the process from inside TensorFlow or LiteRT. Each process
therefore notes which models it is loading and computing at this moment, in a file that outlives
it. When the next process starts, it reads the files that dead processes left. A model found there
is a suspect: it loads and computes while no other suspect does, so that of several suspects only
the one that ends the process again is found a second time. A model that was found twice within ten
minutes is refused when it is loaded, until the first of the two crashes is ten minutes old.

One crash refuses nothing: it may be an operator's `kill -9` while a healthy model was at work. A
suspect that finishes loading, or computing, is cleared of the crashes during that activity.

A load or computation that passed its time limit is certain: once is enough to refuse the model, for
an hour. The process then ends on purpose, and nothing else that it was doing is a suspect.
"""

import errno
import fcntl
import hashlib
import logging
import mmap
import os
import queue
import re
import struct
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from serving.errors import ModelRefused

log = logging.getLogger(__name__)

CRASHES = 2  # within WINDOW, after which a model is refused
WINDOW = 600.0  # seconds that a crash counts
SLOTS = 256  # loads and computations at once; more have to wait
SLOT = struct.Struct("=d32s")  # when the activity began (Unix time) and its key; zeros: free
FREE = (0.0, b"")
KEY = re.compile(rb"[LC][0-9a-f]{31}")
SLOT_FILE, CRASH_FILE = ".slots", ".crash"  # endings of names
OVERRUN_FILE = ".overrun"  # `<key>.overrun`, dated when it was noticed
REFUSED_FOR = 3600.0  # seconds after an overrun


@dataclass(frozen=True)
class Activity:
    """Something that a model does in the process. code: the first character of its keys."""

    code: str
    text: str


LOADING = Activity("L", "was loading")
COMPUTING = Activity("C", "was computing")


def default_folder() -> Path:
    """This user's folder among the temporary files; it may not be writable."""
    name = f"facet-serving-{os.getuid()}"
    with suppress(FileNotFoundError):
        return Path(tempfile.gettempdir(), name)
    return Path("/tmp", name)


class CrashGuard:
    """The crashes of processes that used the same folder, and this process's slot file.

    Threads may share a guard, and processes a folder; a process learns of crashes when it starts.
    If the folder cannot be written, the guard logs a warning and refuses nothing.

    A model is known by the path of the file or folder that its runtime opens. The slot file is
    locked while its process lives, and mapped into memory: noting a computation takes no system
    call. Each crash of a model is a file `<key>.<process>.crash`, dated when the activity began.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], float] = time.time,
        load_wait: float = 10.0,
        compute_wait: float = 5.0,
    ) -> None:
        """Waits: seconds after which a suspect goes ahead although another one is still at work."""
        self._folder = folder
        self._now = now
        self._waits = {LOADING: load_wait, COMPUTING: compute_wait}
        self._crashes: dict[bytes, list[float]] = {}
        self._overruns: dict[bytes, float] = {}
        self._one_suspect = threading.Lock()
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(SLOTS):
            self._free.put(slot * SLOT.size)
        self._slot_file: Path | None = None
        self._slots: mmap.mmap | None = None
        self._open = ExitStack()
        try:
            self._begin()
        except OSError as error:
            log.warning(
                "models that end the process will not be refused, because %s cannot be written: "
                "%s. Set FACET_SERVING_STATE to a folder that can",
                *(folder, error.strerror or error),
            )

    def close(self) -> None:
        """Leave the slot file as a dying process would. Nothing is noted from now on."""
        self._slots = None
        self._open.close()

    def end_on_purpose(self) -> None:
        """Remove the slot file: what the process was doing is no suspect in the next one."""
        self._slots = None
        if self._slot_file is not None:
            with suppress(OSError):
                self._slot_file.unlink(missing_ok=True)

    def overran(self, activity: Activity, source: Path) -> None:
        """Refuse a model from now on, in later processes too."""
        key = _key(activity, source)
        self._overruns[key] = self._now()
        try:
            overrun = self._folder / f"{key.decode()}{OVERRUN_FILE}"
            overrun.touch()
            os.utime(overrun, (self._now(), self._now()))
        except OSError as error:
            log.warning("%s will be loaded again after a restart: %s", source, error)

    @contextmanager
    def loading(self, source: Path, model: str) -> Iterator[None]:
        """Note that `source` is being loaded. Raises ModelRefused, which calls it `model`."""
        if self._overruns or self._crashes:
            for activity in (LOADING, COMPUTING):
                self._refuse(_key(activity, source), activity, model)
        with self._note(LOADING, _key(LOADING, source)):
            yield

    def computing(self, source: Path) -> Callable[[], AbstractContextManager[None]]:
        """A function whose result is entered around each computation of a loaded model."""
        return partial(self._note, COMPUTING, _key(COMPUTING, source))

    def _note(self, activity: Activity, key: bytes) -> "_Note":
        return _Note(self, activity, key)

    def begin(self, activity: Activity, key: bytes) -> tuple[int, bool, bool]:
        """Note an activity, once no other suspect is at work if it is a suspect's.

        Returns its slot, and whether it is a suspect's, and the only one.
        """
        suspect = key in self._crashes
        alone = suspect and self._one_suspect.acquire(timeout=self._waits[activity])
        slot = self._free.get()
        self._write(slot, self._now(), key)
        return slot, suspect, alone

    def end(self, key: bytes, slot: int, suspect: bool, alone: bool) -> None:
        """Note that an activity has ended, with or without an error."""
        self._write(slot, *FREE)
        self._free.put(slot)
        if suspect:
            self._clear(key)
        if alone:
            self._one_suspect.release()

    def _write(self, slot: int, began: float, key: bytes) -> None:
        if self._slots is not None:
            SLOT.pack_into(self._slots, slot, began, key)

    def _begin(self) -> None:
        """Read what dead processes left, and map this process's slot file. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Path(self._folder, "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for slot_file in self._folder.glob(f"*{SLOT_FILE}"):
                _record_crashes(slot_file)
            for crash in self._folder.glob(f"*{CRASH_FILE}"):
                self._read_crash(crash)
            for overrun in self._folder.glob(f"*{OVERRUN_FILE}"):
                self._read_overrun(overrun)
            self._slot_file = self._folder / f"{uuid.uuid4().hex}{SLOT_FILE}"
            self._slots = self._map_slots(self._slot_file)

    def _map_slots(self, path: Path) -> mmap.mmap:
        """Create and lock the slot file. Raises OSError."""
        size = SLOTS * SLOT.size
        with ExitStack() as opened:
            file = opened.enter_context(path.open("w+b", buffering=0))
            fcntl.flock(file, fcntl.LOCK_EX)
            # Write zeros: storing to a mapped page without a block kills, if the disk is full.
            if file.write(bytes(size)) < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            slots = opened.enter_context(mmap.mmap(file.fileno(), size))
            self._open = opened.pop_all()
            return slots

    def _read_crash(self, crash: Path) -> None:
        with suppress(FileNotFoundError):  # another process has just cleared the model
            when = crash.stat().st_mtime
            if when + WINDOW < self._now():
                crash.unlink()
            else:
                self._crashes.setdefault(crash.name.split(".")[0].encode(), []).append(when)

    def _read_overrun(self, overrun: Path) -> None:
        with suppress(FileNotFoundError):  # another process has just removed it
            when = overrun.stat().st_mtime
            if when + REFUSED_FOR < self._now():
                overrun.unlink()
            else:
                self._overruns[overrun.stem.encode()] = when

    def _refuse(self, key: bytes, activity: Activity, model: str) -> None:
        now = self._now()
        overran = self._overruns.get(key)
        if overran is not None and overran + REFUSED_FOR >= now:
            raise ModelRefused(
                f"Model {model} was stopped, because it did not end while it {activity.text} "
                f"({_clock(overran)}). It is refused until {_clock(overran + REFUSED_FOR)}. Upload "
                "a corrected version, or try again after that time."
            )
        times = sorted(when for when in self._crashes.get(key, []) if when + WINDOW >= now)
        if len(times) >= CRASHES:
            raise ModelRefused(
                f"Model {model} ended the container {len(times)} times while it {activity.text} "
                f"({', '.join(map(_clock, times))}). It is refused until "
                f"{_clock(times[-CRASHES] + WINDOW)}. Upload a corrected version, or try again "
                "after that time."
            )

    def _clear(self, key: bytes) -> None:
        self._crashes.pop(key, None)
        with suppress(OSError):  # the crashes expire by themselves
            for crash in self._folder.glob(f"{key.decode()}.*{CRASH_FILE}"):
                crash.unlink(missing_ok=True)


class _Note:
    """An activity that is noted while the `with` block runs. Every request enters one, and a
    generator would take four times as long.
    """

    __slots__ = ("_activity", "_guard", "_key", "_noted")

    def __init__(self, guard: CrashGuard, activity: Activity, key: bytes) -> None:
        self._guard = guard
        self._activity = activity
        self._key = key

    def __enter__(self) -> None:
        self._noted = self._guard.begin(self._activity, self._key)

    def __exit__(self, *_: object) -> None:
        self._guard.end(self._key, *self._noted)


def _key(activity: Activity, source: Path) -> bytes:
    return (activity.code + hashlib.sha256(os.fsencode(source)).hexdigest()[:31]).encode()


def _record_crashes(slot_file: Path) -> None:
    """Turn a dead process's slot file into one crash file for each activity in it."""
    with slot_file.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # its process lives
            return
        content = file.read()
        for began, key in SLOT.iter_unpack(content[: len(content) // SLOT.size * SLOT.size]):
            if KEY.fullmatch(key):
                crash = slot_file.with_name(f"{key.decode()}.{slot_file.stem}{CRASH_FILE}")
                crash.touch()
                os.utime(crash, (began, began))
        slot_file.unlink()


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S UTC")
