"""The program's first second, in which it imports its commands."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes.waiting import LONG

INTERRUPT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""
"""A `sitecustomize`, which Python imports first: Ctrl-C at the import of a module."""


def interrupted(folder: Path, module: str, **more: object) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(INTERRUPT.format(module=module))
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [str(Path(sys.executable).with_name("facet")), "--version"],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=LONG,
        **more,
    )


@pytest.mark.parametrize("module", ["cli.app", "numpy", "cli.verify.command"])
def test_ctrl_c_while_the_commands_are_imported_is_quiet(tmp_path: Path, module: str) -> None:
    done = interrupted(tmp_path, module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_background_job_of_a_shell_goes_on(tmp_path: Path) -> None:
    """Such a job ignores SIGINT."""
    ignore = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    done = interrupted(tmp_path, "typer", preexec_fn=ignore)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("facet ")
