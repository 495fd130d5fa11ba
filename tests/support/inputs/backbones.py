"""Files of pretrained weights as keras.applications has them. Their arrays take no space."""

from pathlib import Path

import h5py

from training.weights import shapes


def weights_file(path: Path, backbone: str, alpha: float = 1.0, *more: tuple[int, ...]) -> Path:
    """Writes the kernels of a backbone, and arrays of `more` shapes."""
    every = [*shapes(backbone, alpha).elements(), *more, (64,)]
    with h5py.File(path, "w") as content:
        for number, shape in enumerate(every):
            content.create_dataset(f"layer_{number}/layer_{number}/kernel:0", shape, "f4")
    return path
