"""Run a packed model as the endpoint does: its requests, the container's runtimes, its answers."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cli.pack.errors import CannotPack
from facet import preprocess
from facet.errors import ModelFailed
from facet.keys import VERSION_ID_LENGTH
from facet.manifest import NetworkManifest
from facet.places.endpoint import Endpoint
from facet.places.predict_call import Scores, payload, scores
from facet.preprocess import Pixels, Tensor
from facet.registry.models import Status, Version
from onboard.proof.prover import Proof, Prover
from onboard.retry import RetryPolicy
from serving.batching import predict_batch
from serving.errors import ServingError
from serving.rest.request import Request
from serving.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

Scorer = Callable[[Pixels], Scores]
"""uint8 (images, height, width, channels) → float32 (images, labels), as the API answers."""

NAME = "pack"
VERSION = Version(NAME, "0" * VERSION_ID_LENGTH, Status.PENDING, "", size=0, uploaded_at="")


class DoesNotRun(CannotPack):
    """The endpoint could not load the model, or not run it."""


@contextmanager
def saved_model(folder: Path) -> Iterator[Runtime]:
    """Load a SavedModel; needs TensorFlow. Raises DoesNotRun if it does not load."""
    from serving.runtimes.saved_model import SavedModel

    with _closed(lambda: SavedModel(folder, parallel=1)) as runtime:
        yield runtime


@contextmanager
def lite(model: Path) -> Iterator[Runtime]:
    """Load a LiteRT model. Raises DoesNotRun if it does not load."""
    from serving.runtimes.litert import LiteRT

    with _closed(lambda: LiteRT(model, threads=1)) as runtime:
        yield runtime


@contextmanager
def _closed(load: Callable[[], Runtime]) -> Iterator[Runtime]:
    try:
        runtime = load()
    except ServingError as error:
        raise DoesNotRun(str(error)) from error
    try:
        yield runtime
    finally:
        runtime.close()


def scorer(
    runtime: Runtime, manifest: NetworkManifest, max_batch_size: int | None = None
) -> Scorer:
    """Return a function that asks for all images in one request of any length, or one by one."""

    def answer(pixels: Pixels) -> Scores:
        tensors = [preprocess.tensor(manifest.input, each) for each in pixels]
        requests = [tensors] if max_batch_size is None else [[each] for each in tensors]
        try:
            answers = [
                scores(manifest, _ask(runtime, payload(manifest.input, batch)), len(batch))
                for batch in requests
            ]
        except ModelFailed as error:
            raise _does_not_run(error) from error
        return np.array([_sound(row) for rows in answers for row in rows])

    return answer


def score(runtime: Runtime, manifest: NetworkManifest, image: bytes) -> Scores:
    """Return float32 (labels,) scores of an image file. Raises BodyTooLarge, DoesNotRun."""
    decoded = preprocess.decode(manifest.input, image)
    tensor = preprocess.apply(manifest.input, decoded, image)
    return _classify(runtime, manifest, tensor)


def largest(manifest: NetworkManifest) -> Pixels:
    """Return an image of noise: of all images of the input's size it takes the most bytes."""
    spec = manifest.input
    shape = (spec.height, spec.width, spec.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def check(runtime: Runtime, manifest: NetworkManifest) -> None:
    """Classify one image. Raises BodyTooLarge, DoesNotRun."""
    tensor = preprocess.tensor(manifest.input, largest(manifest))
    _classify(runtime, manifest, tensor)


def prove(runtime: Runtime, manifest: NetworkManifest, golden: bytes | None) -> Proof:
    """Return what onboarding's own proof finds, whatever time it takes here."""
    prover = Prover(_endpoint(runtime), float("inf"))
    return prover.prove(VERSION, manifest, golden, RetryPolicy.never())


def _classify(runtime: Runtime, manifest: NetworkManifest, tensor: Pixels | Tensor) -> Scores:
    try:
        (row,) = _endpoint(runtime).classify(VERSION, manifest, [tensor], NAME)
    except ModelFailed as error:
        raise _does_not_run(error) from error
    return _sound(row)


def _sound(row: Scores | ModelFailed) -> Scores:
    if isinstance(row, ModelFailed):
        raise _does_not_run(row)
    return row


def _does_not_run(error: ModelFailed) -> DoesNotRun:
    return DoesNotRun(f"the model fails for an image: {error.reason}")


def _endpoint(runtime: Runtime) -> Endpoint:
    return Endpoint(cast("SageMakerRuntimeClient", _InProcess(runtime)), NAME)


class _InProcess:
    """SageMaker's runtime client for an endpoint with one model, in this process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def invoke_endpoint(self, *, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(_ask(self._runtime, Body))}


def _ask(runtime: Runtime, body: bytes) -> bytes:
    """Answer a request's body as the container does. Raises ModelFailed."""
    (answer,) = predict_batch(runtime, [Request(body)], rows=1)
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, ServingError):
        raise ModelFailed(str(answer)) from answer
    raise answer
