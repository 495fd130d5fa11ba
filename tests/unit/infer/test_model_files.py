"""Models on disk: read once, never used half-written or damaged, bounded in bytes."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infer.errors import ModelMissing, ModelTooLarge, StoreUnavailable
from infer.model_files import ModelFiles

A, B, C = (bytes([letter]) * 100 for letter in b"abc")


class Bucket:
    """Objects by key, in parts of 30 bytes; `breaks` ends the second part of each."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects
        self.reads: list[str] = []
        self.breaks = False

    @contextmanager
    def open(self, key: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        self.reads.append(key)
        yield len(self.objects[key]), self._parts(self.objects[key])

    def _parts(self, content: bytes) -> Iterator[bytes]:
        for at in range(0, len(content), 30):
            if self.breaks and at:
                raise StoreUnavailable("the connection was lost")
            yield content[at : at + 30]


def left() -> float:
    return 1.0


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once(tmp_path: Path) -> None:
    bucket = Bucket(a=A)
    files = ModelFiles(tmp_path / "models", 1000, bucket)
    for _ in range(2):
        assert files.find("a", digest(A), left).read_bytes() == A
    assert bucket.reads == ["a"]


def test_the_next_process_takes_over_whole_files_only(tmp_path: Path) -> None:
    bucket = Bucket(a=A, b=B, c=C)
    files = ModelFiles(tmp_path, 1000, bucket)
    for key, content in (("a", A), ("b", B), ("c", C)):
        files.find(key, digest(content), left)
    (tmp_path / digest(A)).write_bytes(A[:-1])
    (tmp_path / digest(B)).write_bytes(A)
    (tmp_path / ".unfinished").write_bytes(C[:50])
    bucket.reads.clear()

    later = ModelFiles(tmp_path, 1000, bucket)

    for key, content in (("a", A), ("b", B), ("c", C)):
        assert later.find(key, digest(content), left).read_bytes() == content
    assert bucket.reads == ["a", "b"]
    assert not (tmp_path / ".unfinished").exists()


def test_a_file_that_somebody_removed_is_read_again(tmp_path: Path) -> None:
    bucket = Bucket(a=A)
    files = ModelFiles(tmp_path, 1000, bucket)
    files.find("a", digest(A), left).unlink()
    assert files.find("a", digest(A), left).read_bytes() == A


def test_the_least_recently_used_files_make_room(tmp_path: Path) -> None:
    bucket = Bucket(a=A, b=B, c=C)
    files = ModelFiles(tmp_path, 250, bucket)
    for key, content in (("a", A), ("b", B), ("a", A), ("c", C), ("a", A)):
        files.find(key, digest(content), left)
    assert bucket.reads == ["a", "b", "c"]
    assert {each.name for each in tmp_path.iterdir()} == {digest(A), digest(C)}


def test_another_content_than_asked_is_missing_and_not_kept(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path, 1000, Bucket(a=B))
    with pytest.raises(ModelMissing, match=f"^a is not stored: .* {digest(B)}, not {digest(A)}$"):
        files.find("a", digest(A), left)
    assert [*tmp_path.iterdir()] == []


def test_a_read_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    bucket = Bucket(a=A)
    bucket.breaks = True
    files = ModelFiles(tmp_path, 1000, bucket)
    with pytest.raises(StoreUnavailable):
        files.find("a", digest(A), left)
    assert [*tmp_path.iterdir()] == []
    bucket.breaks = False
    assert files.find("a", digest(A), left).read_bytes() == A


def test_a_model_larger_than_the_limit_makes_no_room(tmp_path: Path) -> None:
    bucket = Bucket(a=A, b=B * 10)
    files = ModelFiles(tmp_path, 250, bucket)
    files.find("a", digest(A), left)
    with pytest.raises(ModelTooLarge):
        files.find("b", digest(B * 10), left)
    files.find("a", digest(A), left)
    assert bucket.reads == ["a", "b"]


def test_a_disk_that_takes_no_files_is_no_fault_of_the_models(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path / "models", 1000, Bucket(a=A))
    (tmp_path / "models").rmdir()
    with pytest.raises(StoreUnavailable, match="cannot be kept on disk"):
        files.find("a", digest(A), left)


def test_a_slow_bucket_is_no_fault_of_the_models(tmp_path: Path) -> None:
    times = iter([1.0, 0.5, 0.0])
    files = ModelFiles(tmp_path, 1000, Bucket(a=A))
    with pytest.raises(StoreUnavailable, match="a was not read from the bucket in time"):
        files.find("a", digest(A), lambda: next(times))
    assert [*tmp_path.iterdir()] == []
    assert files.find("a", digest(A), left).read_bytes() == A
