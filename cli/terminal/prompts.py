"""Ask on the terminal for options that are missing.

Without a terminal, with `--json` or with `--yes`, nothing is asked: a documented fallback is used,
or the command fails and names all missing options.
"""

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TextIO

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from facet.errors import FacetError


class Missing(NamedTuple):
    """An option that is missing, and what it answers."""

    option: str
    question: str
    choices: Sequence[str] = ()

    @property
    def usage(self) -> str:
        """The option with its choices."""
        return f"{self.option} {'|'.join(self.choices)}" if self.choices else self.option


class MissingOption(FacetError):
    """Required options are missing and cannot be asked for; the message names them all."""

    def __init__(self, first: Missing, *others: Missing) -> None:
        self.missing = (first, *others)
        if others:
            super().__init__(
                f"missing options: {'; '.join(each.usage for each in self.missing)}. "
                "--help explains each"
            )
        else:
            super().__init__(f"{first.usage} is missing. {first.question}")

    def also(self, others: Sequence[Missing]) -> "MissingOption":
        """Return an error that names `others`, too, each option once."""
        named = {each.option.split()[0] for each in self.missing}
        new = [each for each in others if each.option.split()[0] not in named]
        return MissingOption(*self.missing, *new)


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
        placeholder: str | None = None,
        check: Callable[[str], object] | None = None,
    ) -> str:
        """Return the option's value, one of `choices` if there are any.

        A person confirms `suggestion` or `fallback` with an empty line, and is asked again if
        `check` raises a FacetError. Without a person `fallback` is used; else `placeholder`, until
        `finish` names everything that is missing. Raises MissingOption if there is neither.
        """

    def finish(self) -> None:
        """Raise MissingOption if a placeholder was used."""


class TerminalPrompter:
    """Asks on the terminal, or reads answers from `stream`, until one is valid."""

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
        placeholder: str | None = None,  # noqa: ARG002
        check: Callable[[str], object] | None = None,
    ) -> str:
        prompt = Prompt(
            Text.assemble(question, " ", (f"({option})", "dim")),
            console=self._console,
            choices=list(choices) or None,
        )
        default = suggestion or fallback
        while True:
            if default:
                answer = prompt(default=default, stream=self._stream) or default
            else:
                answer = prompt(stream=self._stream)
            if answer and self._is_valid(answer, check):
                return answer

    def _is_valid(self, answer: str, check: Callable[[str], object] | None) -> bool:
        try:
            if check:
                check(answer)
        except FacetError as error:
            self._console.print(Text(f"{error}"))
            return False
        return True

    def finish(self) -> None:
        """Do nothing: a person has answered everything."""


class SilentPrompter:
    """Asks nothing: returns the fallback or a placeholder, or raises MissingOption."""

    def __init__(self) -> None:
        self._missing: list[Missing] = []

    def ask(
        self,
        option: str,
        question: str,
        *,
        choices: Sequence[str] = (),
        suggestion: str | None = None,  # noqa: ARG002
        fallback: str | None = None,
        placeholder: str | None = None,
        check: Callable[[str], object] | None = None,  # noqa: ARG002
    ) -> str:
        if fallback is not None:
            return fallback
        self._missing.append(Missing(option, question, choices))
        if placeholder is None:
            raise MissingOption(*self._missing)
        return placeholder

    def finish(self) -> None:
        if self._missing:
            raise MissingOption(*self._missing)


def prompter(console: Console, *, silent: bool) -> Prompter:
    """Choose a prompter: on a terminal, unless `silent`, a person is asked."""
    return SilentPrompter() if silent or not sys.stdin.isatty() else TerminalPrompter(console)
