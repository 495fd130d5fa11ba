"""Tests wait longer than a busy machine needs."""

import ast

from tests.support.stacks import ROOT

REQUESTS = ("get", "post", "put", "delete", "head", "options", "request", "Client")


def impatient(text: str) -> list[int]:
    """The lines with a request of httpx that names no timeout. By default it has five seconds."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr in REQUESTS) == ("httpx", True)
        and "timeout" not in {each.arg for each in node.keywords}
    ]


def test_requests_without_a_timeout_are_seen() -> None:
    assert impatient("httpx.get(url)\nhttpx.get(url, timeout=LONG)\n") == [1]


def test_every_request_of_a_test_names_its_timeout() -> None:
    found = {path: impatient(path.read_text()) for path in (ROOT / "tests").rglob("*.py")}
    assert {str(path): lines for path, lines in found.items() if lines} == {}
