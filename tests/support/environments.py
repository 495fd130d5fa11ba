"""Environments of their own for other programs' pinned packages, made with uv from its cache."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

UV = Path(sys.executable).with_name("uv")


def environment(
    folder: Path, packages: Sequence[str], environ: Mapping[str, str] | None = None
) -> Path:
    """Install packages, or flags of `uv pip install`, into a new environment; returns its Python.

    uv links the files of packages that an earlier run downloaded. `environ` is added to this
    process's environment. Skips the test, with uv's reason, if they cannot be installed here.
    """
    if not UV.is_file():
        pytest.skip("uv is not installed, so there is no other environment")
    python = folder / "bin" / "python"
    make = [str(UV), "venv", "--quiet", "--no-config", "--python", sys.executable, str(folder)]
    install = [
        str(UV),
        "pip",
        "install",
        "--quiet",
        "--no-config",
        "--python",
        str(python),
        *packages,
    ]
    for command in (make, install):
        run = subprocess.run(
            command,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=600,
        )
        if run.returncode:
            pytest.skip(f"cannot install {' '.join(packages)}: {run.stderr.strip()[-500:]}")
    return python
