"""The imports of Python sources: which modules a module needs, and how to move them.

`needed` follows them; `move` writes them for packages that become part of another one:
`from cli.client import stack` → `from facet.cli.client import stack`.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path
from tokenize import COMMENT, DEDENT, INDENT, NAME, NEWLINE, NL, OP, TokenInfo


class CannotMove(Exception):
    """A statement whose meaning would change; the message names the line and the way out."""


def needed(entry: str, folders: Sequence[Path], without: Set[str]) -> dict[str, Path]:
    """The modules in `folders` that module `entry` can import, with their files, in order of names.

    Imports inside functions count as well. Packages in `without` are not followed.
    """
    found: dict[str, Path] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        path = None if module in found else file(module, folders)
        if path is None or module.partition(".")[0] in without:
            continue
        found[module] = path
        waiting += [module.rpartition(".")[0] or module, *_imported(path.read_text("utf-8"))]
    return dict(sorted(found.items()))


def file(module: str, folders: Iterable[Path]) -> Path | None:
    """Where a module or package is; None if it is in none of the folders."""
    inner = Path(*module.split("."))
    for folder in folders:
        for path in (folder / inner / "__init__.py", folder / inner.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def _imported(source: str) -> Iterator[str]:
    """Every dotted name that may be a module: of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def move(source: str, packages: Set[str], into: str) -> str:
    """The source with absolute imports of `packages` as packages of `into`; the rest as it was.

    `python -m cli` in a text becomes `python -m facet.cli`. Raises CannotMove for `import cli.app`,
    which binds the name `cli`.
    """
    lines = source.splitlines(keepends=True)
    for name in reversed([*_imported_names(source, packages)]):
        row, column = name.start
        line = lines[row - 1]
        lines[row - 1] = f"{line[:column]}{into}.{line[column:]}"
    names = "|".join(map(re.escape, sorted(packages)))
    return re.sub(rf"(?<=python -m )(?=({names})\b)", f"{into}.", "".join(lines))


def _imported_names(source: str, packages: Set[str]) -> Iterator[TokenInfo]:
    """The tokens with a package's name in absolute imports."""
    for keyword, *rest in _statements(source):
        if keyword.type != NAME or keyword.string not in ("from", "import"):
            continue
        if keyword.string == "from":
            yield from (each for each in rest[:1] if each.string in packages)
            continue
        for first, *others in _split(rest, ","):
            if first.string not in packages:
                continue
            if not any(each.string == "as" for each in others):
                raise CannotMove(
                    f"line {first.start[0]}: {first.line.strip()}: write `from … import …` instead"
                )
            yield first


def _statements(source: str) -> Iterator[list[TokenInfo]]:
    """The tokens of simple statements, and pieces of others; an import is never in pieces."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = (each for each in tokens if each.type not in (COMMENT, NL, INDENT, DEDENT))
    return _split(code, ":", ";")


def _split(tokens: Iterable[TokenInfo], *marks: str) -> Iterator[list[TokenInfo]]:
    piece: list[TokenInfo] = []
    for each in tokens:
        if each.type == NEWLINE or (each.type == OP and each.string in marks):
            if piece:
                yield piece
            piece = []
        else:
            piece.append(each)
    if piece:
        yield piece
