"""`make audit`: how it reads pip-audit's answers and what it reports."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.processes.waiting import LONG

ROOT = Path(__file__).parents[3]
PIP_AUDIT = """
import json, pathlib, re, sys
arguments = " ".join(sys.argv)
folder = pathlib.Path(__file__).parent
if "--dry-run" in arguments:
    sys.exit("no such file" if "missing" in arguments else 0)
(database,) = re.findall(r"--vulnerability-service=(\\w+)", arguments)
(path,) = re.findall(r"--requirement=(\\S+)", arguments)
answers = json.loads((folder / "answers.json").read_text()).get(database)
if answers is None or path not in answers:
    sys.exit(f"{database} cannot be reached")
print(json.dumps({"dependencies": answers[path]}))
sys.exit(any(package.get("vulns") for package in answers[path]))
"""
"""Stands for pip-audit: its answers are in a file beside it."""

Package = dict[str, Any]
Answers = dict[str, dict[str, list[Package]]]
"""The packages of each requirements file, by database."""

GOOD: Package = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN: Package = {"name": "orjson", "skip_reason": "not found on PyPI"}
VULNERABLE: Package = {
    "name": "pillow",
    "version": "12.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["12.1"], "aliases": [], "description": "..."}],
}


def audit(folder: Path, answers: Answers, *files: str) -> subprocess.CompletedProcess[str]:
    """Runs `.ci/audit` with databases that give these answers."""
    (folder / "pip_audit.py").write_text(PIP_AUDIT)
    (folder / "answers.json").write_text(json.dumps(answers))
    command = [*(files or ["one.txt"]), "--", sys.executable, str(folder / "pip_audit.py")]
    return subprocess.run(
        [sys.executable, ROOT / ".ci/audit", *command], capture_output=True, text=True, timeout=LONG
    )


def test_fails_on_a_vulnerability_in_any_file(tmp_path: Path) -> None:
    answers = {"pypi": {"one.txt": [GOOD], "two.txt": [VULNERABLE]}}
    done = audit(tmp_path, answers, "one.txt", "two.txt")
    assert done.returncode == 1
    assert "pillow 12.0: PYSEC-1, fixed in 12.1" in done.stdout
    assert "two.txt: pypi has 1 vulnerabilities of 1 packages" in done.stdout


def test_passes_without_vulnerabilities_and_names_unknown_packages(tmp_path: Path) -> None:
    done = audit(tmp_path, {"pypi": {"one.txt": [GOOD, UNKNOWN]}})
    assert done.returncode == 0
    assert "pypi has 0 vulnerabilities of 1 packages" in done.stdout
    assert "does not know orjson" in done.stdout


def test_queries_the_next_database_if_one_knows_no_package(tmp_path: Path) -> None:
    answers = {"pypi": {"one.txt": [UNKNOWN]}, "osv": {"one.txt": [VULNERABLE]}}
    done = audit(tmp_path, answers)
    assert done.returncode == 1
    assert "osv has 1 vulnerabilities" in done.stdout


def test_queries_the_next_database_for_the_files_that_one_does_not_answer(tmp_path: Path) -> None:
    answers = {"pypi": {"one.txt": [GOOD]}, "osv": {"two.txt": [VULNERABLE]}}
    done = audit(tmp_path, answers, "one.txt", "two.txt", "three.txt")
    assert done.returncode == 1
    assert "one.txt: pypi has 0 vulnerabilities of 1 packages" in done.stdout
    assert "two.txt: osv has 1 vulnerabilities of 1 packages" in done.stdout
    assert "no vulnerability database can be reached, so three.txt is not audited" in done.stdout


def test_reports_each_version_of_a_package(tmp_path: Path) -> None:
    fixed = VULNERABLE | {"version": "12.1", "vulns": []}
    answers = {"pypi": {"one.txt": [VULNERABLE], "two.txt": [fixed]}}
    done = audit(tmp_path, answers, "one.txt", "two.txt")
    assert done.returncode == 1
    assert "pillow 12.0: PYSEC-1" in done.stdout


def test_passes_without_a_database_and_says_that_nothing_was_audited(tmp_path: Path) -> None:
    unreachable: Answers = {}
    for answers in (unreachable, {"pypi": {"one.txt": [UNKNOWN]}}):
        done = audit(tmp_path, answers)
        assert done.returncode == 0
        assert "no vulnerability database can be reached" in done.stdout


def test_fails_if_pip_audit_itself_fails(tmp_path: Path) -> None:
    done = audit(tmp_path, {}, "missing.txt")
    assert done.returncode == 1
    assert "no such file" in done.stderr
