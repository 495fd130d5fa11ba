"""What people read: sizes, policies, violations, and nothing that a terminal obeys."""

import pytest

from cli.terminal.formatting import moment, printable, reasons, short, size
from facet.errors import Violation
from facet.registry.models import Mode, Policy


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (4_500_000, "4.5 MB"),
        (5_000_000_000, "5.0 GB"),
        (5_000_000_000_000, "5000 GB"),
    ],
)
def test_sizes(count: int, expected: str) -> None:
    assert size(count) == expected


def test_nothing_that_a_terminal_obeys() -> None:
    assert printable("a\x1b[31mb\nc\u202ed é日:cat:") == "a�[31mb�c�d é日:cat:"
    assert printable("\u00a0in a traceback") == "\u00a0in a traceback"
    expected = list(reasons([Violation("code", "place\x1b", "wrong\n", "mend\x07")]))
    assert expected == ["place�: wrong� [code]", "  → mend�"]


def test_policies_and_moments() -> None:
    assert short(Policy(Mode.MANUAL)) == "manual"
    assert short(Policy(Mode.CANARY, 5, 2000)) == "canary, 5 % until 2,000 good answers"
    assert moment("2026-02-01T12:34:56.789+00:00") == "2026-02-01 12:34"
