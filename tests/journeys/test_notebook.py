"""Runs notebooks/walkthrough.ipynb against the running stack, in the notebook's own environment."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.stacks import ROOT, Running

NOTEBOOK = ROOT / "notebooks/walkthrough.ipynb"
BIN = ROOT / ".venv-notebook/bin"
SMALL = {
    "images": 40,
    "labels": ["0", "1", "2"],
    "cifar": {"epochs": 6, "width": 8, "dense": 0},
    "signs": {"backbone": "cnn", "image-size": 32, "epochs": 6, "width": 8},
    "minimum": 0,
    "copies": 3,
}
"""Three classes; no pretrained weights, which the sign language recipe would download."""

SETUP_SECONDS, SECONDS = 600, 900


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    """Environment variables, after the notebook's environment was set up."""
    command = [str(ROOT / ".ci/setup"), "notebook"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=SETUP_SECONDS)
    if made.returncode:
        pytest.skip(f"the notebook's environment cannot be set up: {made.stderr[-300:]}")
    kept = {
        name: value for name, value in os.environ.items() if name not in ("FACET_DATA", "STACK")
    }
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def outputs(
    stack: Running, environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """The outputs of each code cell, as JSON."""
    executed = tmp_path_factory.mktemp("notebook") / "executed.ipynb"
    variables = {
        "FACET_HOME": str(stack.home),
        "WALKTHROUGH": json.dumps(SMALL),
        "PYTHONDONTWRITEBYTECODE": "1",
        "IPYTHONDIR": str(executed.parent / "ipython"),
        "MPLCONFIGDIR": str(executed.parent / "matplotlib"),
    }
    done = subprocess.run(
        [str(BIN / "python"), str(ROOT / "notebooks/run.py"), str(NOTEBOOK), str(executed)],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    number = len(cells(NOTEBOOK))
    assert f"  cell {number} of {number}: " in done.stdout
    return [json.dumps(cell["outputs"]) for cell in cells(executed)]


def shown(outputs: list[str], source: str) -> str:
    """The output of the only cell whose code has this text."""
    (at,) = [at for at, cell in enumerate(cells(NOTEBOOK)) if source in "".join(cell["source"])]
    return outputs[at]


def test_every_cell_runs(outputs: list[str]) -> None:
    assert "'outcome': 'READY'" in shown(outputs, "start_execution(")
    assert "Completed" in shown(outputs, "trainer.train(")
    metrics = shown(outputs, '"ModelTrainer": accuracy(second)')
    assert metrics.count("final:validation_accuracy") == 2, metrics
    assert shown(outputs, "models = {model: wait_until_onboarded").count("golden") == 2
    assert "MultiModel" in shown(outputs, 'hosted["Mode"]')
    assert "6 images, the same labels" in shown(outputs, "client.invoke(")
    assert "10 of 1,000 instances, 99.0% saved" in shown(outputs, "from cli.cost.model")


def test_models_are_loaded_on_demand(outputs: list[str]) -> None:
    metrics = shown(outputs, "def read_metrics()")
    counts = re.search(r"'LoadedModelCount': \((\d+)(?:\.0)?, (\d+)", metrics)
    assert counts, metrics
    assert int(counts[2]) - int(counts[1]) == SMALL["copies"]


def test_draws_three_plots(outputs: list[str]) -> None:
    assert sum("image/png" in each for each in outputs) == 3


def test_is_committed_without_outputs() -> None:
    assert cells(NOTEBOOK)
    for cell in cells(NOTEBOOK):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_requirements_are_pinned_and_name_no_host() -> None:
    lines = (ROOT / "notebooks/requirements.txt").read_text().splitlines()
    assert any(line.startswith("sagemaker==3.") for line in lines)
    for line in lines:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[\w.+!]+( ; .*)?$", line), line
