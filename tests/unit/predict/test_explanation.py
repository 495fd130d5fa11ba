"""Heat maps lie over the image that was sent, whatever made the model's input of it."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facet.errors import EndpointUnavailable, ModelFailed, OutOfTime, TooLargeForFunction
from facet.heads.errors import ExplanationFailed, NotExplainable
from facet.heads.weights import Head
from facet.manifest import BackboneManifest, HeadManifest
from facet.places.predict_call import Scores
from facet.registry.models import Place, Version
from facet.specs import InputSpec
from predict.classification.explanation import LONGEST, Explanation, draw
from predict.classification.predictions import Predictions
from predict.timing import Deadline, Stopwatch
from tests.support import classifiers, versions
from tests.support.inputs import artifacts, heads

SIDE = 8
"""Rows and columns of the maps, with one pixel of the input's width and height for each."""

LABELS = ("dark", "bright")
SPOT = (0.6, 0.4)
"""Where the image is bright: parts of its width and height."""


def pixels(heatmap: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(heatmap))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


def spec(**changes: Any) -> InputSpec:
    return InputSpec.model_validate(artifacts.manifest()["input"] | changes)


def peak(grey: NDArray[np.uint8]) -> tuple[float, float]:
    """Where it is brightest, as parts of its width and height."""
    rows, columns = (grey >= 0.9 * grey.max()).nonzero()
    return float(columns.mean() + 0.5) / grey.shape[1], float(rows.mean() + 0.5) / grey.shape[0]


# --- the drawing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shape"),
    [((640, 480), (48, 64)), ((30, 60), (64, 32)), ((5, 5), (64, 64)), ((9000, 20), (1, 64))],
)
def test_it_has_the_shape_of_the_image(size: tuple[int, int], shape: tuple[int, int]) -> None:
    grey = pixels(draw(spec(), size, np.ones((7, 7), np.float32)))
    assert grey.shape == shape
    assert max(grey.shape) == LONGEST
    assert (grey == 255).all()


@pytest.mark.parametrize("size", [1e-40, 1e-3, 3e38])
def test_parts_of_any_size_are_drawn_alike(size: float) -> None:
    """float32 has no inverse of the smallest numbers, and no sum of the largest."""
    parts = np.full((7, 7), 0.9 * size, np.float32)
    parts[3, 2] = size
    usual = draw(spec(), (100, 100), (parts / np.float32(size)).astype(np.float32))
    grey, expected = (pixels(each).astype(int) for each in (draw(spec(), (100, 100), parts), usual))
    assert grey.max() == 255
    assert np.abs(grey - expected).max() <= 1


def test_what_speaks_against_the_label_is_0_and_the_rest_is_smooth() -> None:
    parts = np.full((7, 7), -3, np.float32)
    parts[3, 2] = 0.001
    grey = pixels(draw(spec(), (100, 100), parts)).astype(int)
    assert peak(grey) == pytest.approx((2.5 / 7, 3.5 / 7), abs=0.01)
    assert grey.max() == 255
    assert not grey[:13].any()

    assert not pixels(draw(spec(), (100, 100), np.full((7, 7), -1, np.float32))).any()

    ramp = np.tile(np.arange(7, dtype=np.float32), (7, 1))
    row = pixels(draw(spec(), (100, 100), ramp))[32].astype(int)
    assert np.diff(row).min() >= 0
    assert np.diff(row).max() <= 10


def test_what_the_model_does_not_see_is_0() -> None:
    ones = np.ones((7, 7), np.float32)
    grey = pixels(draw(spec(fit="crop"), (200, 100), ones))
    assert grey.shape == (32, 64)
    assert (grey[:, 16:48] == 255).all()
    assert not grey[:, :16].any()
    assert not grey[:, 48:].any()


def test_what_speaks_for_the_label_in_the_padding_is_not_drawn() -> None:
    parts = np.full((8, 8), -1, np.float32)
    parts[0] = 5
    assert not pixels(draw(spec(fit="pad"), (200, 100), parts)).any()


# --- from the image to the answer ---------------------------------------------------------------

MAPS = {"signature": "maps", "tensor": "maps", "height": SIDE, "width": SIDE}
FEATURES = {"tensor": "features", "width": 1, "maps": MAPS | {"rows": 1, "columns": 1}}


class Brightness:
    """A place whose backbone has one feature, the mean brightness, and its map."""

    def __init__(self) -> None:
        self.signatures: list[str] = []
        self.places: list[Place] = []
        self.errors: dict[tuple[Place, str], Exception] = {}
        self.timeouts: list[float] = []

    def runner(self, place: Place, timeout: float) -> Any:
        self.timeouts.append(timeout)

        def classify(
            version: Version, manifest: BackboneManifest, batch: list[Any], request_id: str
        ) -> list[Scores | ModelFailed]:
            assert (version.model, request_id) == ("mobilenet", "request")
            self.places.append(place)
            self.signatures.append(manifest.input.signature)
            if error := self.errors.get((place, manifest.input.signature)):
                if isinstance(error, ModelFailed):
                    return [error]
                raise error
            (image,) = batch
            grey = image.reshape(SIDE, SIDE, 3).mean(axis=2, dtype=np.float32) / 255
            if manifest.input.signature == "maps":
                assert manifest.width == SIDE * SIDE
                return [grey.reshape(-1)]
            return [grey.mean(keepdims=True).reshape(1)]

        return SimpleNamespace(classify=classify)


BOTH = {Place.ENDPOINT: versions.NOW, Place.FUNCTION: versions.NOW}


def classify(
    place: Brightness,
    image: bytes,
    features: dict[str, Any] = FEATURES,
    deadline: Deadline | None = None,
    **changes: Any,
) -> Predictions:
    """An explained answer of a head whose label is `bright` for a bright image."""
    document = artifacts.backbone(output=features)
    document["golden"] = {"image": "golden.png", "features": [1.0]}
    document["input"] = document["input"] | {"height": SIDE, "width": SIDE} | changes
    backbone = replace(
        versions.proven(versions.backbone(1)),
        manifest=BackboneManifest.model_validate(document),
        proven_in=BOTH,
    )
    described = heads.manifest(backbone.id, labels=LABELS, input=document["input"])
    described["backbone"]["width"] = 1
    described["golden"]["label"] = "bright"
    head = replace(
        versions.proven(versions.pending(2, "cats")),
        manifest=HeadManifest.model_validate(described),
        proven_in=BOTH,
    )
    layer = Head(
        np.array([[-50, 50]], np.float16),
        np.array([0, 0], np.float32),
        heads.head(2, 1).reference,
    )
    found = SimpleNamespace(ready=lambda *_: backbone, model=lambda _: SimpleNamespace(run_in=None))
    weights = SimpleNamespace(read=lambda *_: layer)
    classifier = classifiers.classifier(place.runner, found, weights)
    within = deadline or Deadline.after(29)
    return classifier.classify(head, [image], within, Stopwatch(), "request", explain=True)


def explained(found: Predictions) -> Explanation:
    assert found.explanation
    return found.explanation


def photo(size: tuple[int, int], orientation: int = 1) -> bytes:
    """A dark image that is bright about SPOT, as a PNG that EXIF turns upright."""
    width, height = size
    drawn = np.zeros((height, width), np.uint8)
    reach = min(size) // 10
    x, y = int(SPOT[0] * width), int(SPOT[1] * height)
    drawn[y - reach : y + reach, x - reach : x + reach] = 255
    image = Image.fromarray(drawn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if orientation == 6:  # a browser turns it by 90 degrees to the right
        image = image.transpose(Image.Transpose.ROTATE_90)
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(320, 200), (200, 320)])
@pytest.mark.parametrize(
    "how",
    [
        {"fit": "stretch"},
        {"fit": "stretch", "resize_to": 10},
        {"fit": "crop"},
        {"fit": "crop", "resize_to": 10},
        {"fit": "pad"},
        {"fit": "crop", "resize": "tf-area"},
        {"fit": "pad", "resize": "cv2-area"},
    ],
)
def test_it_lies_over_what_speaks_for_the_label(
    how: dict[str, Any], size: tuple[int, int], orientation: int
) -> None:
    found = explained(classify(Brightness(), photo(size, orientation), **how))
    assert found.label == "bright"
    grey = pixels(found.heatmap)
    assert grey.shape == (tuple(round(side * LONGEST / 320) for side in reversed(size)))
    assert peak(grey) == pytest.approx(SPOT, abs=0.06)


def test_the_maps_come_from_the_place_of_the_features_with_the_time_that_is_left() -> None:
    place = Brightness()
    now = [0.0]

    def clock() -> float:
        now[0] += 3
        return now[0]

    found = classify(place, photo((40, 40)), deadline=Deadline.after(29, clock))
    assert found.place is Place.ENDPOINT
    assert (place.places, place.signatures) == ([Place.ENDPOINT] * 2, ["serving_default", "maps"])
    assert place.timeouts == [20, 15]


def test_if_the_maps_fail_there_the_other_place_answers_both() -> None:
    place = Brightness()
    place.errors[Place.ENDPOINT, "maps"] = EndpointUnavailable("busy")
    found = classify(place, photo((40, 40)))
    assert found.place is Place.FUNCTION
    assert explained(found).label == "bright"
    assert place.places == [Place.ENDPOINT] * 2 + [Place.FUNCTION] * 2


@pytest.mark.parametrize("error", [ModelFailed, TooLargeForFunction])
def test_without_maps_there_is_no_answer_and_the_model_has_not_failed(
    error: type[ModelFailed],
) -> None:
    place = Brightness()
    for each in Place:
        place.errors[each, "maps"] = error("no such signature")
    with pytest.raises(ExplanationFailed):
        classify(place, photo((40, 40)))
    assert len({*place.places}) == (2 if error is TooLargeForFunction else 1)


def test_without_features_no_maps_are_asked_for() -> None:
    place = Brightness()
    place.errors[Place.ENDPOINT, "serving_default"] = ModelFailed("assertion failed")
    with pytest.raises(ModelFailed):
        classify(place, photo((40, 40)))
    assert place.signatures == ["serving_default"]


def test_without_time_for_the_maps_there_is_no_answer() -> None:
    ticks = iter([0.0, 1, 1, 27])
    with pytest.raises(OutOfTime):
        classify(Brightness(), photo((40, 40)), deadline=Deadline.after(29, lambda: next(ticks)))


def test_a_backbone_without_maps_is_named_and_not_asked() -> None:
    place = Brightness()
    with pytest.raises(NotExplainable, match=r"'mobilenet' has no maps.* teach 'cats' again"):
        classify(place, photo((40, 40)), features={"tensor": "features", "width": 1})
    assert place.places == []


def test_a_classifier_cannot_explain() -> None:
    classifier = classifiers.classifier(Brightness().runner)
    with pytest.raises(NotExplainable, match="'cifar' cannot explain its answers: it is a class"):
        classifier.classify(
            versions.ready(1),
            [artifacts.encoded()],
            Deadline.after(29),
            Stopwatch(),
            "request",
            explain=True,
        )
