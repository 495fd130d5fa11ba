"""The durable state of a stack: one SQLite file, and one file for each S3 object version."""

import json
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

# Write-ahead logging without a sync for each commit takes a third of the time. It survives a crash
# of the process, but the last commits may be lost with the power.
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT, key TEXT, version TEXT, position INTEGER, marker INTEGER, modified TEXT,
    etag TEXT, metadata TEXT, PRIMARY KEY (bucket, key, version));
CREATE TABLE IF NOT EXISTS items (
    owner TEXT, key TEXT, item TEXT, PRIMARY KEY (owner, key));
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, function TEXT, payload BLOB);
CREATE TABLE IF NOT EXISTS texts (name TEXT PRIMARY KEY, value TEXT);
"""


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an S3 object; `marker` for a delete marker, which has no content.

    `modified` is ISO 8601.
    """

    bucket: str
    key: str
    version: str
    modified: str
    marker: bool = False
    etag: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """An asynchronous invocation that is still to be made or retried."""

    id: str
    function: str
    payload: bytes


class State:
    """Writes through: when a method returns, its change is in the files."""

    def __init__(self, folder: Path) -> None:
        self._contents = folder / "objects"
        self._contents.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(folder / "state.db", check_same_thread=False)
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def content(self, version: str) -> Path:
        """The file with the bytes of an object version."""
        return self._contents / version

    def keep_content(self, version: str, content: BinaryIO) -> None:
        """Writes the bytes of an object version, all or none."""
        part = self._contents / f"{version}.part"
        with part.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        part.replace(self.content(version))

    def keep_versions(self, bucket: str, key: str, versions: list[ObjectVersion]) -> None:
        """Replaces the versions of a key, and deletes the contents of versions that are gone."""
        rows = [
            (bucket, key, each.version, position, each.marker, each.modified, each.etag,
             json.dumps(each.metadata))
            for position, each in enumerate(versions)
        ]  # fmt: skip
        here = {each.version for each in versions}
        with self._lock, self._database as database:
            old = database.execute(
                "SELECT version FROM objects WHERE bucket = ? AND key = ?", (bucket, key)
            ).fetchall()
            database.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
            database.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        for (gone,) in old:
            if gone not in here:
                self.content(gone).unlink(missing_ok=True)

    def objects(self, bucket: str) -> Iterator[ObjectVersion]:
        """All object versions of a bucket, each key's in the order in which they were written."""
        rows = self._rows(
            "SELECT bucket, key, version, modified, marker, etag, metadata FROM objects"
            " WHERE bucket = ? ORDER BY key, position",
            bucket,
        )
        for name, key, version, modified, marker, etag, metadata in rows:
            yield ObjectVersion(
                name, key, version, modified, bool(marker), etag, json.loads(metadata)
            )

    def newest(self, bucket: str, prefix: str) -> dict[str, Path]:
        """The current objects whose keys begin with `prefix`, and the files with their bytes."""
        rows = self._rows(
            "SELECT key, version, marker, MAX(position) FROM objects"
            " WHERE bucket = ? AND substr(key, 1, length(?)) = ? GROUP BY key",
            *(bucket, prefix, prefix),
        )
        return {key: self.content(version) for key, version, marker, _ in rows if not marker}

    def keep_item(self, owner: str, key: str, item: dict[str, Any] | None) -> None:
        """Writes one item of a table or queue, or deletes it if `item` is None."""
        with self._lock, self._database as database:
            if item is None:
                database.execute("DELETE FROM items WHERE owner = ? AND key = ?", (owner, key))
            else:
                database.execute(
                    "INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (owner, key, json.dumps(item))
                )

    def keep_items(self, owner: str, items: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Replaces all items of an owner."""
        rows = [(owner, key, json.dumps(item)) for key, item in items]
        with self._lock, self._database as database:
            database.execute("DELETE FROM items WHERE owner = ?", (owner,))
            database.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)

    def items(self, owner: str) -> list[dict[str, Any]]:
        """All items of a table or queue."""
        rows = self._rows("SELECT item FROM items WHERE owner = ? ORDER BY rowid", owner)
        return [json.loads(item) for (item,) in rows]

    def keep_event(self, event: Event) -> None:
        """Keeps an event until `forget_event`."""
        with self._lock, self._database as database:
            database.execute(
                "INSERT OR REPLACE INTO events VALUES (?, ?, ?)",
                (event.id, event.function, event.payload),
            )

    def forget_event(self, event_id: str) -> None:
        """Deletes an event, which succeeded or was given up."""
        with self._lock, self._database as database:
            database.execute("DELETE FROM events WHERE id = ?", (event_id,))

    def events(self) -> list[Event]:
        """The events that are kept, the oldest first."""
        return [
            Event(*row)
            for row in self._rows("SELECT id, function, payload FROM events ORDER BY rowid")
        ]

    def secret(self, name: str) -> str:
        """A random string by name, made at its first use and kept."""
        with self._lock, self._database as database:
            database.execute(
                "INSERT OR IGNORE INTO texts VALUES (?, ?)", (name, secrets.token_urlsafe(30))
            )
            row = database.execute("SELECT value FROM texts WHERE name = ?", (name,)).fetchone()
            return str(row[0])

    def _rows(self, query: str, *values: str) -> list[Any]:
        with self._lock:
            return self._database.execute(query, values).fetchall()
