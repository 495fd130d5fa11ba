"""Questions are asked of people, and name the option where nobody is there."""

import io

import pytest
from rich.console import Console

from cli.terminal.prompts import MissingOption, Nobody, Person


def person(said: str) -> tuple[Person, io.StringIO]:
    shown = io.StringIO()
    return Person(Console(file=shown, width=200), io.StringIO(said)), shown


def test_a_person_sees_the_question_and_the_option_that_answers_it() -> None:
    someone, shown = person("cat,dog\n")
    assert someone.ask("--labels", "What are the [labels]?") == "cat,dog"
    assert "What are the [labels]? (--labels)" in shown.getvalue()


def test_a_person_confirms_a_suggestion_with_an_empty_line() -> None:
    assert person("\n")[0].ask("--labels", "Which?", suggestion="0,1") == "0,1"
    assert person("\n")[0].ask("--fit", "Which?", otherwise="stretch") == "stretch"


def test_a_person_is_asked_again_until_there_is_an_answer() -> None:
    assert person("\n\nyes\n")[0].ask("--labels", "Which?") == "yes"
    assert person("nothing\ncrop\n")[0].ask("--fit", "Which?", choices=("crop", "pad")) == "crop"


def test_nobody_takes_what_silence_means_but_confirms_no_suggestion() -> None:
    assert Nobody().ask("--fit", "Which?", otherwise="stretch") == "stretch"
    with pytest.raises(MissingOption, match=r"^--labels is missing. Which\?$"):
        Nobody().ask("--labels", "Which?", suggestion="0,1")


def test_a_missing_option_names_its_choices() -> None:
    with pytest.raises(MissingOption, match=r"^--fit crop\|pad is missing"):
        Nobody().ask("--fit", "Which?", choices=("crop", "pad"))
