"""Read labels: a list with commas, or a file as TensorFlow's tools and people write it."""

import codecs
import json
import re
from collections.abc import Mapping
from pathlib import Path

from cli.pack.errors import CannotPack

ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""By the byte order mark that a file begins with; any other file is UTF-8."""

NUMBERED = re.compile(r"(\d+)\s*[\s:,]\s*(\S.*)")
"""A line such as `0 cat` of Teachable Machine, `0: cat` or `0,cat`."""

FILE_NAME = re.compile(r"[/\\]|\.[A-Za-z]{2,5}$")
"""What looks like a file's name and not like a label."""


def read(text: str) -> tuple[str, ...]:
    """Read `text`: a file's name, a list with commas, or a single label. Raises CannotPack."""
    path = Path(text)
    if _is_file(path):
        return _in_file(path)
    if "," not in text and FILE_NAME.search(text):
        raise CannotPack(f"--labels {text}: no such file; write a list with commas")
    return _not_empty(text, text.split(","))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a long list is no file name
        return False


def _in_file(path: Path) -> tuple[str, ...]:
    content = _decoded(path)
    if content.lstrip().startswith(("{", "[")):
        return _not_empty(str(path), _in_json(path, content))
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    return _not_empty(str(path), _without_numbers(lines))


def _not_empty(what: str, labels: list[str]) -> tuple[str, ...]:
    found = tuple(label.strip() for label in labels if label.strip())
    if not found:
        raise CannotPack(f"--labels {what}: it has no label")
    return found


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    encoding = next((name for mark, name in ENCODINGS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CannotPack(
            f"--labels {path}: line {line} is not {encoding.removesuffix('-sig').upper()} text "
            f"(byte 0x{data[error.start]:02x}); save the file as UTF-8"
        ) from error
    if "\0" in text:
        raise CannotPack(f"--labels {path}: it has NUL characters; save the file as UTF-8 text")
    return text


def _without_numbers(lines: list[str]) -> list[str]:
    """Drop the number before each label, if every line has the number of its position."""
    matches = [NUMBERED.fullmatch(line) for line in lines]
    numbered = [each for each in matches if each]
    if len(numbered) == len(lines) and [int(each[1]) for each in numbered] == [*range(len(lines))]:
        return [each[2] for each in numbered]
    return lines


def _in_json(path: Path, content: str) -> list[str]:
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        raise CannotPack(
            f"--labels {path}: not JSON, at line {error.lineno}: {error.msg}"
        ) from error
    if isinstance(document, list) and all(isinstance(each, str) for each in document):
        return document
    labels = _by_number(document) if isinstance(document, dict) else None
    if labels is None:
        raise CannotPack(
            f"--labels {path}: the JSON must be a list of labels, or Keras' class_indices: "
            '{"cat": 0, "dog": 1}'
        )
    return labels


def _by_number(document: Mapping[str, object]) -> list[str] | None:
    """The labels of `{"cat": 0}`, `{"0": "cat"}` or ImageNet's `{"0": ["n02123045", "cat"]}`."""
    pairs: list[tuple[object, object]] = [*document.items()]
    if all(isinstance(value, int) for value in document.values()):
        pairs = [(value, key) for key, value in pairs]
    by_number = {
        int(str(number)): label[-1] if isinstance(label, list) and label else label
        for number, label in pairs
        if str(number).isdecimal()
    }
    labels = [by_number.get(number) for number in range(len(pairs))]
    texts = [label for label in labels if isinstance(label, str)]
    return texts if len(texts) == len(pairs) else None
