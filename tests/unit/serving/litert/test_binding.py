"""The installed LiteRT has the C API that serving/litert/binding.py declares.

When a new version fails here, compare litert/c/*.h of both versions (github.com/google-ai-edge/
LiteRT) for each function that the binding declares, then set VERSION.
"""

import ctypes
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from serving.litert import binding
from tests.support.project.pins import pins

ROOT = Path(__file__).parents[4]


def test_the_version_is_pinned_exactly() -> None:
    assert metadata.version("ai-edge-litert") == binding.VERSION
    assert pins(ROOT / "constraints.txt")["ai-edge-litert"] == binding.VERSION
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    named = [each for extra in extras for each in extra if "ai-edge-litert" in each]
    assert named
    assert {*named} == {f"ai-edge-litert=={binding.VERSION}"}


def test_the_library_exports_all_functions_that_are_declared() -> None:
    library = ctypes.CDLL(str(binding.path()))
    declared = (*binding.SIGNATURES, *binding.DESTROYERS)
    assert [name for name in declared if not hasattr(library, name)] == []


@pytest.mark.parametrize(
    ("struct", "size", "offsets"),
    [
        (binding.Layout, 68, {"dimensions": 4, "strides": 36}),
        (binding.TensorType, 72, {"layout": 4}),
        (binding.AnyValue, 16, {"value": 8}),
        (binding.EnvironmentOption, 24, {"value": 8}),
    ],
)
def test_structs_have_the_sizes_that_the_headers_assert(
    struct: type[ctypes.Structure], size: int, offsets: dict[str, int]
) -> None:
    assert ctypes.sizeof(struct) == size
    assert {name: getattr(struct, name).offset for name in offsets} == offsets


def test_a_missing_function_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(binding.SIGNATURES, "LiteRtNotHere", ())
    with pytest.raises(AttributeError, match="LiteRtNotHere"):
        binding.Library(binding.path())
