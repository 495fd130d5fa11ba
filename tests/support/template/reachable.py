"""The code that a handler can reach: a static call graph by names.

Every name and attribute in reachable code leads to all definitions of that name in the modules that
the handler imports. A method is reachable if its class is mentioned as well. Decorated functions,
such as routes, are always reachable: a resolver calls them.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOURCES = (ROOT / "functions", ROOT / "layers/facet")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_IMPORTS = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class NamedDefinition:
    """A definition, with the class it is a method of."""

    node: Definition
    owner: str | None

    def reached_by(self, names: set[str], attributes: set[str]) -> bool:
        """Returns whether code with these names and attributes can call it."""
        name = self.node.name
        if self.owner is None:
            return name in names | attributes
        special = name.startswith("__")
        return self.owner in names | attributes and (special or name in attributes)

    def parts(self) -> list[ast.AST]:
        """Returns a whole function, or a class without its methods: those are reached by name."""
        if not isinstance(self.node, ast.ClassDef):
            return [self.node]
        inner = (each for each in self.node.body if not isinstance(each, Definition))
        return [*self.node.bases, *inner]


def code(handler: str) -> Iterator[ast.AST]:
    """The statements and definitions that `module.function` can reach."""
    module, _, function = handler.rpartition(".")
    trees = [_tree(path) for path in _imported(module)]
    unreached = [each for tree in trees for each in _definitions(tree)]
    statements = [each for tree in trees for each in tree.body if not isinstance(each, Definition)]
    names = {function} | {name for tree in trees for name in _decorated(tree)}
    attributes: set[str] = set()
    waiting: list[ast.AST] = [each for each in statements if not isinstance(each, _IMPORTS)]
    while waiting:
        yield from waiting
        for node in waiting:
            names |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            attributes |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
        reached = [each for each in unreached if each.reached_by(names, attributes)]
        unreached = [each for each in unreached if each not in reached]
        waiting = [part for each in reached for part in each.parts()]


def _decorated(tree: ast.Module) -> Iterator[str]:
    """Yields functions with a decorator such as `@app.get(…)`, which a framework calls."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(part, ast.Attribute)
            for decorator in node.decorator_list
            for part in ast.walk(decorator)
        ):
            yield node.name


def _definitions(tree: ast.Module) -> Iterator[NamedDefinition]:
    for node in tree.body:
        if isinstance(node, Definition):
            yield NamedDefinition(node, None)
        if isinstance(node, ast.ClassDef):
            yield from (
                NamedDefinition(each, node.name)
                for each in node.body
                if isinstance(each, Definition)
            )


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _imported(module: str) -> list[Path]:
    """Returns this module and all Facet modules that it imports, directly or not."""
    found: dict[Path, None] = {}
    waiting = [module]
    while waiting:
        path = _file(waiting.pop())
        if path is None or path in found:
            continue
        found[path] = None
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                waiting += [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return list(found)


def _file(module: str) -> Path | None:
    inner = Path(*module.split("."))
    for source in SOURCES:
        for path in (source / inner.with_suffix(".py"), source / inner / "__init__.py"):
            if path.exists():
                return path
    return None
