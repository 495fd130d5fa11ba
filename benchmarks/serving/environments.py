"""Python environments of the peers under build/peers/, created with uv the first time."""

import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS = REPOSITORY / "build" / "peers"
TIMEOUT = 900.0
"""Seconds for one uv command: TensorFlow is 1.4 GB."""


class NotSetUp(Exception):
    """A peer cannot run here; the message says why."""


def interpreter(name: str, packages: Sequence[str]) -> Path:
    """The Python of an environment with `packages` and our TensorFlow. Raises NotSetUp."""
    requirements = "\n".join([*packages, *_tensorflow()])
    folder = PEERS / name
    python, stamp = folder / "bin" / "python", folder / "packages.txt"
    if not (stamp.is_file() and stamp.read_text() == requirements):
        print(f"setting up {name} in {folder.relative_to(REPOSITORY)}", flush=True)
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        # Compile now; otherwise each worker that imports TensorFlow may compile it again.
        _uv(
            "pip",
            "install",
            "--compile-bytecode",
            "--python",
            str(python),
            *requirements.splitlines(),
        )
        stamp.write_text(requirements)
    return python


def _tensorflow() -> list[str]:
    """The version that Facet itself runs on."""
    for name in ("tensorflow-cpu", "tensorflow"):
        try:
            return [f"{name}=={metadata.version(name)}"]
        except metadata.PackageNotFoundError:
            continue
    raise NotSetUp("TensorFlow is not installed: run `make tensorflow`")


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    try:
        subprocess.run(
            command, check=True, timeout=TIMEOUT, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise NotSetUp(f"uv {arguments[0]} took longer than {TIMEOUT:g} seconds") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").split()
        raise NotSetUp(f"uv {arguments[0]}: {' '.join(lines)[:300]}") from error
