"""What of an extra is not installed."""

from importlib import metadata
from pathlib import Path

import pytest

from cli import extras
from tests.support.partly_installed import facet


def old_and_absent(name: str) -> str:
    if name == "rich":
        raise metadata.PackageNotFoundError(name)
    return "0.1" if name == "moto" else metadata.version(name)


def test_nothing_lacks_here() -> None:
    assert extras.missing("local") == []


def test_what_is_absent_or_too_old_is_named_through_other_extras() -> None:
    assert extras.missing("local", old_and_absent) == ["moto==5.2.5", "rich>=14"]
    assert extras.missing("serving", old_and_absent) == []


def test_up_says_what_to_install(tmp_path: Path) -> None:
    done = facet(tmp_path, "moto", "up", "--port", "0", "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: moto==5.2.5 missing: pip install 'facet[local]', or `make run`\n"
    )


def test_who_needs_an_extra_is_told_how_to_get_it() -> None:
    extras.ensure("local")
    with pytest.raises(extras.NotInstalled) as refused:
        extras.ensure("local", old_and_absent)
    assert str(refused.value) == (
        "moto==5.2.5, rich>=14 missing: pip install 'facet[local]', or `make run`"
    )
    with pytest.raises(extras.NotInstalled, match=r"'facet\[training\]', or `make training`"):
        extras.ensure("training", old_and_absent)
