"""Run a packed model with the container's own runtimes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cli.pack.errors import CannotPack
from facet import preprocess
from facet.endpoint import Scores, softmax
from facet.manifest import InputSpec, OutputSpec
from facet.preprocess import Pixels
from serving.errors import ServingError
from serving.runtimes.runtime import Array, Runtime

Scorer = Callable[[Pixels], Scores]
"""uint8 (images, height, width, channels) → float32 (images, labels), as the API answers."""


@contextmanager
def saved_model(folder: Path, spec: InputSpec, output: OutputSpec) -> Iterator[Scorer]:
    """Load a SavedModel; needs TensorFlow. Raises CannotPack if it does not load."""
    from serving.runtimes.saved_model import SavedModel

    try:
        runtime = SavedModel(folder, parallel=1)
    except ServingError as error:
        raise CannotPack(str(error)) from error
    try:
        yield _scorer(runtime, spec, output, strings=True)
    finally:
        runtime.close()


@contextmanager
def lite(model: Path, spec: InputSpec, output: OutputSpec) -> Iterator[Scorer]:
    """Load a LiteRT model. Raises CannotPack if it does not load."""
    from serving.runtimes.litert import LiteRT

    try:
        runtime = LiteRT(model, threads=1)
    except ServingError as error:
        raise CannotPack(str(error)) from error
    try:
        yield _scorer(runtime, spec, output, strings=False)
    finally:
        runtime.close()


def _scorer(runtime: Runtime, spec: InputSpec, output: OutputSpec, *, strings: bool) -> Scorer:
    def scores(pixels: Pixels) -> Scores:
        try:
            answer = runtime.predict(spec.signature, {spec.tensor: _rows(spec, pixels, strings)})
            rows = np.asarray(answer[output.tensor], dtype=np.float32)
        except (ServingError, LookupError, ValueError) as error:
            raise CannotPack(f"the model fails for an image: {error}") from error
        if rows.ndim != 2 or len(rows) != len(pixels):
            raise CannotPack(
                f"the model answers shape {list(rows.shape)} to {len(pixels)} images: "
                "a classifier returns one row of scores for each"
            )
        return softmax(rows) if output.activation == "logits" else rows

    return scores


def _rows(spec: InputSpec, pixels: Pixels, strings: bool) -> Array:
    if spec.encoding == "uint8":
        if not strings:
            return pixels
        return np.array([image.tobytes() for image in pixels], dtype=object)
    values = preprocess.normalise(spec, pixels)
    return values.reshape(len(pixels), -1) if spec.layout == "flat" else values
