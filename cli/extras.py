"""Facet's extras (pyproject.toml), and what of them is not installed."""

from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Literal

from packaging.requirements import Requirement

from facet.errors import FacetError

PROJECT = "facet"

FROM_SOURCES = {"local": "make run", "training": "make training"}
"""The target that installs an extra."""


class NotInstalled(FacetError):
    """An extra is not there; the message says how to get it."""


def ensure(
    extra: Literal["local", "training"], version: Callable[[str], str] = metadata.version
) -> None:
    """Raises NotInstalled where packages of an extra are missing."""
    if gone := missing(extra, version):
        raise NotInstalled(
            f"{', '.join(gone)} missing: pip install 'facet[{extra}]', or `{FROM_SOURCES[extra]}`"
        )


def missing(extra: str, version: Callable[[str], str] = metadata.version) -> list[str]:
    """The packages of an extra that are not there, or not in a version that it takes.

    `version` is that of an installed package; it raises PackageNotFoundError.
    """

    def there(wanted: Requirement) -> bool:
        try:
            return wanted.specifier.contains(version(wanted.name), prereleases=True)
        except metadata.PackageNotFoundError:
            return False

    return sorted({f"{each.name}{each.specifier}" for each in _wanted(extra) if not there(each)})


def _wanted(extra: str) -> Iterator[Requirement]:
    for wanted in map(Requirement, metadata.requires(PROJECT) or ()):
        if wanted.marker is None or not wanted.marker.evaluate({"extra": extra}):
            continue
        if wanted.name == PROJECT:
            for other in wanted.extras:
                yield from _wanted(other)
        else:
            yield wanted
