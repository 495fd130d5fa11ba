from collections.abc import Callable
from pathlib import Path

import pytest

from local.runtime.sources import Sources


def write(root: Path) -> None:
    (root / "package" / "module.py").write_text("b = 22\n")


def add(root: Path) -> None:
    (root / "package" / "other.py").touch()


def remove(root: Path) -> None:
    (root / "package" / "module.py").unlink()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("a = 1\n")
    return tmp_path


@pytest.mark.parametrize("edit", [write, add, remove])
def test_an_edit_changes_the_fingerprint(root: Path, edit: Callable[[Path], None]) -> None:
    sources = Sources([root], interval=0)
    before = sources.fingerprint()
    assert sources.fingerprint() == before

    edit(root)

    assert sources.fingerprint() != before


def test_other_files_do_not_change_the_fingerprint(root: Path) -> None:
    sources = Sources([root], interval=0)
    before = sources.fingerprint()
    (root / "package" / "notes.txt").write_text("x")
    assert sources.fingerprint() == before


def test_checks_files_once_per_interval(root: Path) -> None:
    sources = Sources([root], interval=600)
    before = sources.fingerprint()
    write(root)
    assert sources.fingerprint() == before
