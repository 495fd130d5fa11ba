"""Missing options are asked for on a terminal; elsewhere the error names them."""

import io

import pytest
from rich.console import Console

from cli.terminal.prompts import MissingOption, SilentPrompter, TerminalPrompter
from facet.errors import FacetError


def prompter(typed: str) -> tuple[TerminalPrompter, io.StringIO]:
    printed = io.StringIO()
    return TerminalPrompter(Console(file=printed, width=200), io.StringIO(typed)), printed


def test_prints_the_question_and_its_option() -> None:
    terminal, printed = prompter("cat,dog\n")
    assert terminal.ask("--labels", "What are the [labels]?") == "cat,dog"
    assert "What are the [labels]? (--labels)" in printed.getvalue()


def test_an_empty_line_confirms_the_suggestion() -> None:
    assert prompter("\n")[0].ask("--labels", "Which?", suggestion="0,1") == "0,1"
    assert prompter("\n")[0].ask("--fit", "Which?", fallback="stretch") == "stretch"


def test_asks_again_until_there_is_an_answer() -> None:
    assert prompter("\n\nyes\n")[0].ask("--labels", "Which?") == "yes"
    assert prompter("nothing\ncrop\n")[0].ask("--fit", "Which?", choices=("crop", "pad")) == "crop"


def test_without_a_terminal_only_the_fallback_is_used() -> None:
    assert SilentPrompter().ask("--fit", "Which?", fallback="stretch") == "stretch"
    with pytest.raises(MissingOption, match=r"^--labels is missing. Which\?$"):
        SilentPrompter().ask("--labels", "Which?", suggestion="0,1")


def test_a_missing_option_names_its_choices() -> None:
    with pytest.raises(MissingOption, match=r"^--fit crop\|pad is missing"):
        SilentPrompter().ask("--fit", "Which?", choices=("crop", "pad"))


def test_asks_again_until_the_answer_is_valid() -> None:
    def check(answer: str) -> None:
        if answer != "cat,dog":
            raise FacetError("there are 1 labels for 2 scores")

    terminal, printed = prompter("cat\ncat,dog\n")
    assert terminal.ask("--labels", "Which?", check=check) == "cat,dog"
    assert "there are 1 labels for 2 scores" in printed.getvalue()


def test_placeholders_stand_for_options_until_all_are_named() -> None:
    silent = SilentPrompter()
    silent.finish()
    assert silent.ask("--fit", "Which?", choices=("crop", "pad"), placeholder="crop") == "crop"
    assert silent.ask("--labels", "Who?", placeholder="a,b") == "a,b"
    with pytest.raises(
        MissingOption, match=r"^missing options: --fit crop\|pad; --labels\. --help"
    ):
        silent.finish()
