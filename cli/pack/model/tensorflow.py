"""Use TensorFlow if it is installed, without its output."""

import importlib.util
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cli.extras import install
from cli.pack.errors import CannotPack
from serving.runtimes.saved_model import NOISE

LONG = 300
"""Characters of a reason."""

MARK = ": error: "
EXCEPTION = "Exception encountered: "
"""Keras writes it between a layer's configuration and the reason."""

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
    """Return an error's message in one line of at most 300 characters.

    Keras puts the reason at the end, behind a layer's whole configuration; an operation of
    TensorFlow puts it at the beginning, before the stack; LiteRT's converter marks its line.
    """
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not NOISE.match(line)]
    if hasattr(error, "node_def"):
        lines = lines[:1]
    marked = [line.partition(MARK)[2][:LONG] for line in lines if MARK in line]
    if marked:
        return marked[0]
    text = " ".join(lines).rpartition(EXCEPTION)[2] or type(error).__name__
    return text if len(text) <= LONG else f"… {text[-LONG:]}"
