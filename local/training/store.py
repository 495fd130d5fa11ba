"""Copies between S3 and the folders of a training job; inputs are links to the state's files."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from facet.errors import FacetError
from local.storage.state import State

SYNC_SECONDS = 5.0
"""Seconds between two uploads of a running job's checkpoints."""


class ObjectMissing(FacetError):
    """S3 has no object at a URI that the job names."""


class Store:
    """One bucket; `s3` is a client of the account that has it."""

    def __init__(self, state: State, bucket: str, s3: Any) -> None:
        self._state = state
        self._bucket = bucket
        self._s3 = s3

    def read(self, uri: str) -> bytes:
        """An object's bytes. Raises ObjectMissing."""
        key = self._key(uri)
        files = self._state.newest(self._bucket, key)
        if key not in files:
            raise ObjectMissing(f"{uri} does not exist")
        return files[key].read_bytes()

    def link(self, uri: str, folder: Path) -> None:
        """Links the objects below a prefix into `folder`. Raises ObjectMissing if none is there."""
        found = list(self._below(uri, folder))
        if not found:
            raise ObjectMissing(f"there are no objects below {uri}")
        for content, target in found:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(content, target)

    def fetch(self, uri: str, folder: Path) -> None:
        """Copies the objects below a prefix, if any, to files that may be changed."""
        for content, target in self._below(uri, folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read_bytes())

    def put(self, file: Path, uri: str) -> None:
        self._s3.upload_file(str(file), self._bucket, self._key(uri))

    def _key(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket != self._bucket:
            raise ObjectMissing(f"the local stack trains with its own bucket only, not with {uri}")
        return key

    def _below(self, uri: str, folder: Path) -> Iterator[tuple[Path, Path]]:
        """Each object's file and its path in the folder, without keys that lead out of it.

        An object that the URI names itself is right below the folder, as SageMaker has it.
        """
        named = self._key(uri)
        if content := self._state.newest(self._bucket, named).get(named):
            yield content, folder / named.rpartition("/")[2]
            return
        prefix = named.rstrip("/") + "/"
        for key, content in self._state.newest(self._bucket, prefix).items():
            parts = key.removeprefix(prefix).split("/")
            if all(part not in ("", ".", "..") for part in parts):
                yield content, folder.joinpath(*parts)


class Checkpoints:
    """Uploads the files of a folder soon after they are written, while the context lasts."""

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
        """Uploads files written since the last call; files deleted here stay in S3."""
        for path, stamp in list(self._stamps()):
            if self._seen.get(path) == stamp:
                continue
            with suppress(FileNotFoundError):  # being replaced: the next call uploads it
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
