"""facet/stack.py: `.facet/stack.json`, read and written."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from facet.stack import FILE, Address

NAMES = [each.name for each in fields(Address) if each.type is str]
ADDRESS = Address(**dict.fromkeys(NAMES, "x"), pid=7, endpoint_on=False)


def test_reads_what_it_wrote(tmp_path: Path) -> None:
    assert ADDRESS.write(tmp_path) == tmp_path / FILE
    assert Address.read(tmp_path) == ADDRESS
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").touch(mode=0o644)
    (tmp_path / FILE).touch(mode=0o644)
    assert ADDRESS.write(tmp_path).stat().st_mode & 0o777 == 0o600


def test_ignores_keys_that_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({**asdict(ADDRESS), "page_url": "x"}))
    assert Address.read(tmp_path) == ADDRESS


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": 7}'])
def test_says_that_a_file_is_corrupt(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=r"stack\.json is corrupt"):
        Address.read(tmp_path)


def test_there_is_no_file_where_no_stack_runs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Address.read(tmp_path)
