"""Packed weights of models on disk, so that they are mapped and not made for each load.

Copies of models with float16 weights (`float16.py`) are kept here, too.

XNNPACK packs a model's weights for the processor. It ends the process if it cannot write them, or
if what it reads is damaged, so it writes to memory only, and reads only files whose checksum was
compared. A file's name is `<model>-<checksum>`; `<model>` is a digest of the model's file, of
LiteRT's library and of the processor.
"""

import hashlib
import logging
import os
import platform
import resource
import stat
import sys
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serving import memory
from serving.litert import binding

log = logging.getLogger(__name__)

FOLDER = "weights"
IN_MEMORY = {"tmpfs", "ramfs"}
"""File systems whose files are memory that the system cannot take back."""
SHARE = 0.5
"""Of the free space of the disk, that the files may take by default."""
BUILT_PER_BYTE = 3
"""Memory in which a model's files are made, for each of its bytes. Those with float16 weights take
that much, others a third."""
CHUNK = 1 << 20
PROCESSOR = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU ")
"""How lines of /proc/cpuinfo begin that say which kernels of XNNPACK run here."""
ABANDONED = 600.0  # seconds after which an unfinished file is nobody's


@dataclass
class _File:
    """A file in the folder. checked: its checksum was compared in this process."""

    name: str
    size: int
    checked: bool = False


class WeightCache:
    """The files of one folder. Threads may share it, and processes a folder."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        """limit: bytes of all files; None for a share of the free space.

        Raises OSError if the folder cannot be used.
        """
        self._folder = _opened(folder)
        self._lock = threading.Lock()
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._bytes = 0
        self._building = 0
        self._warned = False
        self._runtime = _runtime()
        self._read_folder()
        free = os.statvfs(self._folder)
        self.limit = limit or int(SHARE * free.f_bavail * free.f_frsize) + self._bytes
        self._make_room()

    def key(self, digest: bytes) -> str:
        """The model's name in the folder. digest: of its file."""
        return hashlib.sha256(self._runtime + digest).hexdigest()[:32]

    @contextmanager
    def found(self, key: str) -> Iterator[int | None]:
        """A file descriptor of a model's weights, None if there are none or they are damaged."""
        descriptor = self._open(key)
        try:
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @contextmanager
    def building(self, size: int) -> Iterator[bool]:
        """Whether files of `size` bytes may be made in memory, before they are written.

        No limit of the process counts them, but that of the machine or its control group does.
        """
        with self._lock:
            self._building += size
            building = self._building
        try:
            yield memory.has_room_for(building)
        finally:
            with self._lock:
                self._building -= size

    def keep(self, key: str, source: int) -> bool:
        """Copy a model's weights into the folder; whether that succeeded.

        source: a file descriptor, from whose start they are read.
        """
        size = os.fstat(source).st_size
        if size > self.limit:
            return False
        unfinished = f".{uuid.uuid4().hex}"
        try:
            checksum = self._copy(source, unfinished)
            name = f"{key}-{checksum}"
            os.rename(unfinished, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            self._warn_once(error)
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=self._folder)
            return False
        with self._lock:
            self._forget(key)
            self._files[key] = _File(name, size, checked=True)
            self._bytes += size
            self._make_room()
            return key in self._files

    def _open(self, key: str) -> int | None:
        with self._lock:
            file = self._files.get(key)
            if file is None:
                return None
            self._files.move_to_end(key)
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(file.name, flags, dir_fd=self._folder)
        except OSError:  # another process has removed it
            descriptor = None
        if descriptor is not None and (file.checked or self._check(descriptor, file)):
            return descriptor
        with self._lock:
            if self._files.get(key) is file:
                self._remove(key)
        if descriptor is not None:
            os.close(descriptor)
        return None

    def _check(self, descriptor: int, file: _File) -> bool:
        """Whether a file is ours and has its checksum."""
        found = os.fstat(descriptor)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if ours and found.st_size == file.size:
            with os.fdopen(descriptor, "rb", closefd=False) as content:
                checksum = hashlib.file_digest(content, "sha256").hexdigest()[:32]
            file.checked = file.name.endswith(f"-{checksum}")
        if file.checked:
            with suppress(OSError):
                os.utime(file.name, dir_fd=self._folder)
        else:
            log.warning("packed weights %s are damaged; they will be made again", file.name)
        return file.checked

    def _copy(self, source: int, name: str) -> str:
        """Write a file's content; its checksum. Raises OSError."""
        checksum = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o400, dir_fd=self._folder)
        try:
            at = 0
            while part := os.pread(source, CHUNK, at):
                part = part[: os.write(descriptor, part)]
                checksum.update(part)
                at += len(part)
        finally:
            os.close(descriptor)
        return checksum.hexdigest()[:32]

    def _warn_once(self, error: OSError) -> None:
        if not self._warned:
            log.warning("packed weights cannot be kept: %s", error.strerror or error)
        self._warned = True

    def _make_room(self) -> None:
        """Remove the least recently used files until the others are within the limit."""
        while self._bytes > self.limit:
            self._remove(next(iter(self._files)))

    def _remove(self, key: str) -> None:
        name = self._files[key].name
        self._forget(key)
        with suppress(OSError):
            os.unlink(name, dir_fd=self._folder)

    def _forget(self, key: str) -> None:
        if file := self._files.pop(key, None):
            self._bytes -= file.size

    def _read_folder(self) -> None:
        """Take over what is in the folder, oldest first."""
        with os.scandir(self._folder) as entries:
            found = [(entry.stat(follow_symlinks=False), entry.name) for entry in entries]
        now = time.time()
        for status, name in sorted(found, key=lambda each: each[0].st_mtime):
            if name.startswith("."):
                if status.st_mtime + ABANDONED < now:
                    with suppress(OSError):
                        os.unlink(name, dir_fd=self._folder)
                continue
            key = name.partition("-")[0]
            if key in self._files:
                self._remove(key)
            self._files[key] = _File(name, status.st_size)
            self._bytes += status.st_size


def _opened(folder: Path) -> int:
    """A file descriptor of our own folder, made if it is not there. Raises OSError."""
    if sys.platform != "linux":
        raise OSError("that needs Linux")
    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        raise OSError("the size of files is limited (RLIMIT_FSIZE), in memory too")
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (kind := _file_system(folder.parent.stat().st_dev)) in IN_MEMORY:
        raise OSError(f"{folder.parent} is in memory ({kind})")
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise OSError(f"others may write or read {folder}; its mode must be 0700")
        if not os.access(".", os.W_OK, dir_fd=descriptor):
            raise OSError(f"{folder} cannot be written")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _file_system(device: int) -> str:
    """The type of a mounted file system, empty if it is not found."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0]
    return ""


def _runtime() -> bytes:
    """A digest of what decides how weights are packed, besides the model."""
    digest = hashlib.sha256(f"{binding.VERSION} {platform.machine()}".encode())
    digest.update(binding.path().read_bytes())
    processor, _, _ = Path("/proc/cpuinfo").read_text().partition("\n\n")
    for line in processor.splitlines():
        if line.startswith(PROCESSOR):
            digest.update(line.encode())
    return digest.digest()
