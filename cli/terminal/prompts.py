"""Ask on the terminal for options that are missing.

Without a terminal, with `--json` or with `--yes`, nothing is asked: a documented fallback is used,
or the command fails and names the option.
"""

import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from facet.errors import FacetError


class MissingOption(FacetError):
    """A required option is missing and cannot be asked for; the message names it."""

    def __init__(self, option: str, question: str, choices: Sequence[str] = ()) -> None:
        usage = f"{option} {'|'.join(choices)}" if choices else option
        super().__init__(f"{usage} is missing. {question}")


class Prompter(Protocol):
    """Supplies values for missing options."""

    def ask(
        self,
        option: str,
        question: str,
        *,
        choices: Sequence[str] = (),
        suggestion: str | None = None,
        fallback: str | None = None,
    ) -> str:
        """Return the option's value, one of `choices` if there are any.

        A person confirms `suggestion` or `fallback` with an empty line; only `fallback` is also
        used without a person. Raises MissingOption.
        """


class TerminalPrompter:
    """Asks on the terminal, or reads answers from `stream`, until one is not empty."""

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
        fallback: str | None = None,
    ) -> str:
        prompt = Prompt(
            Text.assemble(question, " ", (f"({option})", "dim")),
            console=self._console,
            choices=list(choices) or None,
        )
        default = suggestion or fallback
        if default:
            return prompt(default=default, stream=self._stream) or default
        answer = ""
        while not answer:
            answer = prompt(stream=self._stream)
        return answer


class SilentPrompter:
    """Asks nothing: returns the fallback, or raises MissingOption."""

    def ask(
        self,
        option: str,
        question: str,
        *,
        choices: Sequence[str] = (),
        suggestion: str | None = None,  # noqa: ARG002
        fallback: str | None = None,
    ) -> str:
        if fallback is None:
            raise MissingOption(option, question, choices)
        return fallback


def prompter(console: Console, *, silent: bool) -> Prompter:
    """Choose a prompter: on a terminal, unless `silent`, a person is asked."""
    return SilentPrompter() if silent or not sys.stdin.isatty() else TerminalPrompter(console)
