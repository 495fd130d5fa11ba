"""Describes the machine in one line, to put results of different machines in context.

python -m benchmarks.machine
"""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

MATRIX_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16", "avx512f": "AVX-512"}
"""Flags of /proc/cpuinfo that decide whether bfloat16 is fast; the fastest first."""


def describe() -> str:
    """CPU, cores, memory, system, Python and TensorFlow; no host name and no path."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    return (
        f"{processor()}, {_cores()}, {memory:.0f} GB of memory, {_system()}, "
        f"Python {platform.python_version()}, {_tensorflow()}"
    )


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the processor and its fastest unit of `MATRIX_UNITS`."""
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    facts = dict(_pairs(cpuinfo.read_text())) if cpuinfo.exists() else {}
    name = facts.get("model name", platform.machine())
    flags = facts.get("flags", "").split()
    best = next((unit for flag, unit in MATRIX_UNITS.items() if flag in flags), "")
    return f"{name} ({best})" if best else name


def _cores() -> str:
    """How many there are, and how many this process may use if `taskset` left it fewer."""
    every = os.cpu_count()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    return f"{every} cores" if usable == every else f"{usable} of {every} cores"


def _pairs(text: str) -> list[tuple[str, str]]:
    split = (line.partition(":") for line in text.splitlines())
    return [(name.strip(), value.strip()) for name, _, value in split]


def _system() -> str:
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:  # no such file: not every Linux has one
        return platform.system()


def _tensorflow() -> str:
    for name in ("tensorflow-cpu", "tensorflow"):
        try:
            return f"TensorFlow {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "no TensorFlow"


if __name__ == "__main__":
    print(describe())
