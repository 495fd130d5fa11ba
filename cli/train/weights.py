"""Pretrained weights: a file of one's own, or what lies in the bucket already."""

import hashlib
from pathlib import Path

from cli.client.stack import Stack
from cli.client.upload import upload
from cli.terminal.output import Output
from facet.errors import FacetError
from facet.keys import WEIGHTS_PREFIX

ID_LENGTH = 12


class NoWeights(FacetError):
    """There is no such file, and it is no place in the bucket."""


def file(given: str | None) -> Path | None:
    """The file to upload, if it is one."""
    path = Path(given) if given else None
    return path if path and path.is_file() else None


def place(given: str | None) -> str | None:
    """The prefix where they lie, or will: a file's is made of its content. Raises NoWeights."""
    if path := file(given):
        return _below(path)
    if given and not (given.startswith(WEIGHTS_PREFIX) and given.endswith("/")):
        raise NoWeights(
            f"{given}: there is no such file, nor is it a prefix as {WEIGHTS_PREFIX}vgg16/"
        )
    return given


def bring(path: Path, stack: Stack, output: Output) -> None:
    """Uploads a file to its place."""
    upload(stack, output, path, f"{_below(path)}{path.name}")


def _below(path: Path) -> str:
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return f"{WEIGHTS_PREFIX}{digest[:ID_LENGTH]}/"
