"""The result of one check."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from cli.terminal.formatting import one_line
from facet.errors import FacetError

UNREACHABLE = (NoConnection, HTTPClientError)
"""Errors of requests that AWS did not answer."""

NETWORK = "check the network and HTTPS_PROXY, and that the region is right"
PERMISSION = "if a permission is missing, ask for it"


class State(StrEnum):
    """`missing`: Facet does not work without it. `warning`: a part does not, or soon will not.

    `unknown`: the check cannot tell, mostly because a permission is missing.
    """

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    MISSING = "missing"


@dataclass(frozen=True)
class CheckResult:
    """What a check found, in `words`; `remedy` says what to do and is empty if all is well."""

    check: str
    state: State
    words: str
    remedy: str = ""


def ok(check: str, words: str) -> CheckResult:
    return CheckResult(check, State.OK, words)


def warning(check: str, words: str, remedy: str) -> CheckResult:
    return CheckResult(check, State.WARNING, words, remedy)


def unknown(check: str, words: str, remedy: str) -> CheckResult:
    return CheckResult(check, State.UNKNOWN, words, remedy)


def missing(check: str, words: str, remedy: str) -> CheckResult:
    return CheckResult(check, State.MISSING, words, remedy)


def guarded(check: str, run: Callable[[], CheckResult]) -> CheckResult:
    """Turn an error of AWS into the result `unknown`, so that the other checks still run.

    botocore cannot parse what a proxy answers instead of AWS.
    """
    try:
        return run()
    except (FacetError, BotoCoreError, ClientError, ResponseParserError) as error:
        remedy = NETWORK if isinstance(error, UNREACHABLE) else PERMISSION
        return unknown(check, one_line(error), remedy)
