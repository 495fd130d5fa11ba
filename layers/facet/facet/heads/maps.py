"""The maps of which a backbone's features are averages, and what a head makes of each position.

A head is linear: a logit is the bias and the sum over all features, each of which is an average
over the positions of one cell of a grid. So each position has its own part of the logit.
"""

import numpy as np
from numpy.typing import NDArray

from facet.manifest import BackboneManifest
from facet.specs import FeatureSpec, MapSpec

Floats = NDArray[np.float32]


def manifest_of(manifest: BackboneManifest) -> BackboneManifest:
    """A manifest with which a place is asked for a backbone's maps in place of its features.

    Its rows have height * width * channels values. Raises ValueError for a backbone without maps.
    """
    maps = _maps(manifest.output)
    # more values than a backbone may have features
    output = FeatureSpec.model_construct(
        tensor=maps.tensor, width=_size(manifest.output), maps=None
    )
    named = manifest.input.model_copy(update={"signature": maps.signature})
    return manifest.model_copy(update={"input": named, "output": output})


def averages(spec: FeatureSpec, maps: Floats) -> Floats:
    """The features of maps (images, height * width * channels): float32 (images, features).

    Raises ValueError for a backbone without maps.
    """
    found: Floats = _cells(spec, maps).mean(axis=(2, 4), dtype=np.float64).astype(np.float32)
    return found.reshape(len(maps), spec.width)


def activation(spec: FeatureSpec, maps: Floats, kernel: NDArray[np.floating], label: int) -> Floats:
    """The part of each position in a label's logit: float32 (height, width).

    `maps` (height * width * channels) are those of one image, `kernel` (features, labels) a head's.
    The sum of all parts and the head's bias is the logit. Raises ValueError for a backbone without
    maps.
    """
    grid = _maps(spec)
    cells = _cells(spec, maps[None])[0].astype(np.float64)
    weights = kernel[:, label].astype(np.float64).reshape(grid.rows, grid.columns, spec.channels)
    parts = np.einsum("ryckn,rcn->ryck", cells, weights) / (cells.shape[1] * cells.shape[3])
    found: Floats = parts.reshape(grid.height, grid.width).astype(np.float32)
    return found


def _maps(spec: FeatureSpec) -> MapSpec:
    if spec.maps is None:
        raise ValueError("the backbone has no maps")
    return spec.maps


def _size(spec: FeatureSpec) -> int:
    maps = _maps(spec)
    return maps.height * maps.width * spec.channels


def _cells(spec: FeatureSpec, maps: Floats) -> Floats:
    """(images, rows, height of a cell, columns, width of a cell, channels)."""
    grid = _maps(spec)
    return maps.reshape(
        len(maps),
        *(grid.rows, grid.height // grid.rows),
        *(grid.columns, grid.width // grid.columns),
        spec.channels,
    )
