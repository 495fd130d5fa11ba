"""CHANGELOG.md: every release has a date, and the newest is the project's version."""

import re
import tomllib
from datetime import date
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEADINGS = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
RELEASES = [each.split(" - ") for each in HEADINGS if each != "Unreleased"]
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_it_begins_with_what_is_unreleased() -> None:
    assert HEADINGS[0] == "Unreleased"


def test_the_newest_release_is_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert RELEASES[0][0] == project["version"]


def test_releases_are_dated_newest_first() -> None:
    dates = [date.fromisoformat(day) for _, day in RELEASES]
    assert all(newer >= older for newer, older in pairwise(dates))


def test_changes_are_grouped_as_keep_a_changelog_says() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= KINDS


def test_no_change_is_listed_twice() -> None:
    """As after a merge that keeps the lines of both sides."""
    for release in re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE):
        changes = re.findall(r"^- .+$", release, re.MULTILINE)
        assert [each for each in changes if changes.count(each) > 1] == []
