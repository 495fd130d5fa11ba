"""README.md: its blocks can be pasted, in order, into one shell while `make run` serves."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project.readme import NOT_RUN, Fence, fences
from tests.support.stacks import ROOT, Running, start

README = (ROOT / "README.md").read_text()
BLOCKS = [each for each in fences(README) if each.language == "bash"]
DONE = "--- the block is done ---"
VARIABLES = "--- variables of the shell ---"

FACET = """#!/bin/sh
command=$1
shift
exec '{facet}' "$command" --home '{home}' "$@"
"""
"""The command with the tests' stack as its local one. Each command of the README takes --home."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stack of its own: the blocks add a model to it."""
    opened = start(tmp_path_factory.mktemp("readme"))
    yield opened
    assert opened.stop() == 0


@pytest.fixture(scope="module")
def checkout(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a reader has it: `.venv/bin/facet` and `.facet` are the running stack's."""
    folder = tmp_path_factory.mktemp("checkout")
    for each in ROOT.iterdir():
        if each.name not in (".venv", ".facet", ".git"):
            (folder / each.name).symlink_to(each)
    (folder / ".facet").symlink_to(running.home)
    facet = folder / ".venv/bin/facet"
    facet.parent.mkdir(parents=True)
    installed = Path(sys.executable).with_name("facet")
    facet.write_text(FACET.format(facet=installed, home=running.home))
    facet.chmod(0o755)
    return folder


def plain_environment() -> dict[str, str]:
    """What a reader's shell has: nothing of AWS's, and nothing of the tests'."""
    ours = ("AWS_", "FACET_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="module")
def pasted(checkout: Path) -> tuple[list[str], set[str]]:
    """What each block prints, and the variables that the shell has at the end."""
    blocks = [each.text for each in runnable()]
    script = "".join(f"{text}\necho '{DONE}'\n" for text in blocks)
    done = subprocess.run(
        ["bash", "--norc", "-e", "-c", f"{script}echo '{VARIABLES}'; compgen -v\n"],
        stdin=subprocess.DEVNULL,
        cwd=checkout,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    *outputs, rest = done.stdout.split(f"{DONE}\n")
    failed = blocks[len(outputs)] if len(outputs) < len(blocks) else ""
    assert done.returncode == 0, f"{failed}\n{rest}\n{done.stderr}"
    return outputs, set(rest.partition(VARIABLES)[2].split())


def runnable() -> list[Fence]:
    return [each for each in BLOCKS if not each.mark]


def first_lines(mark: str) -> list[str]:
    lines = [each.text.splitlines()[0].partition("  #")[0] for each in BLOCKS if each.mark == mark]
    return [line.strip() for line in lines]


def test_blocks_that_are_not_run_are_these() -> None:
    """A block that gets a mark has to be added here: none may go untested by accident."""
    assert {mark: first_lines(mark) for mark in NOT_RUN} == {
        "start": ["make run"],
        "training": [
            ".venv/bin/facet teach my-digits my-images",
            "make train RECIPE=image-folder DATA=my-images",
        ],
        "account": ["make deploy ENV=dev", ".venv/bin/facet doctor --account"],
    }
    assert len(runnable()) == len(BLOCKS) - 5


needs_aws = pytest.mark.skipif(
    not (shutil.which("aws") and shutil.which("curl")),
    reason="the README's blocks need curl and the AWS command line",
)


@needs_aws
def test_every_block_runs_and_shows_what_the_text_says(
    pasted: tuple[list[str], set[str]],
) -> None:
    outputs, _ = pasted
    assert len(outputs) == len(runnable())
    predicted, pushed, watched = outputs
    assert '"label":"cat"' in predicted.replace(" ", "")
    assert "horse-silhouette.png" in predicted
    assert ": READY (proof: golden on the endpoint and in the function), and live" in pushed
    assert "my-signs " in watched
    assert ": READY (proof: golden on the endpoint and in the function), and live" in watched


@needs_aws
def test_the_answer_that_the_readme_shows_is_the_samples(checkout: Path) -> None:
    (shown,) = [each.text for each in fences(README) if each.language == "json"]
    facet = str(checkout / ".venv/bin/facet")
    command = [facet, "predict", "cifar", "samples/images/cifar/cat-chelsea.jpg", "--json"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    (result,) = answer["results"]
    assert f'"version": "{result["version"]}"' in shown
    for each in result["predictions"][:2]:
        assert f'{{"label": "{each["label"]}", "score": {each["score"]:.6f}}}' in shown


@needs_aws
def test_no_block_leaves_settings_of_the_local_stack_in_the_shell(
    pasted: tuple[list[str], set[str]],
) -> None:
    _, variables = pasted
    assert [name for name in variables if name.startswith("AWS_")] == []
    assert not variables & {"URL", "KEY", "BUCKET", "STATE_MACHINE"}
