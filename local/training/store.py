"""Between S3 and a job's folders. The stack has objects as files, so its own are linked."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from facet.errors import FacetError
from local.state import State

SYNC_SECONDS = 5.0
"""Between two looks at a running job's checkpoints."""


class NotThere(FacetError):
    """S3 does not have what a job is to work with."""


class Store:
    """One bucket; `s3` is a client of the account that has it."""

    def __init__(self, state: State, bucket: str, s3: Any) -> None:
        self._state = state
        self._bucket = bucket
        self._s3 = s3

    def read(self, uri: str) -> bytes:
        """An object's bytes. Raises NotThere."""
        key = self._key(uri)
        files = self._state.newest(self._bucket, key)
        if key not in files:
            raise NotThere(f"there is no {uri}")
        return files[key].read_bytes()

    def link(self, uri: str, folder: Path) -> None:
        """Makes `folder` show what lies below a prefix. Raises NotThere where nothing does."""
        found = list(self._below(uri, folder))
        if not found:
            raise NotThere(f"there is nothing at {uri}")
        for content, target in found:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(content, target)

    def fetch(self, uri: str, folder: Path) -> None:
        """Copies what lies below a prefix, if anything, to files that may be changed."""
        for content, target in self._below(uri, folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read_bytes())

    def put(self, file: Path, uri: str) -> None:
        """Uploads a file."""
        self._s3.upload_file(str(file), self._bucket, self._key(uri))

    def _key(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket != self._bucket:
            raise NotThere(f"the local stack trains with its own bucket only, not with {uri}")
        return key

    def _below(self, uri: str, folder: Path) -> Iterator[tuple[Path, Path]]:
        """Each object's file, and its place in the folder; keys that lead out of it are left."""
        prefix = self._key(uri).rstrip("/") + "/"
        for key, content in self._state.newest(self._bucket, prefix).items():
            parts = key.removeprefix(prefix).split("/")
            if all(part not in ("", ".", "..") for part in parts):
                yield content, folder.joinpath(*parts)


class Checkpoints:
    """A folder whose files are in S3 soon after they are written, while the context lasts."""

    def __init__(
        self,
        folder: Path,
        put: Callable[[Path, str], None],
        uri: str,
        seconds: float = SYNC_SECONDS,
    ) -> None:
        self._folder = folder
        self._put = put
        self._uri = uri.rstrip("/")
        self._seconds = seconds
        self._seen = dict(self._stamps())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="checkpoints", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.sync()

    def sync(self) -> None:
        """Uploads what was written since the last time; what has gone from here stays in S3."""
        for path, stamp in list(self._stamps()):
            if self._seen.get(path) == stamp:
                continue
            with suppress(FileNotFoundError):  # replaced at this moment: the next look has it
                self._put(path, f"{self._uri}/{path.relative_to(self._folder).as_posix()}")
                self._seen[path] = stamp

    def _watch(self) -> None:
        while not self._ended.wait(self._seconds):
            self.sync()

    def _stamps(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        for path in sorted(self._folder.rglob("*")):
            with suppress(FileNotFoundError):
                found = path.stat()
                if path.is_file():
                    yield path, (found.st_size, found.st_mtime_ns)
