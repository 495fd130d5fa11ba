"""local/state.py: what was written is there for the next process."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.state import Event, ObjectVersion, State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path)
    yield opened
    opened.close()


def reopened(state: State, folder: Path) -> State:
    state.close()
    return State(folder)


def version(name: str, **more: object) -> ObjectVersion:
    return ObjectVersion("bucket", "key", name, "2026-01-02T03:04:05", **more)  # type: ignore[arg-type]


def test_keeps_order_and_bytes_of_object_versions(state: State, tmp_path: Path) -> None:
    versions = [version("b", etag="e", metadata={"content-type": "x"}), version("a", marker=True)]
    state.keep_content("b", io.BytesIO(b"bytes"))
    state.keep_versions("bucket", "key", versions)
    state = reopened(state, tmp_path)
    assert list(state.objects("bucket")) == versions
    assert state.content("b").read_bytes() == b"bytes"
    assert list(state.objects("other")) == []
    state.close()


def test_deletes_the_bytes_of_a_deleted_version(state: State) -> None:
    for name in "ab":
        state.keep_content(name, io.BytesIO(b"x"))
    state.keep_versions("bucket", "key", [version("a"), version("b")])
    state.keep_versions("bucket", "key", [version("b")])
    assert not state.content("a").exists()
    assert state.content("b").exists()
    state.keep_versions("bucket", "key", [])
    assert list(state.objects("bucket")) == []


def test_does_not_keep_content_that_breaks_off(state: State) -> None:
    class Broken(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        state.keep_content("a", Broken())
    assert not state.content("a").exists()


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
    def put(key: str, *versions: ObjectVersion) -> None:
        for each in versions:
            state.keep_content(each.version, io.BytesIO(each.version.encode()))
        state.keep_versions("bucket", key, list(versions))

    put("a/1", version("old"), version("new"))
    put("a/gone", version("was"), version("mark", marker=True))
    put("a/back", version("lost", marker=True), version("again"))
    put("ab/2", version("beside"))
    put("a%/3", version("literal"))
    found = {key: path.read_text() for key, path in state.newest("bucket", "a/").items()}
    assert found == {"a/1": "new", "a/back": "again"}
    assert set(state.newest("bucket", "a%")) == {"a%/3"}
    assert state.newest("other", "a/") == {}
