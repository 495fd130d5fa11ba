"""README.md: its numbers are the benchmarks', its map is the repository's, its fences are known."""

import re
import subprocess
from pathlib import Path

from tests.support.project.readme import NOT_RUN, fences

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "README.md").read_text()
BENCHMARKS = (ROOT / "docs/benchmarks.md").read_text()


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next one of the same or a higher level."""
    (match,) = re.finditer(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    ends = re.compile(rf"^#{{1,{len(match[1])}}} ", re.MULTILINE).search(text, match.end())
    return text[match.end() : ends.start() if ends else None]


def table(text: str, first: str) -> list[list[str]]:
    """The rows below the head whose first cell is `first`."""
    (block,) = re.findall(rf"^\| {re.escape(first)} \|.*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in block.splitlines()]


def numbers(text: str) -> list[str]:
    return re.findall(r"\d[\d,.]*\d|\d", re.sub(r"\]\([^)]*\)|&nbsp;", " ", text))


def test_every_number_of_the_first_table_is_in_the_linked_section() -> None:
    rows = table(TEXT, "measured")
    assert len(rows) == 4
    for row in rows:
        ((anchor,),) = [re.findall(r"docs/benchmarks\.md#([\w-]+)", row[1])]
        headings = re.findall(r"^#+ (.+)$", BENCHMARKS, re.MULTILINE)
        (heading,) = [
            each
            for each in headings
            if re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") == anchor
        ]
        source = section(BENCHMARKS, heading)
        assert [each for each in numbers(" ".join(row)) if each not in numbers(source)] == []


def test_the_machine_and_the_ratios_are_those_of_the_benchmarks() -> None:
    (line,) = re.findall(r"^Facet's container .*\n.*$", TEXT, re.MULTILINE)
    source = section(BENCHMARKS, "One model")
    (machine,) = set(re.findall(r"Measured (\S+) on (.*? GB of memory)", source))
    assert all(each in line for each in machine)
    best = r"At 8 clients Facet \(LiteRT\) answers \*\*([\d.]+)\*\* times as many requests"
    article, sample = re.findall(best, source)
    assert f"it is {sample} times the best peer\ninstead of {article}." in line


def folders() -> set[str]:
    """The names at the top of the repository that hold files, those not committed yet included."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {line.split("/")[0] for line in listed.stdout.splitlines() if "/" in line}


def test_the_source_map_has_every_folder() -> None:
    cells = [row[0] for row in table(TEXT, "folder")]
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert [name for name in names if not (ROOT / name).exists()] == []
    tops = {name.split("/")[0] for name in names}
    assert {each for each in folders() if not each.startswith(".")} == tops & folders()


def test_the_source_map_names_the_functions() -> None:
    (row,) = [row for row in table(TEXT, "folder") if row[0] == "`functions/`"]
    packages = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    assert set(re.findall(r"`(\w+)`", row[1])) == packages


def test_the_files_that_do_the_main_things_are_at_most_eight_and_exist() -> None:
    rows = table(TEXT, "where is it done?")
    assert 4 <= len(rows) <= 8
    assert [file for _, file in rows if not (ROOT / file.strip("`")).is_file()] == []


def test_it_says_what_has_not_been_tried() -> None:
    assert "Not yet run in an AWS account" in section(TEXT, "Deploy")


def test_every_command_is_in_a_fence_that_says_whether_it_is_run() -> None:
    found = fences(TEXT)
    assert {each.language for each in found} <= {"bash", "json", "mermaid"}
    assert {each.mark for each in found} - {""} == NOT_RUN.keys()
    without_fences = re.sub(r"^```.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"^( {4}|\t)", without_fences, re.MULTILINE), "indented code is not run"
