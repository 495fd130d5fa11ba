"""The Makefile: what `make check` runs and skips, and how arguments reach the commands."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

from tests.support.processes.waiting import LONG

ROOT = Path(__file__).parents[3]
TEMPLATES = [ROOT / "template.yaml", ROOT / "deployment/images.yaml"]
CONFIG = (ROOT / ".checkov.yaml").read_text()

PYTHON_3_12 = subprocess.run([ROOT / ".ci/python", "3.12"], capture_output=True).returncode == 0
builds = pytest.mark.skipif(not PYTHON_3_12, reason="sam build needs Python 3.12")


@pytest.mark.parametrize(
    "command",
    [
        "ruff check",
        "ruff format --check",
        "mypy",
        "sam validate --lint",
        "cfn-lint --template deployment/images.yaml",
        "statelint --ignore FLOAT statemachine/train.asl.json",
        "checkov --config-file .checkov.yaml",
        "pip-audit pip-audit",
        pytest.param("sam build > /dev/null", marks=builds),
        pytest.param("cfn-lint --template .aws-sam/build/template.yaml", marks=builds),
    ],
)
def test_make_check_runs(command: str) -> None:
    made = subprocess.run(
        ["make", "--dry-run", "check"], cwd=ROOT, capture_output=True, text=True, timeout=LONG
    )
    assert made.returncode == 0, made.stderr
    assert re.search(rf"[/ ]{re.escape(command)}$", made.stdout, re.MULTILINE)


@pytest.mark.parametrize("target", ["data", "train"])
@pytest.mark.parametrize("folder", ["pets", "my pets", "anna's pets; exit", ""])
def test_a_folder_name_with_spaces_or_quotes_is_one_argument(target: str, folder: str) -> None:
    made = subprocess.run(
        ["make", "--dry-run", target, f"DATA={folder}", "RECIPE=image-folder"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG,
    )
    words = shlex.split(made.stdout.splitlines()[-1])
    sources = [word for word in words[2:] if word != "image-folder" and word[:2] != "--"]
    assert sources == ([folder] if folder else [])


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: str(each.name))
def test_every_checkov_rule_skipped_for_a_resource_has_a_reason(template: Path) -> None:
    text = template.read_text()
    reasons = re.findall(r"checkov:skip=CKV\w+:(.*)", text)
    assert len(reasons) == text.count("checkov:skip")
    assert all(len(each.split()) > 3 for each in reasons)


def test_checkov_scans_every_template() -> None:
    scanned = [ROOT / each for each in yaml_parse(CONFIG)["file"]]
    assert scanned == TEMPLATES


def test_every_checkov_rule_skipped_everywhere_has_a_reason() -> None:
    skipped = yaml_parse(CONFIG)["skip-check"]
    assert len(re.findall(r"^  # .+\n  - CKV\w+$", CONFIG, re.MULTILINE)) == len(skipped)
