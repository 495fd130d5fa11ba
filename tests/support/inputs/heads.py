"""Heads and their artifacts, made without TensorFlow, on the backbone of `artifacts`."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facet.heads.artifact import pack
from facet.heads.familiarity import fit_reference
from facet.heads.weights import Head
from facet.manifest import HeadManifest
from tests.support.inputs import artifacts
from tests.support.inputs.artifacts import FEATURES, LABELS

BACKBONE, VERSION = "mobilenet", "0123456789ab"


def head(labels: int = len(LABELS), width: int = len(FEATURES), seed: int = 0) -> Head:
    """A head that gives the features of `artifacts` the first label, with about 0.9."""
    random = np.random.default_rng(seed)
    classes = np.arange(4 * labels) % labels
    taught = random.normal(size=(len(classes), width)) + classes[:, None]
    kernel = random.normal(scale=0.1, size=(width, labels)).astype(np.float32)
    bias = np.zeros(labels, np.float32)
    if width == len(FEATURES):
        bias -= np.asarray(FEATURES, np.float32) @ kernel
    bias[0] += np.log(9 * (labels - 1))
    return Head(kernel, bias, fit_reference(taught, classes))


def manifest(on: str = VERSION, **changes: Any) -> dict[str, Any]:
    """The document of a head's manifest; a change to None takes the field away."""
    document = artifacts.manifest(
        kind="head",
        output=None,
        backbone={"model": BACKBONE, "version": on, "width": len(FEATURES)},
        golden=artifacts.golden(score=0.9),
    )
    document |= changes
    return {name: value for name, value in document.items() if value is not None}


def artifact(on: str = VERSION, weights: Head | None = None, **changes: Any) -> bytes:
    """The artifact of a head that was taught on this version of the backbone."""
    described = HeadManifest.model_validate(manifest(on, **changes))
    return pack(described, weights or head(), artifacts.encoded())


def members(**changes: Any) -> dict[str, bytes]:
    """The files of a head's artifact."""
    return {
        "facet.json": json.dumps(manifest(**changes)).encode(),
        "head.npz": head().to_bytes(),
        "golden.png": artifacts.encoded(),
    }


def npz(arrays: Mapping[str, NDArray[Any]], method: int = zipfile.ZIP_STORED) -> bytes:
    """A file as NumPy's savez writes it, pickles included."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as packed:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array)
            packed.writestr(f"{name}.npy", content.getvalue())
    return file.getvalue()


def arrays(labels: int = len(LABELS), width: int = len(FEATURES)) -> dict[str, NDArray[Any]]:
    """The arrays of a head's file."""
    made = head(labels, width)
    reference = {f"reference_{name}": each for name, each in made.reference.arrays().items()}
    return {"kernel": made.kernel, "bias": made.bias, **reference}
