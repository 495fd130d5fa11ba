"""What of an extra is not installed."""

from importlib import metadata
from pathlib import Path

import pytest

from cli import extras
from tests.support.processes.partly_installed import facet


def old_and_absent(name: str) -> str:
    if name == "uvicorn":
        raise metadata.PackageNotFoundError(name)
    return "0.1" if name == "moto" else metadata.version(name)


def test_nothing_lacks_here() -> None:
    assert extras.missing("local") == []


def test_what_is_absent_or_too_old_is_named_through_other_extras() -> None:
    assert extras.missing("local", old_and_absent) == ["moto==5.2.5", "uvicorn>=0.34"]
    assert extras.missing("chart", old_and_absent) == []


def test_up_says_what_to_install(tmp_path: Path) -> None:
    done = facet(tmp_path, "moto", "up", "--port", "0", "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: moto==5.2.5 not installed: run `make run`\n"


def test_a_missing_extra_is_named_with_the_target_that_installs_it() -> None:
    extras.ensure("local")
    with pytest.raises(extras.NotInstalled) as refused:
        extras.ensure("local", old_and_absent)
    assert str(refused.value) == "moto==5.2.5, uvicorn>=0.34 not installed: run `make run`"
    with pytest.raises(
        extras.NotInstalled, match=r"tensorflow.* not installed: run `make training`"
    ):
        extras.ensure("training", without_tensorflow)


def without_tensorflow(name: str) -> str:
    if name.startswith("tensorflow"):
        raise metadata.PackageNotFoundError(name)
    return metadata.version(name)


def test_the_wheel_starts_no_stack() -> None:
    with pytest.raises(extras.NotInstalled) as refused:
        extras.ensure("local", checkout=False)
    assert str(refused.value) == (
        "a stack on this machine runs from a checkout only: clone Facet's repository and use "
        "`make run` there"
    )


def test_keras_2_is_installed_for_the_tensorflow_that_is_there() -> None:
    assert extras.install_keras2("2.21.0") == "`make tensorflow`"
    command = extras.install_keras2("2.21.0", checkout=False)
    assert command == 'pip install --no-deps "tf_keras==2.21.*"'


def test_the_wheel_recommends_what_works_there() -> None:
    assert extras.make("deploy", checkout=False) == "`make deploy` in a checkout of Facet"
    assert extras.install("tensorflow", checkout=False) == 'pip install "facet[tensorflow]"'
    assert extras.located("see docs/manifest.md, page 1", checkout=False) == (
        f"see {extras.ROOT}/docs/manifest.md, page 1"
    )
    elsewhere = "https://example.com/docs/manifest.md"
    assert extras.located(elsewhere, checkout=False) == elsewhere


def test_a_checkout_names_its_own_targets_and_pages() -> None:
    assert extras.make("deploy") == "`make deploy`"
    assert extras.install("chart") == "`make training`"
    assert extras.located("see docs/manifest.md") == "see docs/manifest.md"
    assert (extras.ROOT / "docs/manifest.md").is_file()


def test_each_extra_has_a_target_of_the_makefile() -> None:
    makefile = (extras.ROOT / "Makefile").read_text()
    assert all(f"\n{each}:" in makefile for each in extras.TARGETS.values())
