"""What an unpacked artifact holds: `<path>/<digits>/saved_model.pb` and its companions."""

import re
from dataclasses import dataclass
from pathlib import Path

from serving.errors import NoBasePath

DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Version:
    """One numeric folder."""

    number: int
    folder: Path

    @property
    def tflite(self) -> Path:
        """Where the LiteRT model is, if there is one."""
        return self.folder / "assets.extra" / "model.tflite"

    @property
    def lite(self) -> bool:
        """Whether LiteRT serves this version."""
        return self.tflite.is_file()

    @property
    def size(self) -> int:
        """Bytes of the files that the version's runtime reads."""
        if self.lite:
            return self.tflite.stat().st_size
        files = [self.folder / "saved_model.pb", *self.folder.glob("variables/*")]
        return sum(file.stat().st_size for file in files if file.is_file())


def versions(path: Path, model: str) -> list[Version]:
    """The versions in an artifact, oldest first. Raises NoBasePath where there is none."""
    folders = [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []
    found = [Version(int(each.name), each) for each in folders if DIGITS.fullmatch(each.name)]
    if not found:
        raise NoBasePath(f"Could not find valid base path {path} for servable {model}")
    return sorted(found, key=lambda version: version.number)
