"""Pins and digests in requirements files."""

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

AWS = {
    "python_version": "3.12",
    "python_full_version": "3.12.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "extra": "",
}
"""AWS's environment, for evaluating markers."""


def pins(path: Path) -> dict[str, str]:
    """The version of each distribution that a file pins."""
    found = re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE)
    return {canonical(name): version for name, version in found}


def digests(path: Path) -> dict[str, int]:
    """The number of digests of each distribution."""
    parts = re.split(r"^(?=\w)", path.read_text(), flags=re.MULTILINE)
    return {canonical(each.partition("==")[0]): each.count("--hash=sha256:") for each in parts[1:]}


def canonical(distribution: str) -> str:
    """The normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def named(path: Path) -> set[str]:
    """The distributions that a requirements.in and the files it includes name."""
    found: set[str] = set()
    for line in path.read_text().split("\n"):
        include, _, other = line.partition("-r ")
        found |= named(path.parent / other) if other else {canonical(include)}
    return found - {""}


def needed(names: set[str]) -> set[str]:
    """Distributions and all their dependencies on AWS, by the metadata of the installed ones."""
    found: set[str] = set()
    new = set(names)
    while new:
        found |= new
        new = {each for name in new for each in _needs(name)} - found
    return found


def _needs(distribution: str) -> set[str]:
    parsed = [Requirement(each) for each in requires(distribution) or []]
    return {canonical(each.name) for each in parsed if not each.marker or each.marker.evaluate(AWS)}
