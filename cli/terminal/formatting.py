"""Format errors, sizes, times, violations and policies for people."""

import re
from collections.abc import Iterable, Iterator, Mapping
from unicodedata import category

from cli.extras import located
from facet.errors import Violation
from facet.keys import JOINERS
from facet.registry.models import Mode, Policy

UNITS = ("bytes", "kB", "MB", "GB")
DETAILS = ("_images", "_correct", "_low", "_high", "_largest_class")
"""Ends of the metrics that say how sure another one is."""

OF_ACCURACY = ("images", "correct")
"""Those that belong to a head's `accuracy`, which has no prefix."""

PAGE = re.compile(r"(\bb?['\"])?<(!doctype|\?xml|html|head|body)\b.*", re.IGNORECASE)
TITLE = re.compile(r"<title[^>]*>(.{1,80}?)</title>", re.IGNORECASE)


def one_line(error: Exception) -> str:
    """The error's message on one line, with only the title of a page in it.

    botocore quotes the whole page that a proxy answers instead of AWS.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if not (page := PAGE.search(text)):
        return text
    title = TITLE.search(page[0])
    name = f" '{title[1].strip()}'" if title else ""
    before = text[: page.start()].rstrip(" :")
    return f"{before}: a page{name} came instead of AWS's answer, perhaps from a proxy"


def printable(text: str) -> str:
    """Replace control characters, which a terminal would obey: labels and names are untrusted."""
    return "".join(
        each
        if each.isprintable() or each in JOINERS or category(each) == "Zs"
        else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )


def size(count: int) -> str:
    """Format bytes in decimal units: bytes, kB, MB, GB."""
    number, unit = float(count), 0
    while number >= 999.5 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    whole = unit == 0 or number >= 99.95
    return f"{number:.{0 if whole else 1}f} {UNITS[unit]}"


def measures(metrics: Mapping[str, float]) -> str:
    """Format a manifest's metrics: an accuracy with its interval and number of images."""
    return printable(
        ", ".join(
            f"{name} {value:.4f}{_certainty(name, metrics)}"
            for name, value in metrics.items()
            if not name.endswith(DETAILS)
            and not (name in OF_ACCURACY and "accuracy_low" in metrics)
        )
    )


def _certainty(name: str, metrics: Mapping[str, float]) -> str:
    counted = "images" if name == "accuracy" else f"{name.removesuffix('_accuracy')}_images"
    images = metrics.get(counted)
    ends = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    if images is None or None in ends:
        return ""
    return f" ({ends[0]:.3f} to {ends[1]:.3f}, {images:,.0f} images)"


def moment(iso: str) -> str:
    """Format the registry's ISO 8601 time (UTC) to the minute."""
    return iso[:16].replace("T", " ")


def short(policy: Policy) -> str:
    """Describe a policy in a few words."""
    if policy.mode is Mode.CANARY:
        return f"canary, {policy.percent} % until {policy.good_answers:,} good answers"
    return policy.mode.value


def reasons(violations: Iterable[Violation]) -> Iterator[str]:
    """Yield two lines for each violation: the problem, and the remedy."""
    for each in violations:
        yield printable(f"{each.place}: {each.problem} [{each.code}]")
        yield printable(f"  → {located(each.remedy)}")
