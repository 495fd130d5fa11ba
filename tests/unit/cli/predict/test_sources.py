"""Files, folders, patterns and standard input are the images that a person means."""

import io
from pathlib import Path

import pytest

from cli.predict.sources import NoImages, Source, find


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = ("b.jpg", "a.PNG", "deep/er/c.webp", "notes.txt", "odd[1].png", "d.jfif", "e.HEIC")
    for name in (*files, "._b.jpg", "@eaDir/b.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "named.png").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["notes.txt"], ["notes.txt"]),
        (["."], ["a.PNG", "b.jpg", "d.jfif", "deep/er/c.webp", "e.HEIC", "odd[1].png"]),
        (["*.jpg", "-"], ["b.jpg", "-"]),
        (["**/*.webp"], ["deep/er/c.webp"]),
        (["odd[1].png"], ["odd[1].png"]),
        (["*.png"], ["odd[1].png"]),
        (["b.jpg", "*.jpg", "b.jpg"], ["b.jpg"]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_named(named: list[str], expected: list[str]) -> None:
    assert [each.name for each in find(named)] == expected


@pytest.mark.parametrize("named", ["none.png", "*.gif", "named.png", "named.*", "odd[2].png"])
@pytest.mark.usefixtures("folder")
def test_what_has_no_images(named: str) -> None:
    with pytest.raises(NoImages, match=r"no such file|there is no image"):
        find([named])


def test_an_absolute_pattern(folder: Path) -> None:
    assert [each.path for each in find([f"{folder}/*.jpg"])] == [folder / "b.jpg"]


def test_no_more_is_read_than_tells_that_it_is_too_much(folder: Path) -> None:
    assert len(Source("a", folder / "notes.txt").read(io.BytesIO(), 4)) == 5
    assert Source("-").read(io.BytesIO(b"123456789"), 4) == b"12345"
