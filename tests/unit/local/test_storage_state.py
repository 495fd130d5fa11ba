"""local/storage/state.py: what was written is there for the next process."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.storage.state import Event, ObjectVersion, State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path)
    yield opened
    opened.close()


def reopened(state: State, folder: Path) -> State:
    state.close()
    return State(folder)


def version(state: State, name: str, content: bytes | None = b"x", **more: object) -> ObjectVersion:
    """An object version; without content a delete marker."""
    written = None if content is None else state.files.write([content])
    return ObjectVersion("bucket", "key", name, "2026-01-02T03:04:05", written, **more)  # type: ignore[arg-type]


def test_keeps_order_and_bytes_of_object_versions(state: State, tmp_path: Path) -> None:
    first = version(state, "b", b"bytes", etag="e", metadata={"content-type": "x"})
    state.keep_versions("bucket", "key", [first, version(state, "a", None)])
    state = reopened(state, tmp_path)
    found, marker = state.objects("bucket")
    assert (found.version, found.etag, found.metadata) == ("b", "e", {"content-type": "x"})
    assert (marker.version, marker.content) == ("a", None)
    assert found.content
    assert state.files.path(found.content.file).read_bytes() == b"bytes"
    assert state.objects("other") == []
    state.close()


def test_deletes_the_bytes_of_a_deleted_version(state: State) -> None:
    first, second = version(state, "a"), version(state, "b")
    assert first.content
    assert second.content
    state.keep_versions("bucket", "key", [first, second])
    state.keep_versions("bucket", "key", [second])
    assert not state.files.path(first.content.file).exists()
    assert state.files.path(second.content.file).exists()
    state.keep_versions("bucket", "key", [])
    assert state.objects("bucket") == []


def test_deletes_files_that_no_version_has(state: State) -> None:
    kept, left = version(state, "a"), version(state, "b")
    assert kept.content
    assert left.content
    state.keep_versions("bucket", "key", [kept])
    state.delete_unknown_files()
    assert state.files.path(kept.content.file).exists()
    assert not state.files.path(left.content.file).exists()


MD5 = hashlib.md5(b"bytes").hexdigest()


@pytest.mark.parametrize(
    ("etag", "stored", "fault"),
    [
        (f'"{MD5}"', b"bytes", None),
        (f'"{MD5}-2"', b"bytes", None),
        (f'"{MD5}"', b"", "its file has other bytes than were written"),
        (f'"{MD5}-2"', b"", "its file has other bytes than were written"),
        (f'"{MD5}"', None, "its file is missing"),
    ],
)
def test_adopts_the_objects_of_an_older_state(
    etag: str, stored: bytes | None, fault: str | None, tmp_path: Path
) -> None:
    (tmp_path / "objects").mkdir()
    if stored is not None:
        (tmp_path / "objects" / "v").write_bytes(stored)
    row = ("bucket", "key", "v", 0, 0, "2026-01-02T03:04:05", etag, json.dumps({"a": "b"}))
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute(
            "CREATE TABLE objects (bucket TEXT, key TEXT, version TEXT, position INTEGER,"
            " marker INTEGER, modified TEXT, etag TEXT, metadata TEXT,"
            " PRIMARY KEY (bucket, key, version))"
        )
        database.execute("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    database.close()
    for _ in range(2):
        state = State(tmp_path)
        (found,) = state.objects("bucket")
        assert found.content
        assert state.files.fault(found.content) == fault
        assert found.metadata == {"a": "b"}
        state.close()


def test_replaces_and_deletes_items(state: State, tmp_path: Path) -> None:
    state.keep_item("table", "1", {"n": {"N": "1"}})
    state.keep_item("table", "2", {"n": {"N": "2"}})
    state.keep_item("table", "1", {"n": {"N": "3"}})
    state.keep_item("table", "2", None)
    state.keep_items("queue", [("m", {"body": "x"})])
    state.keep_items("queue", [("n", {"body": "y"})])
    state = reopened(state, tmp_path)
    assert state.items("table") == [{"n": {"N": "3"}}]
    assert state.items("queue") == [{"body": "y"}]
    state.close()


def test_keeps_events_until_they_are_forgotten(state: State, tmp_path: Path) -> None:
    first, second = Event("1", "F", b"one"), Event("2", "F", b"two")
    state.keep_event(first)
    state.keep_event(second)
    state.forget_event("1")
    state = reopened(state, tmp_path)
    assert state.events() == [second]
    state.close()


def test_a_secret_is_random_and_stays_the_same(state: State, tmp_path: Path) -> None:
    key, other = state.secret("key"), state.secret("other")
    assert key != other
    assert len(key) >= 30
    state = reopened(state, tmp_path)
    assert state.secret("key") == key
    state.close()


def test_finds_the_files_of_current_objects_below_a_prefix(state: State) -> None:
    def put(key: str, *names: str) -> None:
        """The versions of a key; a name that begins with - is a delete marker's."""
        state.keep_versions(
            "bucket",
            key,
            [version(state, each, None if each[0] == "-" else each.encode()) for each in names],
        )

    put("a/1", "old", "new")
    put("a/gone", "was", "-mark")
    put("a/back", "-lost", "again")
    put("ab/2", "beside")
    put("a%/3", "literal")
    found = {key: path.read_text() for key, path in state.newest("bucket", "a/").items()}
    assert found == {"a/1": "new", "a/back": "again"}
    assert set(state.newest("bucket", "a%")) == {"a%/3"}
    assert state.newest("other", "a/") == {}
