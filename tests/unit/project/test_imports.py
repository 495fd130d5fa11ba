"""Imports between folders point down, and modules do not import each other in circles."""

import ast
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.stacks import ROOT

FUNCTIONS = {"endpoint_schedule", "infer", "onboard", "page", "predict", "teach", "train"}
BELOW: dict[str, set[str]] = {
    "facet": set(),
    **{each: {"facet"} for each in FUNCTIONS},
    "infer": {"serving"},
    "serving": {"facet"},
    "training": {"facet"},
    "deployment": {"facet"},
    "openapi": {"facet", "predict", "teach"},
    "cli": {"facet", "serving", "training"} | FUNCTIONS,
    "local": {"cli", "facet", "serving", "training"} | FUNCTIONS,
    "samples": {"facet", "local", "training"},
    "benchmarks": {"cli", "facet", "local", "samples", "serving", "training"} | FUNCTIONS,
}
"""The packages that each package may import, besides itself."""

LAZILY = {
    ("cli/up.py", "local"),
    ("cli/train/command.py", "local"),
    ("cli/doctor/account/images.py", "deployment"),
    ("cli/doctor/account/parameters.py", "local"),
}
"""Commands that start the local stack, or look at what a deploy would do. They import it inside a
function, and only in a checkout."""

SOURCES = [ROOT / "layers/facet", ROOT / "functions", ROOT]


def modules() -> Iterator[tuple[str, Path]]:
    """Each module's name and its file."""
    for source in SOURCES:
        for package in BELOW:
            for path in sorted((source / package).rglob("*.py")):
                parts = path.relative_to(source).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imported(tree: ast.AST, *, at_import: bool) -> Iterator[str]:
    """The modules of this repository that a module imports: all, or those when it is imported."""
    for node in tree.body if at_import and isinstance(tree, ast.Module) else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] in BELOW)
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in BELOW:
            for each in node.names:
                submodule = f"{node.module}.{each.name}"
                yield submodule if submodule in MODULES else str(node.module)


def test_the_packages_are_found() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(BELOW)


def test_all_packages_are_installed_with_the_checkout() -> None:
    """Those that the command imports lazily, too: it does not run in the checkout's folder."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["packages"]["find"]["include"]
    assert {each for each in BELOW if not any(fnmatch(each, one) for one in patterns)} == set()


def test_imports_point_down() -> None:
    found = set()
    for name, path in MODULES.items():
        package = name.split(".")[0]
        for other in imported(ast.parse(path.read_text()), at_import=False):
            target = other.split(".")[0]
            if target not in BELOW[package] | {package}:
                found.add((path.relative_to(ROOT).as_posix(), target))
    assert found == LAZILY


def test_what_is_imported_lazily_is_not_imported_with_the_module() -> None:
    for file, package in LAZILY:
        tree = ast.parse((ROOT / file).read_text())
        assert package not in {each.split(".")[0] for each in imported(tree, at_import=True)}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        name: set(imported(ast.parse(path.read_text()), at_import=True)) - {name}
        for name, path in MODULES.items()
    }
    assert len(tuple(TopologicalSorter(graph).static_order())) >= len(MODULES)
