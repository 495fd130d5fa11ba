"""Which name was meant."""

import pytest

from cli.terminal.command import without_routes
from facet.errors import UnknownModel, UnknownVersion
from facet.registry.suggestions import did_you_mean

NAMES = ("cats", "cats-2", "dogs", "walk-0001")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", " Did you mean 'cats' or 'cats-2'?"),
        ("Cats", " Did you mean 'cats' or 'cats-2'?"),
        ("dgos", " Did you mean 'dogs'?"),
        ("walk", " Did you mean 'walk-0001'?"),
        ("wal", " Did you mean 'walk-0001'?"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert did_you_mean(name, NAMES) == expected


def test_the_beginning_of_a_version() -> None:
    assert did_you_mean("0378", ("0378e550166a", "421a0ab06a32")) == (
        " Did you mean '0378e550166a'?"
    )


@pytest.mark.parametrize("error", [UnknownModel("cats"), UnknownVersion("cats", "0" * 12)])
def test_the_command_line_names_no_route(error: Exception) -> None:
    text = without_routes(str(error))
    assert "GET" not in text
    assert "`facet " in text
