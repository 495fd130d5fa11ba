"""Sizes, times, violations and policies, as people read them."""

from collections.abc import Iterable, Iterator
from unicodedata import category

from cli.extras import located
from facet.errors import Violation
from facet.registry.models import Mode, Policy

UNITS = ("bytes", "kB", "MB", "GB")


def printable(text: str) -> str:
    """The text without control characters: labels, names and reports may be anybody's, and a
    terminal would obey them.
    """
    return "".join(
        each if each.isprintable() or category(each) == "Zs" else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )


def size(count: int) -> str:
    """Bytes in the unit that suits them, a kB being 1,000."""
    number, unit = float(count), 0
    while number >= 999.5 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    whole = unit == 0 or number >= 99.95
    return f"{number:.{0 if whole else 1}f} {UNITS[unit]}"


def moment(iso: str) -> str:
    """An ISO 8601 time of the registry's (UTC) to the minute."""
    return iso[:16].replace("T", " ")


def short(policy: Policy) -> str:
    """A policy in a few words."""
    if policy.mode is Mode.CANARY:
        return f"canary, {policy.percent} % until {policy.good_answers:,} good answers"
    return policy.mode.value


def reasons(violations: Iterable[Violation]) -> Iterator[str]:
    """Two lines for each violation: what is wrong where, and what to do."""
    for each in violations:
        yield printable(f"{each.place}: {each.problem} [{each.code}]")
        yield printable(f"  → {located(each.remedy)}")
