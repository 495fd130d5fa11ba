"""What an unpacked artifact holds: `<path>/<digits>/saved_model.pb` and its companions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from serving.errors import NoBasePath

DIGITS = re.compile(r"[0-9]+")
TFLITE = Path("assets.extra", "model.tflite")


@dataclass(frozen=True)
class Version:
    """One numeric folder. lite: whether LiteRT serves it, otherwise TensorFlow."""

    number: int
    folder: Path
    lite: bool

    @property
    def tflite(self) -> Path:
        """Where the LiteRT model is, if there is one."""
        return self.folder / TFLITE

    @property
    def source(self) -> Path:
        """What the version's runtime opens."""
        return self.tflite if self.lite else self.folder

    @property
    def size(self) -> int:
        """Bytes of the files that the version's runtime reads."""
        if self.lite:
            return self.source.stat().st_size
        files = [self.folder / "saved_model.pb", *self.folder.glob("variables/*")]
        return sum(file.stat().st_size for file in files if file.is_file())


def versions(path: Path, model: str) -> list[Version]:
    """The versions in an artifact, oldest first. Raises NoBasePath where there is none."""
    folders = [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []
    found = [
        Version(int(each.name), each, lite=(each / TFLITE).is_file())
        for each in folders
        if DIGITS.fullmatch(each.name)
    ]
    if not found:
        raise NoBasePath(f"Could not find valid base path {path} for servable {model}")
    return sorted(found, key=lambda version: version.number)


def without_lite(found: Sequence[Version]) -> list[Version]:
    """Those versions on TensorFlow, except where LiteRT is all there is."""
    return [
        replace(each, lite=each.lite and not (each.folder / "saved_model.pb").exists())
        for each in found
    ]
