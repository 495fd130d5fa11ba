"""`make audit`: what it makes of what pip-audit says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PIP_AUDIT = """
import json, pathlib, re, sys
words = " ".join(sys.argv)
place = pathlib.Path(__file__).parent
if "--dry-run" in words:
    sys.exit("no such file" if "missing" in words else 0)
(database,) = re.findall(r"--vulnerability-service=(\\w+)", words)
(asked,) = re.findall(r"--requirement=(\\S+)", words)
said = json.loads((place / "said.json").read_text()).get(database)
if said is None or asked not in said:
    sys.exit(f"{database} cannot be reached")
print(json.dumps({"dependencies": said[asked]}))
sys.exit(any(each.get("vulns") for each in said[asked]))
"""
Package = dict[str, Any]
Said = dict[str, dict[str, list[Package]]]
"""Of each package of a file, by database."""

GOOD: Package = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN: Package = {"name": "orjson", "skip_reason": "not found on PyPI"}
FLAWED: Package = {
    "name": "pillow",
    "version": "12.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["12.1"], "aliases": [], "description": "..."}],
}


def audit(folder: Path, said: Said, *files: str) -> subprocess.CompletedProcess[str]:
    """Asks the databases in `said`, which have an answer about each file."""
    (folder / "pip_audit.py").write_text(PIP_AUDIT)
    (folder / "said.json").write_text(json.dumps(said))
    command = [*(files or ["one.txt"]), "--", sys.executable, str(folder / "pip_audit.py")]
    return subprocess.run(
        [sys.executable, ROOT / ".ci/audit", *command], capture_output=True, text=True, timeout=60
    )


def test_a_vulnerability_of_any_file_fails(tmp_path: Path) -> None:
    found = audit(
        tmp_path, {"pypi": {"one.txt": [GOOD], "two.txt": [FLAWED]}}, "one.txt", "two.txt"
    )
    assert found.returncode == 1
    assert "pillow 12.0: PYSEC-1, fixed in 12.1" in found.stdout
    assert "two.txt: pypi has 1 vulnerabilities of 1 packages" in found.stdout


def test_none_passes_and_names_what_the_database_does_not_know(tmp_path: Path) -> None:
    found = audit(tmp_path, {"pypi": {"one.txt": [GOOD, UNKNOWN]}})
    assert found.returncode == 0
    assert "pypi has 0 vulnerabilities of 1 packages" in found.stdout
    assert "does not know orjson" in found.stdout


def test_the_next_database_is_asked_where_one_knows_nothing(tmp_path: Path) -> None:
    said = {"pypi": {"one.txt": [UNKNOWN]}, "osv": {"one.txt": [FLAWED]}}
    found = audit(tmp_path, said)
    assert found.returncode == 1
    assert "osv has 1 vulnerabilities" in found.stdout


def test_a_database_that_answers_about_some_files_only_is_not_enough(tmp_path: Path) -> None:
    said = {"pypi": {"one.txt": [GOOD]}, "osv": {"two.txt": [FLAWED]}}
    found = audit(tmp_path, said, "one.txt", "two.txt", "three.txt")
    assert found.returncode == 1
    assert "one.txt: pypi has 0 vulnerabilities of 1 packages" in found.stdout
    assert "two.txt: osv has 1 vulnerabilities of 1 packages" in found.stdout
    assert "no vulnerability database answers here, so three.txt is not audited" in found.stdout


def test_each_version_of_a_package_counts(tmp_path: Path) -> None:
    mended = FLAWED | {"version": "12.1", "vulns": []}
    found = audit(
        tmp_path, {"pypi": {"one.txt": [FLAWED], "two.txt": [mended]}}, "one.txt", "two.txt"
    )
    assert found.returncode == 1
    assert "pillow 12.0: PYSEC-1" in found.stdout


def test_without_a_database_it_says_that_nothing_was_audited(tmp_path: Path) -> None:
    silent: Said = {}
    for said in (silent, {"pypi": {"one.txt": [UNKNOWN]}}):
        found = audit(tmp_path, said)
        assert found.returncode == 0
        assert "no vulnerability database answers here" in found.stdout


def test_pip_audit_that_does_not_work_is_no_missing_database(tmp_path: Path) -> None:
    found = audit(tmp_path, {}, "missing.txt")
    assert found.returncode == 1
    assert "no such file" in found.stderr
