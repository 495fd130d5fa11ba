"""The versions in an unpacked artifact: `<path>/<digits>/saved_model.pb` and its other files."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from serving.errors import NoBasePath

DIGITS = re.compile(r"[0-9]+")
TFLITE = Path("assets.extra", "model.tflite")


@dataclass(frozen=True)
class Version:
    """A numeric folder. lite: it is served by LiteRT, otherwise by TensorFlow."""

    number: int
    folder: Path
    lite: bool

    @cached_property
    def tflite(self) -> Path:
        """The path of the LiteRT model, whether it exists or not."""
        return self.folder / TFLITE

    @cached_property
    def source(self) -> Path:
        """The file or folder that the version's runtime loads."""
        return self.tflite if self.lite else self.folder

    @cached_property
    def size(self) -> int:
        """The bytes of all files that the version's runtime reads, when it was first asked for."""
        if self.lite:
            return self.source.stat().st_size
        files = [self.folder / "saved_model.pb", *self.folder.glob("variables/*")]
        return sum(file.stat().st_size for file in files if file.is_file())


def versions(path: Path, model: str) -> list[Version]:
    """The versions in an artifact, lowest number first. Raises NoBasePath if there is none."""
    try:
        with os.scandir(path) as entries:
            folders = [
                each.name for each in entries if DIGITS.fullmatch(each.name) and each.is_dir()
            ]
    except (FileNotFoundError, NotADirectoryError):
        folders = []
    if not folders:
        raise NoBasePath(f"Could not find valid base path {path} for servable {model}")
    numbered = [
        Version(int(name), path / name, lite=Path(path, name, TFLITE).is_file()) for name in folders
    ]
    return sorted(numbered, key=lambda version: version.number)


def without_lite(artifact: Sequence[Version]) -> list[Version]:
    """The versions, on TensorFlow if they have a SavedModel."""
    return [
        replace(version, lite=version.lite and not (version.folder / "saved_model.pb").exists())
        for version in artifact
    ]
