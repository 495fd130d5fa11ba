"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`missing` is something that Facet cannot do without."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """`remedy` is what to do, empty where there is nothing to be done."""

    check: str
    state: State
    words: str
    remedy: str = ""


def ok(check: str, words: str) -> Finding:
    """It is as it should be."""
    return Finding(check, State.OK, words)


def warning(check: str, words: str, remedy: str) -> Finding:
    """Something does not work that not everybody needs, or will stop working."""
    return Finding(check, State.WARNING, words, remedy)


def missing(check: str, words: str, remedy: str) -> Finding:
    """Facet cannot do without."""
    return Finding(check, State.MISSING, words, remedy)
