import pytest

from facet.artifact import layout
from facet.artifact.layout import check

GRAPH = {"1/saved_model.pb": 10}
INDEX = {"1/variables/variables.index": 10}


def shard(number: int, of: int, size: int = 10) -> dict[str, int]:
    return {f"1/variables/variables.data-{number:05}-of-{of:05}": size}


def codes(files: dict[str, int], restores: bool = False) -> list[str]:
    return [each.code for each in check(files, restores)]


@pytest.mark.parametrize(
    "files",
    [
        GRAPH,
        GRAPH | INDEX | shard(0, 1),
        GRAPH | INDEX | shard(0, 3) | shard(1, 3) | shard(2, 3),
        GRAPH | INDEX | shard(0, 1) | {"1/assets/vocabulary.txt": 0, "1/fingerprint.pb": 99},
        {"00000123/saved_model.pb": 10, "README.md": 3, "samples/1.jpg": 5},
        {"1/assets.extra/model.tflite": 10},
    ],
)
def test_folders_that_are_whole(files: dict[str, int]) -> None:
    assert codes(files) == []


def test_variables_are_missed_only_where_the_graph_restores_them() -> None:
    assert codes(GRAPH, restores=True) == ["variables-missing"]
    assert codes(GRAPH | INDEX | shard(0, 1), restores=True) == []


def test_missing_shards_are_counted_and_named() -> None:
    (found,) = check(GRAPH | INDEX | shard(1, 6), restores=False)
    assert found.place == "1/variables/variables.data-00000-of-00006"
    assert found.problem.startswith("5 of 6 shards are missing")
    assert "variables.data-00002-of-00006, variables.data-00003-of-00006 too" in found.problem


def test_the_shards_of_no_export_at_all() -> None:
    assert codes(GRAPH | INDEX | shard(0, 0)) == ["variables-mixed"]


@pytest.mark.parametrize("wrapped", ["model", "a/b", "export/saved"])
def test_a_wrapper_is_reported_with_the_command_to_pack_without_it(wrapped: str) -> None:
    (found,) = check({f"{wrapped}/1/saved_model.pb": 1, f"{wrapped}/1/variables/x": 1}, False)
    assert (found.code, found.place) == ("wrapper-folder", f"{wrapped}/")
    assert found.remedy.endswith(f"tar -czf model.tar.gz -C {wrapped} .")


def test_a_folder_inside_the_version_folder_is_no_wrapper() -> None:
    assert codes(GRAPH | {"1/assets/1/saved_model.pb": 1}) == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("saved_model.pb", "saved_model.pb"),
        ("v1/saved_model.pb", "v1/saved_model.pb"),
        ("model.onnx", "model.tar.gz"),
    ],
)
def test_a_missing_version_folder_is_reported_with_the_models_place(name: str, place: str) -> None:
    (found,) = check({name: 1}, restores=True)
    assert (found.code, found.place) == ("no-version-folder", place)


@pytest.mark.parametrize(
    ("files", "has"),
    [
        ({"facet.json": 1}, True),
        ({"m/facet.json": 1, "m/1/saved_model.pb": 1}, True),
        ({"m/facet.json": 1, "1/saved_model.pb": 1}, False),
        ({"m/facet.json": 1}, False),
    ],
)
def test_a_manifest_counts_where_the_wrapper_is_what_is_wrong(
    files: dict[str, int], has: bool
) -> None:
    assert layout.has_manifest(files) is has
