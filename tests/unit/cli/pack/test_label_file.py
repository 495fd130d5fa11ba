"""Label files as people and tools write them."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from cli.pack import label_file, options
from cli.pack.errors import CannotPack
from cli.terminal.prompts import TerminalPrompter

THREE = ("cat", "dog", "bird")


@pytest.mark.parametrize(
    "content",
    [
        b"cat\ndog\nbird\n",
        "cat\r\ndog\r\nbird\r\n".encode("utf-8-sig"),
        "cat\r\ndog\r\nbird\r\n".encode("utf-16"),
        b"\xfe\xff" + "cat\ndog\nbird".encode("utf-16-be"),
        b"0 cat\n1 dog\n2 bird\n",
        b"0: cat\n1: dog\n2: bird\n",
        b"0,cat\r\n1,dog\r\n2,bird\r\n",
        b"0\tcat\n1\tdog\n\n2\tbird",
        json.dumps(THREE).encode(),
        json.dumps({"dog": 1, "cat": 0, "bird": 2}).encode("utf-8-sig"),
        json.dumps({"1": "dog", "0": "cat", "2": "bird"}).encode(),
        json.dumps({"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "bird"]}).encode(),
    ],
    ids=range(12),
)
def test_three_labels(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "labels, of mine"
    file.write_bytes(content)
    assert label_file.read(str(file)) == THREE


@pytest.mark.parametrize(
    "lines",
    [("1 cat", "2 dog"), ("0 cat", "dog"), ("0", "1"), ("n01440764 tench", "n01443537 goldfish")],
)
def test_numbers_that_are_not_positions_belong_to_the_label(
    lines: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\n".join(lines))
    assert label_file.read(str(file)) == lines


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "dog\ncaf\u00e9\n".encode("latin-1"),
            r"line 2 is not UTF-8 text \(byte 0xe9\); save the file as UTF-8$",
        ),
        ("cat\ndog\n".encode("utf-16-le"), "it has NUL characters; save the file as UTF-8 text"),
        (b"\xff\xfec\0a", "is not UTF-16 text"),
        (b"[1, 2]", "must be a list of labels, or Keras' class_indices"),
        (b'{"cat": 0, "dog": 2}', "must be a list of labels"),
        (b'{"cat": 0, "dog": 0}', "must be a list of labels"),
        (b'{"cat": 0,', "not JSON, at line 1"),
        (b" \n\n", "it has no label"),
    ],
)
def test_files_that_hold_no_labels(content: bytes, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(content)
    with pytest.raises(CannotPack, match=problem) as caught:
        label_file.read(str(file))
    assert "\n" not in str(caught.value)


def test_a_single_label() -> None:
    assert label_file.read("hot dog") == ("hot dog",)
    assert label_file.read("cat,") == ("cat",)
    assert label_file.read("x" * 5000) == ("x" * 5000,)


@pytest.mark.parametrize("name", ["classes.txt", "there/labels", "class_indices.json"])
def test_a_file_that_is_not_there(name: str) -> None:
    with pytest.raises(CannotPack, match="no such file"):
        label_file.read(name)


def test_a_single_score_takes_two_labels() -> None:
    with pytest.raises(CannotPack, match="3 labels, but the model gives one score for each image"):
        options.labels("cat,dog,bird", 1, TerminalPrompter(Console(file=io.StringIO())))


def test_a_wrong_count_is_asked_for_again() -> None:
    printed = io.StringIO()
    typed = io.StringIO("cat,dog\nnowhere.txt\ncat,dog,bird\n")
    terminal = TerminalPrompter(Console(file=printed, width=200), typed)
    assert options.labels(None, 3, terminal) == THREE
    assert "there are 2 labels for 3 scores" in printed.getvalue()
    assert "--labels nowhere.txt: no such file" in printed.getvalue()
