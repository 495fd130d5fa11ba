"""The build backend: which modules the wheel has, and their imports in it."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from facet_wheel.imports import CannotMove, move, needed
from facet_wheel.source import CannotBuild, Source

from cli.verify.artifacts import SAMPLE
from tests.support.stacks import ROOT

PACKAGES = {"cli", "training"}


@pytest.mark.parametrize(
    ("source", "moved"),
    [
        ("from cli import app\n", "from facet.cli import app\n"),
        ("from cli.client.stack import (\n    find,\n)\n", None),
        ("def f():\n    from training.data import sets\n", None),
        (
            "if TYPE_CHECKING: from cli import app\n",
            "if TYPE_CHECKING: from facet.cli import app\n",
        ),
        ("import os; from cli import app\n", "import os; from facet.cli import app\n"),
        ("import cli.app as app, os, training as t\n", None),
        ('"""python -m training.package"""\n', '"""python -m facet.training.package"""\n'),
    ],
)
def test_rewrites_absolute_imports(source: str, moved: str | None) -> None:
    expected = moved or source.replace("cli.", "facet.cli.").replace("training", "facet.training")
    assert move(source, PACKAGES, "facet") == expected
    assert move(expected, PACKAGES, "facet") == expected


@pytest.mark.parametrize(
    "source",
    [
        "from facet import errors\nfrom facet.cli import app\n",
        "from . import cli\nfrom .cli import app\n",
        "import client, clients.cli\nfrom client import cli\n",
        "cli = training = 1\ncli.training(cli)\n",
        "def f(cli):\n    yield from cli\n    raise cli from training\n",
        's = "from cli import app"  # from cli import app\n',
        's = f"{cli:from} {cli!r:>{training}} from cli import app"\n',
        "s = '''\nfrom cli import app\nimport cli\n'''\n",
        "python -m pip, python -m client\n".join(('"""', '"""\n')),
        "d = {1: cli, 2: training}\nx[a:cli]\nlambda: cli\n",
    ],
)
def test_leaves_everything_else_as_it_is(source: str) -> None:
    assert move(source, PACKAGES, "facet") == source


def test_rejects_an_import_that_binds_the_package_itself() -> None:
    with pytest.raises(CannotMove, match=r"line 2: import os, cli\.app: write `from … import …`"):
        move("\nimport os, cli.app\n", PACKAGES, "facet")


def test_follows_imports_to_every_module_and_its_packages(tmp_path: Path) -> None:
    for name, text in {
        "a/cli/__init__.py": "",
        "a/cli/app.py": "import json\nfrom cli import one\nfrom local import x\n",
        "a/cli/one.py": "def f():\n    import deep.er.two\n",
        "a/cli/unused.py": "",
        "a/local/__init__.py": "from cli import unused\n",
        "b/deep/__init__.py": "from cli.app import main\n",
        "b/deep/er/__init__.py": "",
        "b/deep/er/two.py": "from . import unused\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = needed("cli.app", (tmp_path / "a", tmp_path / "b"), {"local"})
    assert [*found] == ["cli", "cli.app", "cli.one", "deep", "deep.er", "deep.er.two"]
    assert found["deep.er.two"] == tmp_path / "b/deep/er/two.py"


def test_the_wheel_has_what_the_command_imports_and_nothing_of_the_local_stack() -> None:
    source = Source.read(ROOT)
    assert {"cli.app", "cli.up", "facet.errors", "serving.runtimes.litert"} <= {*source.modules}
    packages = {each.partition(".")[0] for each in source.modules}
    assert not packages & {"deployment", "local", "tests", "benchmarks", "samples", "page"}
    assert ROOT / "cli/cost/prices.json" in source.data["cli"]
    assert ROOT / "layers/facet/facet/py.typed" in source.data["facet"]
    assert SAMPLE in source.files()


def test_the_staged_project_is_one_package(tmp_path: Path) -> None:
    Source.read(ROOT).stage(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {
        *("facet", "pyproject.toml", "README.md", "LICENSE")
    }
    document = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    original = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert document["project"]["dependencies"] == original["dependencies"]
    assert document["project"]["version"] == original["version"]
    assert document["project"]["scripts"] == {"facet": "facet.cli.__main__:main"}
    assert {*document["project"]["optional-dependencies"]} == {"chart", "heic", "tensorflow"}


def test_recommendations_hold_in_the_wheel() -> None:
    """Targets and installations are worded by cli/extras.py, or say where they work."""
    for name, path in Source.read(ROOT).modules.items():
        for text in texts(path) if name != "cli.extras" else ():
            if re.search(r"`make |pip install", text):
                assert "in a checkout" in text, f"{path}: {text}"


def texts(path: Path) -> Iterator[str]:
    """Every text of a module that is no docstring; of f-strings all parts together."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) for each in node.values if isinstance(each, ast.Constant))
        elif isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield str(node.value)


def test_pages_that_messages_name_are_in_the_wheel() -> None:
    source = Source.read(ROOT)
    named = {page for path in source.modules.values() for page in pages(path)}
    assert len(named) >= 3
    assert named <= {each.relative_to(ROOT).as_posix() for each in source.files()}


def pages(path: Path) -> list[str]:
    return [each for text in texts(path) for each in re.findall(r"docs/[\w-]+\.md", text)]


def test_rejects_two_packages_of_one_name(tmp_path: Path) -> None:
    known = Source.read(ROOT)
    modules = {**known.modules, "facet.cli": ROOT / "layers/facet/facet/errors.py"}
    both = Source(ROOT, known.project, known.wheel, modules, known.data)
    with pytest.raises(CannotBuild, match=r"cli and facet\.cli are one package"):
        both.stage(tmp_path)
