"""The unmodified `tritonclient` against the running stack."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from facet import preprocess
from facet.specs import InputSpec
from tests.support.stacks import ROOT, Running

CAT = next((ROOT / "samples/images/cifar").glob("cat*")).read_bytes()


@pytest.fixture(scope="module")
def triton() -> Any:
    """The module, imported here because it loads gevent, which other tests must not see."""
    return pytest.importorskip("tritonclient.http")


@pytest.fixture(scope="module")
def client(triton: Any, stack: Running) -> Iterator[Any]:
    opened = triton.InferenceServerClient(stack.address.url.removeprefix("http://"))
    yield opened
    opened.close()


@pytest.fixture
def key(stack: Running) -> dict[str, str]:
    """Headers; one dict per test, because the client modifies it."""
    return {"x-api-key": stack.address.api_key}


def images(triton: Any, *encoded: bytes) -> Any:
    tensor = triton.InferInput("image", [len(encoded)], "BYTES")
    tensor.set_data_from_numpy(np.array(encoded, dtype=np.object_), binary_data=True)
    return tensor


def test_server_and_model_metadata(client: Any, key: dict[str, str]) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata(headers=key)["name"] == "facet"
    assert client.is_model_ready("cifar", headers=key)
    assert not client.is_model_ready("nobody", headers=key)
    model = client.get_model_metadata("cifar", headers=key)
    (version,) = model["versions"]
    assert client.is_model_ready("cifar", version, headers=key)
    assert client.get_model_metadata("cifar", version, headers=key) == model


@pytest.mark.parametrize("binary", [True, False])
def test_infer_with_encoded_images(
    client: Any, triton: Any, key: dict[str, str], api: httpx.Client, binary: bool
) -> None:
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("scores", "label")]
    answer = client.infer("cifar", [images(triton, CAT, CAT)], outputs=wanted, headers=key)
    scores, labels = answer.as_numpy("scores"), answer.as_numpy("label")
    ranked = api.post("/models/cifar/predict", content=CAT).json()["predictions"]
    assert scores.shape == (2, 10)
    assert scores.max(axis=1) == pytest.approx([ranked[0]["score"]] * 2, abs=1e-6)
    assert [each.decode() if binary else each for each in labels.tolist()] == ["cat", "cat"]


@pytest.mark.parametrize("binary", [True, False])
def test_infer_with_pixels_of_the_models_size(
    client: Any, triton: Any, key: dict[str, str], api: httpx.Client, binary: bool
) -> None:
    spec = InputSpec.model_validate(api.get("/models/cifar").json()["input"])
    pixels = preprocess.geometry(spec, preprocess.decode(spec, CAT))[None]
    tensor = triton.InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    (version,) = client.get_model_metadata("cifar", headers=key)["versions"]
    answer = client.infer("cifar", [tensor], model_version=version, request_id="7", headers=key)
    response = answer.get_response()
    assert (response["id"], response["model_version"]) == ("7", version)
    assert answer.as_numpy("label").tolist() in ([b"cat"], ["cat"])


def test_infer_with_the_classification_extension(
    client: Any, triton: Any, key: dict[str, str]
) -> None:
    wanted = triton.InferRequestedOutput("scores", binary_data=True, class_count=3)
    answer = client.infer("cifar", [images(triton, CAT)], outputs=[wanted], headers=key)
    ((first, *others),) = answer.as_numpy("scores").tolist()
    assert first.decode().endswith(":3:cat")
    assert len(others) == 2


def test_errors_have_the_problem_detail(client: Any, triton: Any, key: dict[str, str]) -> None:
    with pytest.raises(Exception, match="There is no model 'nobody'") as failed:
        client.infer("nobody", [images(triton, CAT)], headers=key)
    assert type(failed.value).__name__ == "InferenceServerException"
    with pytest.raises(Exception, match="Unsupported image"):
        client.infer("cifar", [images(triton, b"text")], headers=key)
