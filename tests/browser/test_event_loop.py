"""Playwright's event loop, which runs in the tests' thread, ends with each test module."""

import subprocess
import sys

from tests.browser.conftest import CHROMIUM
from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT

BEFORE = "tests/browser/test_access.py::test_escape_closes_the_dialog_which_keeps_the_focus"
AFTER = "tests/unit/serving/test_metrics.py::test_counts_requests_loads_and_errors_by_model"


def test_later_tests_in_the_same_process_can_run_event_loops() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    ended = subprocess.run(
        [*command, BEFORE, AFTER], cwd=ROOT, capture_output=True, text=True, timeout=LONG
    )
    assert ("2 passed" if CHROMIUM else "1 passed, 1 skipped") in ended.stdout, ended.stdout
