"""Environments of their own for other programs' pinned packages, made with uv from its cache.

They are in build/environments and stay there, because some are large: `make clean` removes them.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

UV = Path(sys.executable).with_name("uv")
FOLDER = Path(__file__).parents[3] / "build" / "environments"


def environment(
    name: str, packages: Sequence[str | Path], environ: Mapping[str, str] | None = None
) -> Path:
    """The Python of an environment with packages, or with flags and files for `uv pip install`.

    It is made if there is none with these packages. `environ` is added to this process's
    environment. Skips the test, with uv's reason, if they cannot be installed here.
    """
    python = FOLDER / name / "bin" / "python"
    contents = [each.read_text() if isinstance(each, Path) else each for each in packages]
    wanted = "\n".join([sys.version, *contents])
    stamp = FOLDER / name / "installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    if not UV.is_file():
        pytest.skip("uv is not installed, so there is no other environment")
    make = ["venv", "--clear", "--python", sys.executable, str(python.parents[1])]
    install = ["pip", "install", "--python", str(python), *map(str, packages)]
    for arguments in (make, install):
        run = subprocess.run(
            [str(UV), "--quiet", "--no-config", *arguments],
            env={**os.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=600,
        )
        if run.returncode:
            pytest.skip(f"cannot install {name}: {run.stderr.strip()[-500:]}")
    stamp.write_text(wanted)
    return python
