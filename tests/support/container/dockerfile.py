"""Lays out the files of an image as its Dockerfile does, without Docker."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template


@dataclass(frozen=True)
class Image:
    """An image's files and how it starts.

    python: the version of the base image.  folder: where the files are, `/` in the image.
    requirements: what it installs.  command: entry point and its arguments.
    """

    python: str
    folder: Path
    requirements: Path
    user: str
    workdir: str
    environment: Mapping[str, str]
    command: list[str]


def lay_out(text: str, context: Path, into: Path, **arguments: str) -> Image:
    """Copy what the Dockerfile `text` copies from `context`; `arguments` replace its defaults."""
    found: dict[str, list[str]] = {}
    defaults: dict[str, str] = {}
    for name, rest in _instructions(text):
        if name == "ARG":
            defaults |= dict([rest.split("=", 1)])
        elif name == "COPY":
            *sources, target = Template(rest).substitute(defaults | arguments).split()
            _copy([each for each in sources if not each.startswith("--")], target, context, into)
        found.setdefault(name, []).append(rest)
    (python,) = re.findall(r"\bpython:([0-9]+\.[0-9]+)", found["FROM"][-1])
    (requirements,) = re.findall(r"--requirement (\S+)", " ".join(found["RUN"]))
    return Image(
        python,
        into,
        into / requirements.lstrip("/"),
        found["USER"][-1],
        found["WORKDIR"][-1],
        dict(each.split("=", 1) for line in found["ENV"] for each in line.split()),
        json.loads(found["ENTRYPOINT"][-1]) + json.loads(found["CMD"][-1]),
    )


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, rest = line.split(None, 1)
            yield name.upper(), rest.strip()


def _copy(sources: list[str], target: str, context: Path, into: Path) -> None:
    """As COPY does: a target that ends with `/` is a folder. Raises if nothing is copied."""
    files = [file for source in sources for file in context.glob(source)]
    assert files, f"nothing to COPY: {sources}"
    destination = into / target.lstrip("/")
    (destination if target.endswith("/") else destination.parent).mkdir(parents=True, exist_ok=True)
    for each in files:
        shutil.copy(each, destination)
