"""Pretrained weights: a local file to upload, or a prefix in the bucket."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from cli.client.stack import Stack
from cli.client.upload import upload
from cli.terminal.output import Output
from facet.errors import FacetError
from facet.keys import WEIGHTS_PREFIX, version_id
from facet.recipes import Hyperparameters
from training.weights import misfit


class NoWeights(FacetError):
    """The option names neither a file nor a prefix in the bucket."""


class UnfitWeights(FacetError):
    """The file does not fit the hyperparameters; the message says what would."""


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


def check(path: Path, settings: Hyperparameters, given: Collection[str]) -> None:
    """Raises UnfitWeights if a job with these hyperparameters could not start from the file.

    `given` are the names of those that the job sets. Without h5py, which TensorFlow brings, only
    the job finds out.
    """
    try:
        problem = misfit(path, settings, given)
    except ImportError:
        return
    if problem:
        raise UnfitWeights(problem)


def upload_file(path: Path, stack: Stack, output: Output) -> None:
    upload(stack, output, path, f"{_prefix(path)}{path.name}")


def _prefix(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"{WEIGHTS_PREFIX}{version_id(digest)}/"
