"""Deployed packages are pinned: all of them, to the tests' versions, and by digest."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.support.project.pins import digests, named, needed, pins

ROOT = Path(__file__).parents[3]
CONSTRAINTS = pins(ROOT / "constraints.txt")
DEPLOYED = [
    ROOT / "layers/facet/requirements",
    ROOT / "layers/litert/requirements",
    ROOT / "serving/requirements",
    ROOT / "serving/requirements-tensorflow",
    ROOT / "training/wheels",
]
SOURCES = {ROOT / "training/wheels": ROOT / "training/requirements.in"}
"""Where the names come from that a file without one of its own pins."""

PINNED = sorted([*ROOT.glob("[a-z]*/**/requirements*.txt"), ROOT / "training/wheels.txt"])
deployed = pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: str(path.relative_to(ROOT)))


@deployed
@pytest.mark.skipif(sys.platform != "linux", reason="tensorflow-cpu is Linux's")
def test_exactly_the_needed_packages_are_pinned(path: Path) -> None:
    names = named(SOURCES.get(path, path.with_suffix(".in")))
    assert names
    assert set(pins(path.with_suffix(".txt"))) == needed(names)


@deployed
def test_pins_are_the_versions_that_the_tests_use(path: Path) -> None:
    for name, version in pins(path.with_suffix(".txt")).items():
        assert CONSTRAINTS[name] == version, name


@deployed
def test_every_pin_has_digests(path: Path) -> None:
    requirements = path.with_suffix(".txt")
    found = digests(requirements)
    assert found.keys() == pins(requirements).keys()
    assert all(found.values())


def test_pins_of_training_jobs_are_the_versions_that_the_tests_use() -> None:
    """The training image's own packages stay as they are: docs/decisions, 0021."""
    pinned = pins(ROOT / "training/requirements.txt")
    assert pinned.keys() == named(ROOT / "training/requirements.in")
    assert pinned.items() <= CONSTRAINTS.items()


def test_the_container_installs_nothing_without_a_digest() -> None:
    dockerfile = (ROOT / "serving/Dockerfile").read_text().replace("\\\n", " ")
    installs = [shlex.split(each) for each in re.findall(r"pip install[^&]*", dockerfile)]
    assert installs
    assert all("--require-hashes" in each for each in installs)


def test_the_containers_base_image_is_named_by_digest() -> None:
    bases = re.findall(r"^FROM (\S+)", (ROOT / "serving/Dockerfile").read_text(), re.MULTILINE)
    assert bases
    assert all(re.fullmatch(r"public\.ecr\.aws/\S+@sha256:[0-9a-f]{64}", each) for each in bases)


def test_the_tools_that_make_runs_are_pinned() -> None:
    tools = set(re.findall(r"\$\(call TOOL,([\w-]+)\)", (ROOT / "Makefile").read_text()))
    assert tools == {each.stem for each in (ROOT / ".ci/tools").iterdir()}
    for each in tools:
        assert each in pins(ROOT / f".ci/tools/{each}.txt")


def test_no_pin_names_a_host() -> None:
    assert {each.with_suffix(".txt") for each in DEPLOYED} <= set(PINNED)
    for path in [ROOT / "constraints.txt", *ROOT.glob(".ci/tools/*"), *PINNED]:
        assert "://" not in path.read_text(), path


def test_keras_2_is_that_of_the_pinned_tensorflow() -> None:
    (version,) = re.findall(r"tf-keras==([0-9]+\.[0-9]+)\.", (ROOT / ".ci/setup").read_text())
    assert CONSTRAINTS["tensorflow-cpu"].startswith(f"{version}.")
