"""`payload` and `scores`: what goes to the container, and what may come back."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet.errors import BodyTooLarge, ModelFailed
from facet.manifest import Manifest
from facet.places.predict_call import MAX_BODY, Scores, check_size, payload, scores
from facet.specs import InputSpec
from tests.support.inputs import artifacts


def spec(**changes: Any) -> InputSpec:
    return InputSpec.model_validate({"tensor": "image", "height": 2, "width": 3} | changes)


def manifest(activation: str = "softmax") -> Manifest:
    output = {"tensor": "scores", "activation": activation}
    return Manifest.model_validate(artifacts.manifest(output=output))


def answered(predictions: Any, activation: str = "softmax", count: int = 1) -> list[list[float]]:
    body = json.dumps({"predictions": predictions}).encode()
    return [row.tolist() for row in sound(scores(manifest(activation), body, count))]


def sound(rows: list[Scores | ModelFailed]) -> list[Scores]:
    """The rows, or the first failure raised."""
    for row in rows:
        if isinstance(row, ModelFailed):
            raise row
        assert row.dtype == np.float32
    return [row for row in rows if not isinstance(row, ModelFailed)]


def test_uint8_travels_as_base64_of_the_raw_bytes() -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    sent = json.loads(payload(spec(encoding="uint8"), [pixels, pixels[::-1]]))
    assert sent["signature_name"] == "serving_default"
    first, second = (base64.b64decode(each["image"]["b64"]) for each in sent["instances"])
    assert first == bytes(range(18))
    assert second == pixels[::-1].tobytes()


@pytest.mark.parametrize("shape", [(2, 3, 3), (18,)], ids=["hwc", "flat"])
def test_floats_are_sent_as_lists_without_loss(shape: tuple[int, ...]) -> None:
    tensor = np.linspace(-1, 300, 18, dtype=np.float32).reshape(shape)
    sent = json.loads(payload(spec(), [tensor]))
    assert np.array_equal(np.float32(sent["instances"][0]["image"]), tensor)


def test_a_view_that_is_not_contiguous_is_sent_in_its_own_order() -> None:
    tensor = np.arange(18, dtype=np.float32).reshape(2, 3, 3)[..., ::-1]
    sent = json.loads(payload(spec(), [tensor]))
    assert np.array_equal(sent["instances"][0]["image"], tensor)


def test_signature_and_tensor_names_are_the_specs() -> None:
    wanted = spec(signature="classify", tensor='p"x')
    sent = json.loads(payload(wanted, [np.zeros(1, np.float32)]))
    assert sent["signature_name"] == "classify"
    assert list(sent["instances"][0]) == ['p"x']


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_scores_are_those_of_the_response(activation: str) -> None:
    rows = [[0.5, 0.25, 0.25], [0, 1, 0]]
    assert answered(rows, activation, 2) == rows


def test_rows_may_name_their_tensors() -> None:
    rows = [{"scores": [0.5, 0.25, 0.25], "features": [1, 2]}]
    assert answered(rows) == [[0.5, 0.25, 0.25]]


def test_logits_become_probabilities() -> None:
    assert answered([[0, 0, 0]], "logits")[0] == pytest.approx([1 / 3] * 3)
    assert answered([[1, 2, 3]], "logits")[0] == pytest.approx([0.0900, 0.2447, 0.6652], abs=1e-4)


@pytest.mark.parametrize("logits", [[1000, -1000, 0], [3e38, -3e38, 0]])
def test_huge_logits_do_not_overflow(logits: list[float]) -> None:
    assert answered([logits], "logits") == [[1, 0, 0]]


@pytest.mark.parametrize("activation", ["softmax", "logits"])
@pytest.mark.parametrize(
    "predictions",
    [
        [],
        [[0.5, 0.5]],
        [[0.25] * 4],
        [[0.5, 0.25, 0.25]] * 2,
        [[[0.5, 0.25, 0.25]]],
        [0.5, 0.25, 0.25],
        [[0.5, 0.25], [0.25]],
        [[0.5, 0.25, None]],
        [["cat", "dog", "ship"]],
        [["0.5", "0.25", "0.25"]],
        [[{"b64": "AA=="}] * 3],
        [{"other": [0.5, 0.25, 0.25]}],
        [None],
        {"scores": [[0.5, 0.25, 0.25]]},
        "predictions",
        5,
        None,
        [[1e39, 0, 0]],
        [[1e39, 1e39, 0]],
        [[-1e39, 0, 0]],
        [[-1e39, -1e39, -1e39]],
    ],
)
def test_anything_but_a_score_for_each_label_is_a_failure(
    predictions: Any, activation: str
) -> None:
    with pytest.raises(ModelFailed):
        answered(predictions, activation)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "Input to reshape is a tensor with 3072 values"}',
        b'{"predictions": [[NaN, 0.5,',
        b"[[0.5, 0.25, 0.25]]",
        b"<html>502</html>",
        b"\xff",
        b"",
    ],
)
def test_a_body_without_predictions_is_a_failure_that_quotes_it(body: bytes) -> None:
    with pytest.raises(ModelFailed) as caught:
        scores(manifest(), body, 1)
    assert body.decode(errors="replace") in caught.value.reason
    assert "reshape" not in str(caught.value), "the container's words are for the log only"


@pytest.mark.parametrize("activation", ["softmax", "logits"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e39"])
def test_scores_that_are_not_finite_fail_their_own_image(activation: str, number: str) -> None:
    rows = f"[[0.5, 0.25, 0.25], [{number}, 0.5, 0.5], [0, 0, 0]]"
    body = f'{{"predictions": {rows}}}'.encode()
    first, second, third = scores(manifest(activation), body, 3)
    assert isinstance(second, ModelFailed)
    assert "not finite" in second.reason
    (alone,) = scores(manifest(activation), b'{"predictions": [[0.5, 0.25, 0.25]]}', 1)
    assert np.array_equal(sound([first])[0], sound([alone])[0])
    assert np.isfinite(sound([third])).all()


def test_a_long_body_is_quoted_in_part() -> None:
    with pytest.raises(ModelFailed) as caught:
        scores(manifest(), b"x" * 100_000, 1)
    assert len(caught.value.reason) < 1000


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["predictions", "scores"]), inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(json_values, st.sampled_from(["softmax", "logits", "sigmoid"]))
def test_any_json_is_scores_or_a_failure(value: Any, activation: str) -> None:
    try:
        (found,) = sound(
            scores(manifest(activation), json.dumps({"predictions": value}).encode(), 1)
        )
    except ModelFailed:
        return
    assert found.shape == (3,)
    assert np.isfinite(found).all()


def test_files_travel_as_base64() -> None:
    sent = json.loads(payload(spec(encoding="jpeg"), [np.frombuffer(b"\xff\xd8", np.uint8)]))
    assert sent["instances"] == [{"image": {"b64": "/9g="}}]


@pytest.mark.parametrize(
    ("activation", "answers", "second"),
    [
        ("sigmoid", [[0.9], [0.0]], [0.9, 0.0]),
        ("logits", [[0.0], [1000.0], [-1000.0]], [0.5, 1.0, 0.0]),
    ],
)
def test_one_score_is_that_of_the_second_of_two_labels(
    activation: str, answers: list[list[float]], second: list[float]
) -> None:
    output = {"tensor": "scores", "activation": activation, "binary": True}
    binary = Manifest.model_validate(artifacts.manifest(labels=["cat", "dog"], output=output))
    body = json.dumps({"predictions": answers}).encode()
    found = np.array(sound(scores(binary, body, len(answers))))
    assert found[:, 1].tolist() == pytest.approx(second)
    assert found.sum(axis=1).tolist() == pytest.approx([1] * len(second))
    two = json.dumps({"predictions": [[0.1, 0.9]]}).encode()
    with pytest.raises(ModelFailed):
        scores(binary, two, 1)


@pytest.mark.parametrize("encoding", ["uint8", "float"])
def test_a_batch_that_is_too_large_for_any_content_is_known_from_its_shape(encoding: str) -> None:
    wanted = spec(encoding=encoding, height=256, width=256)
    pixels = np.zeros((256, 256, 3), np.uint8 if encoding == "uint8" else np.float32)
    shortest = len(payload(wanted, [pixels]))
    most = MAX_BODY // shortest
    check_size(wanted, most)
    with pytest.raises(BodyTooLarge, match="Send fewer images at once"):
        check_size(wanted, 2 * most)
