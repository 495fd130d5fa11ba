"""Where this command is installed, which extras of pyproject.toml it lacks, and how to get them.

Messages that recommend an installation, a target of the Makefile or a page of the documentation
take its words from here: they differ between a checkout and the wheel.
"""

import re
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from facet.errors import FacetError

PROJECT = "facet"

CHECKOUT = __name__ == "cli.extras"
"""Whether this is a checkout. In the wheel, this module is `facet.cli.extras`."""

ROOT = Path(__file__).resolve().parents[1]
"""The checkout, or in the wheel the package `facet`. Either has the documentation in docs/."""

TARGETS = {"local": "run", "training": "training", "tensorflow": "tensorflow", "chart": "training"}
"""The Makefile's target that installs an extra."""

CLONE = "clone Facet's repository and use `make run` there"


class NotInstalled(FacetError):
    """Something is missing; the message says how to get it."""


def version() -> str:
    """The installed version of Facet."""
    return metadata.version(PROJECT)


def make(target: str, checkout: bool = CHECKOUT) -> str:
    """A target of the Makefile, as a message recommends it."""
    return f"`make {target}`{'' if checkout else ' in a checkout of Facet'}"


def install(extra: str, checkout: bool = CHECKOUT) -> str:
    """The command that installs an extra. The wheel has `chart`, `heic` and `tensorflow`."""
    return f"`make {TARGETS[extra]}`" if checkout else f'pip install "{PROJECT}[{extra}]"'


def install_keras2(tensorflow: str, checkout: bool = CHECKOUT) -> str:
    """The command that installs Keras 2 beside the installed version of TensorFlow.

    Without `--no-deps`, pip would install a second TensorFlow over tensorflow-cpu.
    """
    minor = ".".join(tensorflow.split(".")[:2])
    return install("tensorflow") if checkout else f'pip install --no-deps "tf_keras=={minor}.*"'


def located(text: str, checkout: bool = CHECKOUT) -> str:
    """The text with pages such as docs/manifest.md by their paths, where those are in the wheel."""
    if checkout:
        return text
    return re.sub(r"(?<![\w/])docs/[a-z-]+\.md", lambda page: str(ROOT / page[0]), text)


def ensure(
    extra: Literal["local", "training"],
    version: Callable[[str], str] = metadata.version,
    checkout: bool = CHECKOUT,
) -> None:
    """Raises NotInstalled if packages of an extra are missing, or this is no checkout."""
    if not checkout:
        raise NotInstalled(f"a stack on this machine runs from a checkout only: {CLONE}")
    if gone := missing(extra, version):
        raise NotInstalled(f"{', '.join(gone)} not installed: run {install(extra)}")


def missing(extra: str, version: Callable[[str], str] = metadata.version) -> list[str]:
    """The requirements of an extra that no installed package meets.

    `version` returns the version of an installed package or raises PackageNotFoundError.
    """

    def met(requirement: Requirement) -> bool:
        try:
            installed = version(requirement.name)
        except metadata.PackageNotFoundError:
            return False
        return requirement.specifier.contains(installed, prereleases=True)

    requirements = _requirements(extra)
    return sorted({f"{each.name}{each.specifier}" for each in requirements if not met(each)})


def _requirements(extra: str) -> Iterator[Requirement]:
    for requirement in map(Requirement, metadata.requires(PROJECT) or ()):
        marker = requirement.marker
        if marker is None or not marker.evaluate({"extra": extra}):
            continue
        if requirement.name == PROJECT:
            for other in requirement.extras:
                yield from _requirements(other)
        else:
            yield requirement
