"""`make sbom` writes a bill of materials for each deployed set of packages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project.pins import pins

ROOT = Path(__file__).parents[3]
BILLS = {
    "layer": "layers/facet/requirements.txt",
    "layer-litert": "layers/litert/requirements.txt",
    "container": "serving/requirements.txt",
    "container-tensorflow": "serving/requirements-tensorflow.txt",
    "training": "training/wheels.txt",
}


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bills")
    made = subprocess.run(
        ["make", "sbom", f"BILLS={folder}", f"VENV={Path(sys.executable).parent}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "error sending request" in made.stderr:
        pytest.skip("cyclonedx-bom comes from a package registry, and there is none")
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.parametrize("name", BILLS)
def test_it_lists_every_installed_package(bills: Path, name: str) -> None:
    bill = json.loads((bills / f"{name}.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "facet"
    listed = {each["name"]: each["version"] for each in bill["components"]}
    assert listed == pins(ROOT / BILLS[name])
