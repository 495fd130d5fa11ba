"""statemachine/train.asl.json as `make check` lints it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes.waiting import LONG

ROOT = Path(__file__).parents[4]
DEFINITION = ROOT / "statemachine/train.asl.json"
STATELINT = Path(sys.executable).parent / "statelint"
Machine = dict[str, Any]


def linted(definition: Path) -> subprocess.CompletedProcess[str]:
    """Runs statelint, which wants 2.0 where the Amazon States Language allows 2."""
    return subprocess.run(
        [STATELINT, "--ignore", "FLOAT", definition], capture_output=True, text=True, timeout=LONG
    )


def test_the_state_machine_has_no_findings() -> None:
    checked = linted(DEFINITION)
    assert (checked.returncode, checked.stdout) == (0, "")


def lost(machine: Machine) -> None:
    machine["States"]["Plan"]["Next"] = "Nowhere"


def misspelt(machine: Machine) -> None:
    machine["States"]["ReadRefusal"]["Parameters"] = {"document.$": "States.StringToJsn($.cause)"}


def unfinished(machine: Machine) -> None:
    del machine["States"]["TrainEach"]["ItemProcessor"]["States"]["Ready"]["End"]


def off_the_path(machine: Machine) -> None:
    machine["States"]["ReadRefusal"]["ResultPath"] = "$.failure["


@pytest.mark.parametrize(
    ("broken", "finding"),
    [
        (lost, 'No state found named "Nowhere"'),
        (misspelt, "is not a JSONPath or intrinsic function"),
        (unfinished, 'does not have required field "Next"'),
        (off_the_path, "should be a Reference Path"),
    ],
)
def test_a_broken_state_machine_has_findings(
    tmp_path: Path, broken: Callable[[Machine], None], finding: str
) -> None:
    machine = json.loads(DEFINITION.read_text())
    broken(machine)
    (tmp_path / "broken.json").write_text(json.dumps(machine))
    checked = linted(tmp_path / "broken.json")
    assert checked.returncode == 1
    assert finding in checked.stdout
