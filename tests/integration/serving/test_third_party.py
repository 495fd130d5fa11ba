"""SavedModels of other tools: TensorFlow 1 and 2, any signature, assets, shards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ContainerProcess = Any  # conftest.ContainerProcess
StartContainer = Callable[..., ContainerProcess]


@pytest.fixture(scope="module")
def container(start_container: StartContainer, artifacts: Path) -> ContainerProcess:
    started = start_container()
    for name in ("tf1", "words", "shards", "several"):
        answer = started.load(name, artifacts / name)
        assert answer.status_code == 200, answer.text
    return started


def ask(container: ContainerProcess, name: str, **body: Any) -> tuple[int, Any]:
    answer = container.invoke(name, body)
    return answer.status_code, answer.json()


def test_a_tensorflow_1_model_with_its_own_signature(container: ContainerProcess) -> None:
    images = [[0, 0, 0, 0], [9, 0, 0, 0]]
    code, body = ask(container, "tf1", signature_name="predict_images", instances=images)
    assert code == 200, body
    logits = np.array([[1, 2, 3], [10, 2, 3]])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(body["predictions"], expected, rtol=1e-5)
    code, body = ask(container, "tf1", signature_name="predict_images", inputs={"images": images})
    assert code == 200, body
    np.testing.assert_allclose(body["outputs"], expected, rtol=1e-5)


def test_a_missing_signature_is_an_error_that_lists_the_others(
    container: ContainerProcess,
) -> None:
    code, body = ask(container, "tf1", instances=[[0, 0, 0, 0]])
    assert code == 400
    assert body["error"].startswith('Serving signature name: "serving_default" not found')
    assert "predict_images" in body["error"]


def test_a_model_with_a_vocabulary_in_an_asset(container: ContainerProcess) -> None:
    asked = {"instances": ["ship", "cow", {"b64": "Y2F0"}]}
    assert ask(container, "words", **asked) == (200, {"predictions": [2, -1, 0]})


def test_a_model_with_variables_in_shards(container: ContainerProcess, artifacts: Path) -> None:
    files = [each.name for each in (artifacts / "shards" / "1" / "variables").glob("*.data-*")]
    assert len(files) == 3
    assert ask(container, "shards", instances=[1.5]) == (200, {"predictions": [4.5]})


def test_a_published_mnist_model(start_container: StartContainer, data: Path) -> None:
    """MNIST as flat 784 floats; its serving_default takes tf.Example strings."""
    container = start_container()
    answer = container.load("mnist", data / "saved_models" / "tf-bridge-mnist")
    assert answer.status_code == 200, answer.text
    images = np.random.default_rng(0).random((3, 784)).tolist()
    code, body = ask(container, "mnist", signature_name="predict_images", instances=images)
    assert code == 200, body
    scores = np.array(body["predictions"])
    assert scores.shape == (3, 10)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    code, body = ask(container, "mnist", instances=[{"b64": "AAAA"}])
    assert code == 400
    assert "tf.Example" in body["error"] or "Could not parse example" in body["error"]
