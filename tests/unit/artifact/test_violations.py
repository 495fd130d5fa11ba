"""docs/violations.md has every code, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.inputs.hostile import CASES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "violations.md"
CODE = re.compile(r"[a-z]+(-[a-z]+)*")


def codes() -> Iterator[str]:
    """The first argument of whatever makes a violation, where it is a code."""
    folders = [ROOT / "functions/onboard"]
    folders += [ROOT / "layers/facet/facet" / each for each in ("artifact", "heads")]
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        module = ast.parse(path.read_text())
        constants = {
            each.targets[0].id: each.value.value
            for each in module.body
            if isinstance(each, ast.Assign)
            and isinstance(each.targets[0], ast.Name)
            and isinstance(each.value, ast.Constant)
        }
        for node in ast.walk(module):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            code = node.args[0]
            if node.func.id not in ("Violation", "_too_large") or isinstance(code, ast.Starred):
                continue
            if isinstance(code, ast.Constant):
                assert isinstance(code.value, str)
                yield code.value
            elif isinstance(code, ast.Name) and code.id in constants:
                yield str(constants[code.id])
            else:
                assert path.name in ("validation.py", "prover.py"), f"{path.name}:{code.lineno}"


def test_the_page_has_every_code_and_no_other() -> None:
    listed = re.findall(r"^(?:\| `|`(?=more` stands))([a-z-]+)`", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(set(codes()))
    assert all(CODE.fullmatch(code) for code in listed)


def test_the_corpus_has_every_code_of_archives_layouts_and_manifests() -> None:
    sections = PAGE.read_text().partition("## Ops that a model runs")[0]
    listed = set(re.findall(r"^\| `([a-z-]+)`", sections, re.MULTILINE))
    tested = {code for case in CASES for code in case.codes}
    assert listed - tested == {
        *("golden-required", "litert-too-large", "invalid-name", "upload-too-large"),
        *("other-kind", "head-backbone", "head-shape", "head-input"),
    }
