"""The template with AWS's own tools: `sam validate --lint` and `sam build`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
PYTHON_3_12 = subprocess.run(
    [ROOT / ".ci/python", "3.12"], capture_output=True, text=True
).stdout.strip()


def sam(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(BIN), str(Path(PYTHON_3_12).parent), os.environ["PATH"]])
    return subprocess.run(
        [str(BIN / "sam"), *arguments],
        cwd=ROOT,
        env=os.environ
        | {"PATH": path, "AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_sam_validate_finds_nothing() -> None:
    checked = sam("validate", "--lint")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "is a valid SAM Template" in checked.stdout


@pytest.mark.skipif(not PYTHON_3_12, reason="sam build needs Python 3.12, the functions' runtime")
def test_sam_build_makes_functions_that_import_what_they_need(tmp_path: Path) -> None:
    built = sam("build", "--build-dir", str(tmp_path / "build"), "--cache-dir", str(tmp_path))
    assert built.returncode == 0, built.stdout + built.stderr
    facet, litert = (tmp_path / "build" / f"{each}Layer/python" for each in ("Facet", "LiteRT"))
    runtime = _lambda_runtime(tmp_path / "runtime")
    for function, handler in handlers():
        layer = litert if function == "InferFunction" else facet
        imported = subprocess.run(
            [PYTHON_3_12, "-S", "-c", f"import {handler}, sys, json; print(json.dumps(sys.path))"],
            cwd=tmp_path / "build" / function,
            env={"PYTHONPATH": os.pathsep.join([str(layer), str(runtime)])},
            capture_output=True,
            text=True,
        )
        assert imported.returncode == 0, imported.stderr
        assert str(layer) in json.loads(imported.stdout)
    size = sum(path.stat().st_size for path in facet.rglob("*") if path.is_file())
    assert size < 150e6


def handlers() -> Iterator[tuple[str, str]]:
    """Each function of the template, and the module of its handler."""
    for name, each in yaml_parse((ROOT / "template.yaml").read_text())["Resources"].items():
        if each["Type"] == "AWS::Serverless::Function":
            yield name, each["Properties"]["Handler"].rpartition(".")[0]


def _lambda_runtime(folder: Path) -> Path:
    """A folder with what the Lambda runtime brings, boto3 and its dependencies, and no more."""
    folder.mkdir()
    site = Path(boto3.__file__).parents[1]
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py"):
        (folder / name).symlink_to(site / name)
    return folder
