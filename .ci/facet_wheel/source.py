"""What a checkout puts into the wheel, and where."""

import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facet_wheel.imports import CannotMove, move, needed

PACKAGE = "facet"
"""The one package of the wheel."""

BESIDE = ("docs/*.md", "samples/sign-language.tar.gz")
"""What the wheel has besides packages: pages that messages name, and the model that `facet verify`
uploads."""

TYPED = ("py.typed", "*.pyi")
BACKEND = ".ci/facet_wheel/*.py"
ABOUT = ("pyproject.toml", "README.md", "LICENSE")
METADATA = (
    *("name", "version", "description", "readme", "license", "license-files", "requires-python"),
    *("dependencies", "keywords", "classifiers"),
)
"""Fields of pyproject.toml's project that are the wheel's as well."""


class CannotBuild(Exception):
    """The sources do not fit into one package; the message says what collides."""


@dataclass(frozen=True)
class Source:
    """A checkout, or an unpacked sdist.

    `modules` are those that the command can import, by name; `data` their packages' other files, by
    package; `project` and `wheel` are the tables of pyproject.toml.
    """

    root: Path
    project: Mapping[str, Any]
    wheel: Mapping[str, Any]
    modules: Mapping[str, Path]
    data: Mapping[str, list[Path]]

    @classmethod
    def read(cls, root: Path) -> "Source":
        """Follows the imports of the console script."""
        document = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
        project, tools = document["project"], document["tool"]
        folders = [root / each for each in tools["setuptools"]["packages"]["find"]["where"]]
        entry, _, _ = project["scripts"][PACKAGE].partition(":")
        modules = needed(entry, folders, {*tools["facet-wheel"]["without"]})
        declared = tools["setuptools"]["package-data"]
        packages = {name: path.parent for name, path in modules.items() if path.stem == "__init__"}
        data = {
            name: sorted({f for each in (*TYPED, *declared.get(name, ())) for f in at.glob(each)})
            for name, at in packages.items()
        }
        return cls(root, project, tools["facet-wheel"], modules, data)

    def files(self) -> Iterator[Path]:
        """Every file that building the wheel reads."""
        yield from (self.root / each for each in ABOUT)
        yield from sorted(self.root.glob(BACKEND))
        yield from self._beside()
        yield from self.modules.values()
        for files in self.data.values():
            yield from files

    def stage(self, target: Path) -> None:
        """Writes a project for setuptools: one package, and its pyproject.toml.

        Raises CannotBuild, CannotMove.
        """
        moved = {each.partition(".")[0] for each in self.modules} - {PACKAGE}
        if taken := [each for each in sorted(moved) if f"{PACKAGE}.{each}" in self.modules]:
            raise CannotBuild(f"{taken[0]} and {PACKAGE}.{taken[0]} are one package: rename one")
        for path, inner in self._places():
            placed = target / PACKAGE / inner
            placed.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".py":
                placed.write_text(_moved(path, moved), "utf-8")
            else:
                shutil.copyfile(path, placed)
        for each in ABOUT[1:]:
            shutil.copyfile(self.root / each, target / each)
        (target / ABOUT[0]).write_text(_toml(self._document()), "utf-8")

    def _places(self) -> Iterator[tuple[Path, Path]]:
        """Each file of the package, and its path there: `cli/app.py` at `cli/app.py`, and what the
        layer has in its own `facet` beside it.
        """
        for each in self._beside():
            yield each, each.relative_to(self.root)
        for name, path in self.modules.items():
            package = name if path.stem == "__init__" else name.rpartition(".")[0]
            yield path, _folder(package) / path.name
        for package, files in self.data.items():
            at = self.modules[package].parent
            for each in files:
                yield each, _folder(package) / each.relative_to(at)

    def _beside(self) -> Iterator[Path]:
        for each in BESIDE:
            yield from sorted(self.root.glob(each))

    def _document(self) -> dict[str, Any]:
        extras = self.project["optional-dependencies"]
        entry = self.project["scripts"][PACKAGE]
        return {
            "project": {name: self.project[name] for name in METADATA if name in self.project},
            "project.scripts": {PACKAGE: f"{PACKAGE}.{entry}"},
            "project.optional-dependencies": {each: extras[each] for each in self.wheel["extras"]},
            "tool.setuptools.packages.find": {"include": [f"{PACKAGE}*"], "namespaces": False},
            "tool.setuptools.package-data": {PACKAGE: ["**/*"]},
        }


def _folder(package: str) -> Path:
    parts = package.split(".")
    return Path(*(parts[1:] if parts[0] == PACKAGE else parts))


def _moved(path: Path, packages: set[str]) -> str:
    try:
        return move(path.read_text("utf-8"), packages, PACKAGE)
    except CannotMove as error:
        raise CannotMove(f"{path}, {error}") from error


def _toml(document: Mapping[str, Mapping[str, object]]) -> str:
    """Tables of texts, lists of texts, and booleans: JSON writes those as TOML does."""
    lines = []
    for table, values in document.items():
        lines.append(f"[{table}]")
        lines += [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"
