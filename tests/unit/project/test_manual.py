"""docs/README.md: its blocks are commands that exist, and every page of the manual is in it."""

import re
from pathlib import Path

import pytest

from tests.support.project.commands import assigned, check, commands, used

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "README.md").read_text()
OPERATIONS = (DOCS / "operations.md").read_text()
QUESTION = re.compile(r"^\*\*How do I .+?\?\*\*(.*?)(?=^\*\*How do I |^## |\Z)", re.M | re.DOTALL)


@pytest.mark.parametrize("words", commands(TEXT), ids=" ".join)
def test_programs_accept_each_command(words: list[str]) -> None:
    check(words)


def test_variables_are_set_on_this_page_or_at_the_start_of_operations() -> None:
    assert used(TEXT) <= assigned(TEXT) | assigned(OPERATIONS)


@pytest.mark.parametrize("answer", QUESTION.findall(TEXT))
def test_every_question_has_a_block_or_a_link(answer: str) -> None:
    assert "```sh\n" in answer or "](" in answer or "\n| " in answer


def test_it_answers_what_operators_ask_most() -> None:
    questions = " ".join(re.findall(r"\*\*(How do I .+?\?)\*\*", TEXT)).lower()
    for asked in (
        "add a caller",
        "see why an upload was rejected",
        "roll back",
        "find a slow model",
        "resize the endpoint",
        "delete a model",
        "change a limit",
        "see the cost",
    ):
        assert asked in questions


def test_every_page_is_listed() -> None:
    pages = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    _, _, listed = TEXT.partition("\n## Pages\n")
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", listed)) == pages
