"""What a stack keeps in its SQLite file: object versions, items, messages, events, secrets."""

import hashlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.storage.objects import Content, ObjectFiles

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT, key TEXT, version TEXT, position INTEGER, marker INTEGER, modified TEXT,
    etag TEXT, metadata TEXT, file TEXT, size INTEGER, sha256 TEXT,
    PRIMARY KEY (bucket, key, version));
CREATE TABLE IF NOT EXISTS items (
    owner TEXT, key TEXT, item TEXT, PRIMARY KEY (owner, key));
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, function TEXT, payload BLOB);
CREATE TABLE IF NOT EXISTS texts (name TEXT PRIMARY KEY, value TEXT);
"""

MIGRATION = """
ALTER TABLE objects ADD COLUMN file TEXT;
ALTER TABLE objects ADD COLUMN size INTEGER;
ALTER TABLE objects ADD COLUMN sha256 TEXT;
"""
"""For states of Facet 0.2.0 and before, whose files had the names of their versions."""


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an S3 object; a delete marker has no content. `modified` is ISO 8601."""

    bucket: str
    key: str
    version: str
    modified: str
    content: Content | None = None
    etag: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """An asynchronous invocation that is still to be made or retried."""

    id: str
    function: str
    payload: bytes


class State:
    """Writes through: when a method returns, its change is on the disk.

    Methods that write raise sqlite3.OperationalError when the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.files = ObjectFiles(folder / "objects")
        self._lock = threading.Lock()
        self._database = sqlite3.connect(folder / "state.db", check_same_thread=False)
        self._database.executescript(SCHEMA)
        self._migrate()

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def keep_versions(self, bucket: str, key: str, versions: list[ObjectVersion]) -> None:
        """Replaces the versions of a key, and deletes the files of versions that are gone."""
        self.keep_keys(bucket, {key: versions})

    def keep_keys(self, bucket: str, keys: Mapping[str, list[ObjectVersion]]) -> None:
        """Replaces the versions of several keys, all or none."""
        gone: list[str] = []
        with self._lock, self._database as database:
            for key, versions in keys.items():
                gone += _replace(database, bucket, key, versions)
        for file in gone:
            self.files.delete(file)

    def objects(self, bucket: str) -> list[ObjectVersion]:
        """All object versions of a bucket, each key's in the order in which they were written."""
        rows = self._rows(
            "SELECT bucket, key, version, modified, marker, etag, metadata, file, size, sha256"
            " FROM objects WHERE bucket = ? ORDER BY key, position",
            bucket,
        )
        return [
            ObjectVersion(
                *(name, key, version, modified),
                None if marker else Content(*content),
                etag,
                json.loads(metadata),
            )
            for name, key, version, modified, marker, etag, metadata, *content in rows
        ]

    def delete_unknown_files(self) -> None:
        """Deletes the objects' files that no version has: of writes that broke off."""
        known = self._rows("SELECT file FROM objects WHERE file IS NOT NULL")
        self.files.delete_others({file for (file,) in known})

    def newest(self, bucket: str, prefix: str) -> dict[str, Path]:
        """The current objects whose keys begin with `prefix`, and the files with their bytes."""
        rows = self._rows(
            "SELECT key, file, marker, MAX(position) FROM objects"
            " WHERE bucket = ? AND substr(key, 1, length(?)) = ? GROUP BY key",
            *(bucket, prefix, prefix),
        )
        return {key: self.files.path(file) for key, file, marker, _ in rows if not marker}

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

    def _migrate(self) -> None:
        """Gives each object version of an older state its digest, checked by its ETag."""
        columns = {name for _, name, *_ in self._rows("PRAGMA table_info(objects)")}
        if "file" not in columns:
            self._database.executescript(MIGRATION)
        rows = self._rows(
            "SELECT rowid, version, etag FROM objects WHERE file IS NULL AND marker = 0"
        )
        with self._lock, self._database as database:
            for rowid, version, etag in rows:
                size, sha256 = _adopted(self.files.path(version), etag.strip('"'))
                database.execute(
                    "UPDATE objects SET file = ?, size = ?, sha256 = ? WHERE rowid = ?",
                    (version, size, sha256, rowid),
                )


def _replace(
    database: sqlite3.Connection, bucket: str, key: str, versions: list[ObjectVersion]
) -> list[str]:
    """Replaces the rows of a key; returns the files that no row of it has any more."""
    rows = [
        (bucket, key, each.version, position, each.content is None, each.modified, each.etag,
         json.dumps(each.metadata), *_columns(each.content))
        for position, each in enumerate(versions)
    ]  # fmt: skip
    old = database.execute(
        "SELECT file FROM objects WHERE bucket = ? AND key = ? AND file IS NOT NULL", (bucket, key)
    ).fetchall()
    database.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
    database.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    kept = {each.content.file for each in versions if each.content}
    return [file for (file,) in old if file not in kept]


def _columns(content: Content | None) -> tuple[str | None, int | None, str | None]:
    return (content.file, content.size, content.sha256) if content else (None, None, None)


def _adopted(file: Path, etag: str) -> tuple[int, str]:
    """Size and SHA-256 of a file whose MD5 is `etag`; no digest if it is missing or damaged.

    The ETag of a multipart upload has a hyphen, and is no digest of the object.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return 0, ""
    damaged = (
        not content
        if "-" in etag
        else etag != hashlib.md5(content, usedforsecurity=False).hexdigest()
    )
    return len(content), "" if damaged else hashlib.sha256(content).hexdigest()
