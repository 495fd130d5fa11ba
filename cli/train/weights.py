"""Pretrained weights: a local file to upload, or a prefix in the bucket."""

import hashlib
from pathlib import Path

from cli.client.stack import Stack
from cli.client.upload import upload
from cli.terminal.output import Output
from facet.errors import FacetError
from facet.keys import WEIGHTS_PREFIX, version_id


class NoWeights(FacetError):
    """The option names neither a file nor a prefix in the bucket."""


def local_file(option: str | None) -> Path | None:
    """Return the option as a path if it names a file."""
    path = Path(option) if option else None
    return path if path and path.is_file() else None


def location(option: str | None) -> str | None:
    """Return the prefix in the bucket; a file's is derived from its content. Raises NoWeights."""
    if path := local_file(option):
        return _prefix(path)
    if option and not (option.startswith(WEIGHTS_PREFIX) and option.endswith("/")):
        raise NoWeights(
            f"{option} is neither a file nor a prefix in the bucket such as {WEIGHTS_PREFIX}vgg16/"
        )
    return option


def upload_file(path: Path, stack: Stack, output: Output) -> None:
    upload(stack, output, path, f"{_prefix(path)}{path.name}")


def _prefix(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"{WEIGHTS_PREFIX}{version_id(digest)}/"
