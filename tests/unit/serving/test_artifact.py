"""The versions in an artifact, and the files that serve them."""

from pathlib import Path

import pytest

from serving.artifact import TFLITE, Version, versions, without_lite
from serving.errors import NoBasePath


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """Version 2 has both models, 10 a SavedModel alone, 3 a LiteRT model alone."""
    for number in ("2", "3"):
        (tmp_path / number / TFLITE).parent.mkdir(parents=True)
        (tmp_path / number / TFLITE).write_bytes(bytes(7))
    for number in ("2", "10"):
        (tmp_path / number / "variables").mkdir(parents=True)
        (tmp_path / number / "variables" / "variables.index").write_bytes(bytes(20))
        (tmp_path / number / "saved_model.pb").write_bytes(bytes(300))
    (tmp_path / "3a").mkdir()
    (tmp_path / "4").touch()
    return tmp_path


def test_versions_are_in_order_of_their_numbers(artifact: Path) -> None:
    assert versions(artifact, "m") == [
        Version(2, artifact / "2", lite=True),
        Version(3, artifact / "3", lite=True),
        Version(10, artifact / "10", lite=False),
    ]


def test_source_and_size_are_those_of_the_runtime(artifact: Path) -> None:
    two, _, ten = versions(artifact, "m")
    assert (two.source, two.size) == (artifact / "2" / TFLITE, 7)
    assert (ten.source, ten.size) == (artifact / "10", 320)


def test_without_lite_needs_a_saved_model(artifact: Path) -> None:
    found = without_lite(versions(artifact, "m"))
    assert [each.lite for each in found] == [False, True, False]
    assert (found[0].source, found[0].size) == (artifact / "2", 320)
    assert without_lite(found) == found


def test_no_numeric_folder_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(NoBasePath, match=f"base path {path} for servable m"):
            versions(path, "m")
