"""Use TensorFlow if it is installed, without its output."""

import importlib.util
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cli.extras import install
from cli.pack.errors import CannotPack

ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    AssertionError,
    OSError,
    MemoryError,
)
"""What TensorFlow and Keras raise over models that they cannot read, convert or write, beside
`tf.errors.OpError` and the converter's own error."""


def installed() -> bool:
    return importlib.util.find_spec("tensorflow") is not None


def required(what_for: str) -> None:
    """Raise CannotPack if TensorFlow is not installed."""
    if not installed():
        raise CannotPack(
            f"{what_for} needs TensorFlow, which is not installed: run {install('tensorflow')}"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep output that TensorFlow's libraries write to file descriptors off the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    saved = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as nowhere:
        try:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            for descriptor, kept in zip((1, 2), saved, strict=True):
                os.dup2(kept, descriptor)
                os.close(kept)


def reason(error: Exception) -> str:
    """Return the first line of an error's message, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
