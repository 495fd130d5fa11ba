"""local/storage/objects.py: a file is whole or not there, and damage is noticed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.storage.objects import Damaged, ObjectFiles


@pytest.fixture
def files(tmp_path: Path) -> ObjectFiles:
    return ObjectFiles(tmp_path / "objects")


def damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_reads_what_was_written(files: ObjectFiles) -> None:
    content = files.write([b"ab", b"", b"c"])
    assert content.size == 3
    assert content.md5 == "900150983cd24fb0d6963f7d28e17f72"
    with files.open(content) as file:
        assert file.read() == b"abc"
    assert files.fault(content) is None


def test_a_write_that_breaks_off_leaves_nothing(files: ObjectFiles, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        files.write(broken())
    assert list((tmp_path / "objects").iterdir()) == []


@pytest.mark.parametrize("sync", ["file", "folder"])
def test_file_and_name_are_on_the_disk_before_a_write_returns(
    sync: str, files: ObjectFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fsync was called for, and what the folder then had."""
    synced: list[tuple[bool, list[str]]] = []

    def fsync(descriptor: int) -> None:
        is_folder = os.path.isdir(f"/dev/fd/{descriptor}")  # noqa: PTH112
        names = [each.suffix for each in (tmp_path / "objects").iterdir()]
        synced.append((is_folder, names))

    monkeypatch.setattr(os, "fsync", fsync)
    files.write([b"abc"])
    assert {"file": (False, [".part"]), "folder": (True, [""])}[sync] in synced


@pytest.mark.parametrize("found", [b"", b"ab", b"abd", b"abcd"])
def test_damage_is_noticed_even_after_a_good_read(found: bytes, files: ObjectFiles) -> None:
    content = files.write([b"abc"])
    files.open(content).close()
    damage(files.path(content.file), found)
    with pytest.raises(Damaged):
        files.open(content)
    assert files.fault(content)


def test_a_file_cannot_be_changed_through_a_link(files: ObjectFiles, tmp_path: Path) -> None:
    """Training jobs get links to the objects they read."""
    content = files.write([b"abc"])
    os.link(files.path(content.file), tmp_path / "input")
    assert (tmp_path / "input").stat().st_mode & 0o222 == 0


def test_a_copy_outlives_its_original(files: ObjectFiles) -> None:
    content = files.write([b"abc"])
    copied = files.copy(content)
    files.delete(content.file)
    with files.open(copied) as file:
        assert file.read() == b"abc"
    with pytest.raises(FileNotFoundError):
        files.copy(content)


def test_a_damaged_file_is_not_copied(files: ObjectFiles) -> None:
    content = files.write([b"abc"])
    damage(files.path(content.file), b"abd")
    with pytest.raises(Damaged):
        files.copy(content)


def test_a_damaged_file_is_kept_for_inspection(files: ObjectFiles, tmp_path: Path) -> None:
    content = files.write([b"abc"])
    aside = files.set_aside(content.file)
    assert aside == tmp_path / "damaged" / content.file
    assert aside.read_bytes() == b"abc"
    assert files.fault(content) == "its file is missing"
    assert not files.set_aside("unknown").exists()


def test_several_files_are_all_on_the_disk_or_none(
    files: ObjectFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [b"%d" % number for number in range(20)]
    for each, content in zip(files.write_all(contents), contents, strict=True):
        assert files.path(each.file).read_bytes() == content
        assert files.fault(each) is None
    before = set((tmp_path / "objects").iterdir())

    def rename(part: Path, target: Path) -> None:
        if part.read_bytes() == b"7":
            raise OSError("gone")
        os.rename(part, target)  # noqa: PTH104

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="gone"):
        files.write_all(contents)
    assert set((tmp_path / "objects").iterdir()) == before
