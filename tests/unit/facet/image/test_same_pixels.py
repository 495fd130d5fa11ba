"""What training sees of an image, the endpoint is sent: by onboarding, and for every user."""

import base64
import itertools
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facet import preprocess
from facet.manifest import Manifest
from facet.places.endpoint import Endpoint
from facet.recipes import Hyperparameters
from facet.specs import InputSpec
from onboard.proof.prover import Prover
from onboard.retry import RetryPolicy
from predict.timing import Deadline, Stopwatch
from tests.support import classifiers, versions
from tests.support.aws import fakes
from tests.support.inputs import artifacts, images
from training import dataset

RESIZES = ("bilinear", "bicubic", "tf-bilinear", "cv2-area", "tf-bicubic-antialias")

SPECS = [
    InputSpec.model_validate(
        {
            "tensor": "image",
            "height": 24,
            "width": 32,
            "fit": fit,
            "layout": layout,
            "encoding": encoding,
            "channels": 1 if number % 3 == 0 else 3,
            "resize": RESIZES[number % len(RESIZES)],
            "decode": "reduced" if number % len(RESIZES) == 0 else "whole",
            "order": "BGR" if number % 2 else "RGB",
            "scale": 1 / 255,
        }
    )
    for number, (fit, layout, encoding) in enumerate(
        itertools.product(("stretch", "crop", "pad"), ("hwc", "flat"), ("uint8", "float"))
    )
]


@dataclass
class Recording(fakes.Runtime):
    """Remembers what each invocation was about."""

    bodies: list[bytes] = field(default_factory=list)

    def invoke_endpoint(self, *, Body: bytes, **named: Any) -> dict[str, Any]:  # noqa: N803
        self.bodies.append(Body)
        return super().invoke_endpoint(Body=Body, **named)

    def sent(self, spec: InputSpec) -> list[NDArray[Any]]:
        """The tensors of all invocations."""
        rows = [row["image"] for body in self.bodies for row in json.loads(body)["instances"]]
        if spec.encoding == "float":
            return [np.asarray(row, np.float32) for row in rows]
        return [np.frombuffer(base64.b64decode(row["b64"]), np.uint8) for row in rows]


def endpoint(runtime: Recording) -> Endpoint:
    return Endpoint(cast("Any", runtime), "endpoint")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file, in one of two classes; the other has an image of its own."""
    root = tmp_path_factory.mktemp("images")
    for label in ("a", "b"):
        (root / label).mkdir()
    for name, data in images.files().items():
        (root / "a" / name).write_bytes(data)
    other = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    (root / "b/noise.png").write_bytes(artifacts.encoded(Image.fromarray(other)))
    return root


def trained(spec: InputSpec, folder: Path, scratch: Path) -> dict[str, NDArray[Any]]:
    """What a network is trained with, by file: normalised, as its graph does it, for `float`."""
    channels = dict.fromkeys(("train", "validation", "test"), folder)
    pixels = dataset.load(channels, spec, Hyperparameters(), scratch).train.pixels
    assert len(pixels) == len(images.files()) + 1
    values = pixels if spec.encoding == "uint8" else preprocess.normalise(spec, pixels)
    return dict(zip(sorted(images.files()), values, strict=False))


@pytest.mark.parametrize(
    "spec", SPECS, ids=lambda spec: f"{spec.fit}-{spec.layout}-{spec.encoding}"
)
def test_training_serving_and_onboarding_see_the_same(
    spec: InputSpec, folder: Path, tmp_path: Path
) -> None:
    served = Recording()
    manifest = Manifest.model_validate(artifacts.manifest(input=spec.model_dump()))
    version = replace(versions.ready(1), manifest=manifest)
    classifier = classifiers.classifier(lambda *_: endpoint(served))
    names = sorted(images.files())
    files = [images.files()[name] for name in names]
    classifier.classify(version, files, Deadline.after(600), Stopwatch(), "request")
    retry = RetryPolicy(left=lambda: 0, attempt=1, apart=0)
    proven = []
    for data in files:
        recording = Recording()
        Prover(endpoint(recording), within=60).prove(version, manifest, data, retry)
        first, again, *_ = recording.sent(spec)
        assert np.array_equal(first, again)
        proven.append(first)
    for name, ours, asked, onboarded in zip(
        names,
        trained(spec, folder, tmp_path).values(),
        served.sent(spec),
        proven,
        strict=True,
    ):
        assert np.array_equal(asked.ravel(), ours.ravel()), name
        assert np.array_equal(onboarded.ravel(), ours.ravel()), name
        assert ours.std() > 0 or name == "jpeg-ycck.jpg", name
