"""A check: an assumption about a stack, the code that tries it, and what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from cli.client.permissions import forbidden
from facet.errors import FacetError

if TYPE_CHECKING:
    from cli.verify.session import Session

OF_AWS = (FacetError, BotoCoreError, ClientError, Boto3Error, OSError)
OF_ANSWERS = (ValueError, LookupError, TypeError, AttributeError)
"""Errors of a check: of what it asked, and of answers in an unexpected form."""


class State(StrEnum):
    """What came of an assumption."""

    SEEN = "seen"
    DIFFERENT = "different"
    NOT_TRIED = "not tried"


class Different(FacetError):
    """The assumption does not hold; the message says what was seen instead."""


class NotTried(FacetError):
    """The assumption was not tried; the message says why."""


@dataclass(frozen=True)
class Finding:
    """What one check found: `found` is the evidence, what was seen instead, or why not tried.

    `subject` is the alarm or the like that the finding is about, where a check has several.
    """

    check: str
    assumption: str
    state: State
    found: str
    seconds: float
    subject: str = ""


@dataclass(frozen=True)
class Result:
    """A finding of a check that has several, about a subject each."""

    state: State
    found: str
    subject: str


Try = Callable[["Session"], "str | list[Result]"]
"""Tries an assumption: returns the evidence, or a result for each subject. Raises Different,
NotTried, and errors of AWS and of the API, which count as different."""


@dataclass(frozen=True)
class Check:
    """An assumption, as a sentence, and how to try it."""

    name: str
    assumption: str
    attempt: Try

    def findings(self, session: "Session") -> list[Finding]:
        """Try it. Every error becomes a finding, so that the next check runs in any case."""
        started = time.monotonic()
        results: list[Result]
        try:
            found = self.attempt(session)
            results = [Result(State.SEEN, found, "")] if isinstance(found, str) else found
        except NotTried as error:
            results = [Result(State.NOT_TRIED, str(error), "")]
        except ClientError as error:
            state = State.NOT_TRIED if forbidden(error) else State.DIFFERENT
            results = [Result(state, str(error), "")]
        except (*OF_AWS, *OF_ANSWERS) as error:
            kind = "" if isinstance(error, FacetError) else f"{type(error).__name__}: "
            results = [Result(State.DIFFERENT, f"{kind}{error}", "")]
        seconds = round(time.monotonic() - started, 1)
        return [
            Finding(
                self.name,
                self.assumption,
                each.state,
                " ".join(each.found.split()),
                seconds,
                each.subject,
            )
            for each in results
        ]

    def untried(self, why: str) -> Finding:
        """The finding of a check that is left out."""
        return Finding(self.name, self.assumption, State.NOT_TRIED, why, 0.0)


def check(name: str, assumption: str) -> Callable[[Try], Check]:
    """Make a check of the function that tries the assumption."""
    return lambda attempt: Check(name, assumption, attempt)
