"""The function's process, as Lambda starts it, and a model that looks for the function's secrets.

`python spy.py` answers an invocation, whose model is this program again: what it finds is printed.
`python spy.py exposed` does so without hiding the function's process.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from infer import inference
from infer.process import runner

VERSION_3 = 0x20080522  # of capset(2)


def lose_power() -> None:
    """Leave this process what an ordinary user has, if the tests run as root."""
    libc = ctypes.CDLL(None, use_errno=True)
    none = (ctypes.c_uint32 * 6)()
    assert libc.capset((ctypes.c_uint32 * 2)(VERSION_3, 0), none) == 0


def tried(read: Callable[[], object]) -> str:
    """What can be read, or which error there is."""
    try:
        return str(read())
    except OSError as error:
        return type(error).__name__


def seen() -> dict[str, Any]:
    """The process's own variables, and what it can read of its parent."""
    parent = Path(f"/proc/{os.getppid()}")
    return {
        "variables": sorted(os.environ),
        "parent": {
            "environ": tried((parent / "environ").read_bytes),
            "mem": tried((parent / "mem").open),
            "fd": tried(lambda: [str(each.readlink()) for each in (parent / "fd").iterdir()]),
        },
    }


class Spy(runner.Runner):
    """A model that took over its process."""

    def answer(self, about: Mapping[str, Any], body: bytes) -> runner.Answer:
        del about, body
        lose_power()
        return {"status": 200, "seconds": {}}, orjson.dumps(seen())


def main() -> None:
    """Ask the spy, and print its answer."""
    lose_power()
    made = inference.create(program=(__file__, "model"))
    made.process.wait_until_ready(600)
    result = made.process.ask("cats/1", Path("none"), b"{}", "r-1", 600)
    made.close()
    sys.stdout.write(result.body.decode())


if __name__ == "__main__":
    if sys.argv[1:2] == ["model"]:
        del sys.argv[1]
        runner.Runner = Spy  # type: ignore[misc]
        runner.main()
    else:
        if sys.argv[1:] == ["exposed"]:
            vars(inference)["hide"] = lambda: None
        main()
