"""The result of one check."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`missing`: Facet does not work without it. `warning`: a part does not, or soon will not."""

    OK = "ok"
    WARNING = "warning"
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


def missing(check: str, words: str, remedy: str) -> CheckResult:
    return CheckResult(check, State.MISSING, words, remedy)
