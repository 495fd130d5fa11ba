"""Load a Keras file with the Keras that wrote it: Keras 3, or Keras 2 through `tf_keras`.

This module imports TensorFlow.
"""

import importlib.util
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import tensorflow as tf

from cli.extras import install_keras2
from cli.pack.errors import CannotPack
from cli.pack.model.source import KerasFile
from cli.pack.model.tensorflow import ERRORS, reason

METADATA = "metadata.json"


class Depthwise(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """Keras 2 wrote `groups: 1` into the configuration, which Keras 3 does not know."""

    def __init__(self, *arguments: Any, groups: int = 1, **options: Any) -> None:
        if groups != 1:
            raise ValueError(f"DepthwiseConv2D with groups={groups}")
        super().__init__(*arguments, **options)


def load(source: KerasFile) -> Any:
    """Load the model of a Keras file of any version. Raises CannotPack."""
    version = _version(source)
    loaders = [_keras3] if version.startswith("3") else [_keras2, _keras3]
    if not version.startswith("3") and not installed():
        loaders = [_keras3]
    with _named_for_its_content(source) as file:
        problem = ""
        for loader in loaders:
            try:
                return loader(file)
            except (*ERRORS, tf.errors.OpError) as error:
                problem = problem or reason(error)
    raise CannotPack(f"Keras cannot load {source.file}: {problem}{_advice(version)}")


def installed() -> bool:
    """Whether Keras 2 is installed: its package is `tf_keras`."""
    return importlib.util.find_spec("tf_keras") is not None


def _advice(version: str) -> str:
    written = f"Keras {version} wrote it" if version else "the file names no version of Keras"
    if not version.startswith("3") and not installed():
        command = install_keras2(tf.__version__)
        return f"; {written}. Install Keras 2 ({command}), then try again"
    return (
        f"; {written}. If it has layers or functions of your own, export a SavedModel where it was "
        "trained (model.export), and pack that"
    )


def _keras2(file: Path) -> Any:
    import tf_keras

    return tf_keras.models.load_model(file, compile=False)


def _keras3(file: Path) -> Any:
    layers = {"DepthwiseConv2D": Depthwise}
    return keras.models.load_model(file, compile=False, custom_objects=layers)


@contextmanager
def _named_for_its_content(source: KerasFile) -> Iterator[Path]:
    """The file under a name whose suffix fits its content, which is what Keras goes by."""
    suffix = ".h5" if source.hdf5 else ".keras"
    known = (".h5", ".hdf5") if source.hdf5 else (".keras",)
    if source.file.suffix in known:
        yield source.file
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "model").with_suffix(suffix)
        shutil.copyfile(source.file, copy)
        yield copy


def _version(source: KerasFile) -> str:
    """The version of Keras that wrote the file, or an empty text."""
    read: Callable[[Path], Any] = _hdf5_version if source.hdf5 else _zip_version
    try:
        return str(read(source.file))
    except (*ERRORS, zipfile.BadZipFile) as error:
        raise CannotPack(f"{source.file} cannot be read: {reason(error)}") from error


def _hdf5_version(path: Path) -> str:
    with h5py.File(path) as file:
        if "model_config" not in file.attrs:
            raise ValueError(
                "it holds weights without a network. Load them into the network where it was "
                "trained, then save the whole model (model.save)"
            )
        version = file.attrs.get("keras_version", "")
    return version.decode() if isinstance(version, bytes) else str(version)


def _zip_version(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        if METADATA not in archive.namelist():
            return ""
        return str(json.loads(archive.read(METADATA)).get("keras_version", ""))
