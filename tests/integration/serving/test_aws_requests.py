"""Requests to AWS's TensorFlow image in multi-model mode, and its responses.

Sources of the rows:
container: aws/sagemaker-tensorflow-serving-container,
  test/integration/local/test_multi_model_endpoint.py.
handler: aws/deep-learning-containers 2.20,
  scripts/docker/tensorflow/inference/sagemaker/{python_service,tfs_utils}.py and
  nginx.conf.template.
json: tensorflow/serving, tensorflow_serving/util/json_tensor.cc.
classifier, regressor: tensorflow/serving, tensorflow_serving/servables/tensorflow/.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ContainerProcess = Any  # conftest.ContainerProcess
StartContainer = Callable[..., ContainerProcess]

NAME = "half_plus_two"
THREE = {"instances": [1.0, 2.0, 5.0]}
PREDICTED = {"predictions": [2.5, 3.0, 4.5]}


@pytest.fixture(scope="module")
def container(start_container: StartContainer, artifacts: Path) -> ContainerProcess:
    started = start_container()
    answer = started.load(NAME, artifacts / NAME)
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"].startswith(f"Successfully loaded model {NAME}")
    return started


def post(
    container: ContainerProcess, body: Any, attributes: str = "tfs-method=predict"
) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = container.http.post(
        f"/models/{NAME}/invoke",
        content=content,
        headers={
            "Content-Type": "application/json",
            "X-Amzn-SageMaker-Custom-Attributes": attributes,
        },
    )
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(THREE, PREDICTED, id="container: values, for a declared shape of [?, 1]"),
        pytest.param({"inputs": 1.0}, {"outputs": 2.5}, id="json: a scalar as the column format"),
        pytest.param({"instances": [{"x": [1.0]}]}, {"predictions": [[2.5]]}, id="json: by name"),
        pytest.param({"signature_name": "", **THREE}, PREDICTED, id="json: '' is serving_default"),
        pytest.param(
            b'{"instances": [Inf, 0.2]} trailing', '{"predictions": [Infinity, 2.1]}',
            id="json: Inf, and a float32 beside an Infinity; the rest is ignored",
        ),
        pytest.param(
            {"signature_name": "from_examples", "inputs": [{"b64": "Cg8KDQoBeBIIEgYKBAAAgD8"}]},
            {"outputs": [[2.5]]},
            id="json: base64 without padding",
        ),
    ],
)  # fmt: skip
def test_predict(container: ContainerProcess, body: Any, expected: Any) -> None:
    code, answer = post(container, body)
    assert (code, answer) == (
        200,
        json.loads(expected) if isinstance(expected, str) else expected,
    )


@pytest.mark.parametrize("version", ["123", "00123"])
def test_predict_by_version(container: ContainerProcess, version: str) -> None:
    """container: test_load_two_models."""
    attributes = f"tfs-method=predict,tfs-model-version={version}"
    assert post(container, THREE, attributes) == (200, PREDICTED)


def test_classify(container: ContainerProcess) -> None:
    """classifier: no classes are empty labels."""
    body = {"signature_name": "classify_x_to_y", "examples": [{"x": 1.0}, {"x": [2.0]}]}
    assert post(container, body, "tfs-method=classify") == (
        200,
        {"results": [[["", 2.5]], [["", 3.0]]]},
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"examples": [{"x": 1.0}, {"x": [2.0]}, {}]}, [2.5, 3.0, 2.0]),
        ({"examples": [{}, {"x": 2.0}], "context": {"x": 4.0}}, [4.0, 3.0]),
    ],
)
def test_regress(container: ContainerProcess, more: Any, expected: list[float]) -> None:
    """regressor: one value per example; json: the context is merged into every example."""
    body = {"signature_name": "regress_x_to_y", **more}
    assert post(container, body, "tfs-method=regress") == (200, {"results": expected})


@pytest.mark.parametrize(
    ("body", "method", "reason"),
    [
        pytest.param(
            THREE, "classify",
            "Expected classification signature method_name to be tensorflow/serving/classify. "
            "Was: tensorflow/serving/predict", id="classifier",
        ),
        pytest.param(
            THREE, "regress",
            "Expected regression signature method_name to be tensorflow/serving/regress. "
            "Was: tensorflow/serving/predict", id="regressor",
        ),
        pytest.param(
            {"signature_name": "regress_x_to_y", "examples": [{"x": 1}]}, "regress",
            "Data types don't match", id="regressor: 1 is an int64",
        ),
        pytest.param({}, "predict", "Missing 'inputs' or 'instances' key", id="json"),
        pytest.param({"instances": []}, "predict", "No values in 'instances' array", id="json: 0"),
        pytest.param({"instances": ["a"]}, "predict", "is not of expected type", id="json: type"),
        pytest.param(b"", "predict", "JSON Parse error", id="json: no document"),
        pytest.param(b"1,2\n", "predict", "Is not object", id="json: no object"),
        pytest.param(
            {"signature_name": "other", **THREE}, "predict",
            'name: "other" not found', id="json: name",
        ),
        pytest.param(
            {"signature_name": "from_examples", "inputs": [{"b64": "//79"}]}, "predict",
            "Could not parse example input, value: '\\xff\\xfe\\xfd'",
            id="TensorFlow's text, with bytes that are no UTF-8",
        ),
    ],
)  # fmt: skip
def test_what_tensorflow_serving_rejects_has_the_form_of_the_framework(
    container: ContainerProcess, body: Any, method: str, reason: str
) -> None:
    """handler: falcon.HTTPError(status, description=the response of TensorFlow Serving)."""
    code, answer = post(container, body, f"tfs-method={method}")
    assert code == 400, answer
    assert answer["title"] == "400 Bad Request"
    assert reason in json.loads(answer["description"])["error"], answer
    assert reason in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "expected"),
    [
        pytest.param("GET", "/ping", None, 200, "", id="container"),
        pytest.param(
            "POST", "/models/half_plus_three/invoke", THREE, 404,
            {"error": "Model half_plus_three is not loaded yet."}, id="container: not loaded",
        ),
        pytest.param(
            "DELETE", "/models/non-existing-model", None, 404,
            {"error": "Model non-existing-model is not loaded yet"}, id="container: delete",
        ),
        pytest.param(
            "POST", "/models", {"model_name": "non-existing", "url": "/opt/ml/models/non-existing"},
            404, {"error": "Could not find valid base path /opt/ml/models/non-existing for "
            "servable non-existing"}, id="container: no base path",
        ),
        pytest.param(
            "POST", "/models", {"model_name": "m", "uri": "/opt/ml/models/m"}, 500,
            {"title": "500 Internal Server Error"}, id="container: no url",
        ),
        pytest.param(
            "POST", "/models", {"model_name": "../m", "url": "/opt/ml/models/m"}, 400,
            {"error": "invalid model_name: '../m'"}, id="handler: a name that is none",
        ),
        pytest.param(
            "POST", "/invocations", THREE, 400,
            {"error": "Invocation request does not contain model name."}, id="handler",
        ),
        pytest.param("GET", "/", None, 404, {"error": "Not Found"}, id="handler: nginx"),
        pytest.param("GET", "/v1/models", None, 404, {"error": "Not Found"}, id="handler: nginx's"),
        pytest.param(
            "GET", "/models/m/other", None, 404, {"title": "404 Not Found"}, id="handler: falcon"
        ),
        pytest.param(
            "PUT", "/models", None, 405, {"title": "405 Method Not Allowed"}, id="handler: method"
        ),
    ],
)  # fmt: skip
def test_other_requests(
    container: ContainerProcess, method: str, path: str, body: Any, code: int, expected: Any
) -> None:
    answer = container.http.request(method, path, json=body)
    assert answer.status_code == code, answer.text
    if expected:
        found = answer.json()
        for key, text in expected.items():
            assert found[key].startswith(text), found
    else:
        assert answer.text == expected


def test_load_again_list_describe_and_unload(container: ContainerProcess, artifacts: Path) -> None:
    """container: test_load_one_model_two_times, test_delete_model."""
    again = container.load(NAME, artifacts / NAME)
    assert again.status_code == 409
    assert again.json()["error"].startswith(f"Model {NAME} is already loaded")
    other = "half_plus_three"
    assert container.load(other, artifacts / NAME).status_code == 200
    listed = container.http.get("/models").json()
    assert set(listed) == {NAME, other}
    state = listed[other]["model_version_status"][0]
    assert (state["version"], state["state"]) == ("123", "AVAILABLE")
    assert container.http.get(f"/models/{other}").json()["model"].items() >= listed[other].items()
    gone = container.http.delete(f"/models/{other}")
    assert (gone.status_code, gone.json()) == (
        200,
        {"success": f"Successfully unloaded model {other}."},
    )
    assert container.http.get(f"/models/{other}").status_code == 404
    assert set(container.http.get("/models").json()) == {NAME}
