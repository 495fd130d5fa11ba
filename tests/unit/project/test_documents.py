"""What documents point at is there, in links, prose and lines to paste."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def documents() -> list[Path]:
    """All of the repository's, those not committed yet among them."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(path for line in listed.stdout.splitlines() if (path := ROOT / line).exists())


def anchors(document: Path) -> set[str]:
    """What its headings are called in links, as GitHub makes it."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in MARK.findall(text)
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
    """The repository's own at the top."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {line.split("/")[0] for line in listed.stdout.splitlines() if "/" in line}


def absent(text: str) -> list[str]:
    """Paths below one of the repository's folders that code in the text names in vain.

    Those with a place to fill in, as `training/<execution>/`, are keys of the bucket.
    """
    below = re.compile(rf"(?<![\w/.<>-])(?:{'|'.join(map(re.escape, folders()))})/[\w./<>*-]+")
    named = {path for code in CODE.findall(text) for path in below.findall(code)}
    return sorted(each for each in named if "<" not in each and not list(ROOT.glob(each)))


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_code_names_is_there(document: Path) -> None:
    assert not absent(document.read_text())


def test_a_path_to_nowhere_is_noticed() -> None:
    assert absent("`samples/none.jpg`\n\n```\ncat events/*.json docs/none/\n```\n") == [
        "docs/none/",
        "samples/none.jpg",
    ]


def test_a_link_to_nowhere_is_noticed(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(
        "# Here\n\n[a](b.md) [c](#here) [d](#there) [e](https://x.test) `[f](g.md)`"
    )
    assert broken(document) == ["b.md", "#there"]


def test_every_decision_is_in_the_list() -> None:
    decisions = ROOT / "docs/decisions"
    listed = LINK.findall((decisions / "README.md").read_text())
    assert sorted(listed) == sorted(
        path.name for path in decisions.glob("*.md") if path.name != "README.md"
    )
