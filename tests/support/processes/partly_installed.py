"""A Python that lacks some packages."""

import subprocess
import sys
from pathlib import Path
from site import getsitepackages

from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT, environment

PROGRAM = """
import sys
sys.path += sys.argv[1].split(":")
from cli.app import main
main(sys.argv[2:])
"""


def facet(
    folder: Path, lacking: str, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """The command where no package is installed whose name begins so.

    `folder` gets links to all others; `more` are variables of the environment.
    """
    (packages,) = map(Path, getsitepackages())
    folder.mkdir(exist_ok=True)
    for each in packages.iterdir():
        if not each.name.startswith(lacking):
            (folder / each.name).symlink_to(each)
    path = ":".join(map(str, (folder, ROOT, ROOT / "functions", ROOT / "layers/facet")))
    command = [sys.executable, "-S", "-c", PROGRAM, path, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=LONG
    )
