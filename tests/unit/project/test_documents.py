"""Links, paths and tables in all documents."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


HEADED = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/README.md",
    "docs/architecture.md",
    "docs/deployment.md",
    "docs/operations.md",
    "docs/security.md",
    "docs/decisions/README.md",
)
"""Documents whose tables have a heading for each column."""


def documents() -> list[Path]:
    """The repository's Markdown files, including those not committed yet."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(path for line in listed.stdout.splitlines() if (path := ROOT / line).exists())


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }


def broken(document: Path) -> list[str]:
    found = []
    for link in LINK.findall(CODE.sub("", document.read_text())):
        url = urlsplit(link)
        if url.scheme:
            continue
        target = document.parent / unquote(url.path) if url.path else document
        if not target.exists() or (
            url.fragment and target.suffix == ".md" and url.fragment not in anchors(target)
        ):
            found.append(link)
    return found


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    assert not broken(document)


def folders() -> set[str]:
    """The top-level folders with files of the repository."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {line.split("/")[0] for line in listed.stdout.splitlines() if "/" in line}


def absent(text: str) -> list[str]:
    """Paths in code spans and blocks that begin with one of the folders and do not exist.

    Paths with a placeholder, such as `training/<execution>/`, are keys of the bucket.
    """
    below = re.compile(rf"(?<![\w/.<>-])(?:{'|'.join(map(re.escape, folders()))})/[\w./<>*-]+")
    named = {path for code in CODE.findall(text) for path in below.findall(code)}
    return sorted(each for each in named if "<" not in each and not list(ROOT.glob(each)))


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_in_code_exists(document: Path) -> None:
    assert not absent(document.read_text())


def test_a_path_that_does_not_exist_is_found() -> None:
    assert absent("`samples/none.jpg`\n\n```\ncat events/*.json docs/none/\n```\n") == [
        "docs/none/",
        "samples/none.jpg",
    ]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(
        "# Here\n\n[a](b.md) [c](#here) [d](#there) [e](https://x.test) `[f](g.md)`"
    )
    assert broken(document) == ["b.md", "#there"]


def test_every_decision_is_in_the_index() -> None:
    decisions = ROOT / "docs/decisions"
    listed = LINK.findall((decisions / "README.md").read_text())
    assert sorted(listed) == sorted(
        path.name for path in decisions.glob("*.md") if path.name != "README.md"
    )


@pytest.mark.parametrize("name", HEADED)
def test_every_column_of_a_table_has_a_heading(name: str) -> None:
    heads = re.findall(r"^(\|.*\|)\n\|[-|]+\|$", (ROOT / name).read_text(), re.MULTILINE)
    cells = [cell.strip() for head in heads for cell in head.strip("|").split("|")]
    assert all(cells)
