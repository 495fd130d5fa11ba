"""What a command cannot know, asked of whoever is there."""

import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from facet.errors import FacetError


class MissingOption(FacetError):
    """Nobody is there to answer a question; the message names the option that does."""

    def __init__(self, option: str, question: str, choices: Sequence[str] = ()) -> None:
        given = f"{option} {'|'.join(choices)}" if choices else option
        super().__init__(f"{given} is missing. {question}")


class Asker(Protocol):
    """Answers questions that an option could have answered."""

    def ask(
        self,
        option: str,
        question: str,
        *,
        choices: Sequence[str] = (),
        suggestion: str | None = None,
        otherwise: str | None = None,
    ) -> str:
        """The answer, one of `choices` if there are any.

        `suggestion` is what a person may confirm, `otherwise` what silence means as well.
        Raises MissingOption.
        """


class Person:
    """Asks on the terminal, or whatever `stream` is; an empty line is no answer."""

    def __init__(self, console: Console, stream: TextIO | None = None) -> None:
        self._console = console
        self._stream = stream

    def ask(
        self,
        option: str,
        question: str,
        *,
        choices: Sequence[str] = (),
        suggestion: str | None = None,
        otherwise: str | None = None,
    ) -> str:
        prompt = Prompt(
            Text.assemble(question, " ", (f"({option})", "dim")),
            console=self._console,
            choices=list(choices) or None,
        )
        default = suggestion or otherwise
        if default:
            return prompt(default=default, stream=self._stream) or default
        answer = ""
        while not answer:
            answer = prompt(stream=self._stream)
        return answer


class Nobody:
    """Takes what silence means, or refuses."""

    def ask(
        self,
        option: str,
        question: str,
        *,
        choices: Sequence[str] = (),
        suggestion: str | None = None,  # noqa: ARG002
        otherwise: str | None = None,
    ) -> str:
        if otherwise is None:
            raise MissingOption(option, question, choices)
        return otherwise


def asker(console: Console, *, silent: bool) -> Asker:
    """A person where one sits at the terminal and has not said `--yes`."""
    return Nobody() if silent or not sys.stdin.isatty() else Person(console)
