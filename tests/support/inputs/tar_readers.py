"""Programs that unpack tar archives, each run over a folder of archives."""

import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.processes.waiting import LONG

NODE_MODULES = Path(__file__).parents[3] / "build" / "readers" / "node_modules"
"""Where .ci/run installs node's `tar`."""

UNPACK_ALL = """
for archive in "$1"/*; do
    name=${archive##*/}
    "$0" -x -f "$archive" -C "$2/$name" --no-same-owner 2> "$2/$name.err" || echo "$name"
done
"""

Tree = Mapping[str, bytes]


def missing() -> list[str]:
    """The programs that are not installed."""
    programs = [each for each in ("tar", "bsdtar", "node") if not shutil.which(each)]
    return programs + ([] if (NODE_MODULES / "tar").is_dir() else ["node's tar"])


def unpacked(archives: Path, scratch: Path) -> dict[str, dict[str, Tree | None]]:
    """What each program makes of each archive: path → content, or None where it refuses."""
    return {reader: _read(run, archives, scratch / reader) for reader, run in READERS.items()}


def _read(
    run: Callable[[Path, Path], set[str]], archives: Path, into: Path
) -> dict[str, Tree | None]:
    names = sorted(each.name for each in archives.iterdir())
    for name in names:
        (into / name).mkdir(parents=True)
    refused = run(archives, into)
    return {name: None if name in refused else _tree(into / name) for name in names}


def _tree(folder: Path) -> Tree:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _python(archives: Path, into: Path) -> set[str]:
    refused = set()
    for each in archives.iterdir():
        try:
            with tarfile.open(each, "r:") as archive:
                archive.extractall(into / each.name, filter="data")
        except (tarfile.TarError, OSError, ValueError, OverflowError):
            refused.add(each.name)
    return refused


def _program(name: str) -> Callable[[Path, Path], set[str]]:
    def run(archives: Path, into: Path) -> set[str]:
        command = ["sh", "-c", UNPACK_ALL, name, str(archives), str(into)]
        return _lines(command, {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"})

    return run


def _node(archives: Path, into: Path) -> set[str]:
    script = Path(__file__).with_name("unpack.js")
    return _lines(["node", str(script), str(NODE_MODULES), str(archives), str(into)])


def _lines(command: list[str], environment: Mapping[str, str] | None = None) -> set[str]:
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LONG, check=True
    )
    return set(run.stdout.split())


READERS = {
    "Python": _python,
    "GNU tar": _program("tar"),
    "bsdtar": _program("bsdtar"),
    "node-tar": _node,
}
