"""Predictions over HTTP as REST clients send them, and the errors of invalid requests."""

import base64
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT

IMAGE = next((ROOT / "samples/images/cifar").glob("cat*"))
URL = "/models/cifar/predict"


@pytest.fixture(scope="module")
def image() -> bytes:
    return IMAGE.read_bytes()


def test_raw_multipart_and_json_bodies_get_the_same_answer(api: httpx.Client, image: bytes) -> None:
    text = base64.b64encode(image).decode()
    answers = [
        api.post(URL, content=image),
        api.post(URL, content=image, headers={"content-type": "image/jpeg"}),
        api.post(URL, files={"image": ("cat.jpg", image, "image/jpeg")}),
        api.post(URL, json={"image": text}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    predictions = [answer.json()["predictions"] for answer in answers]
    assert predictions[0][0]["label"] == "cat"
    assert predictions == [predictions[0]] * 4
    batch = api.post(URL, json={"images": [text, text]}).json()
    assert [each["predictions"][0]["label"] for each in batch["results"]] == ["cat", "cat"]


def test_an_answer_has_its_version_and_server_timing(api: httpx.Client, image: bytes) -> None:
    answer = api.post(f"{URL}?top_k=3", content=image)
    scores = [each["score"] for each in answer.json()["predictions"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert answer.headers["x-model-version"] == answer.json()["version"]
    assert {"decode", "preprocess", "invoke"} <= {
        step.split(";")[0].strip() for step in answer.headers["server-timing"].split(",")
    }
    named = api.post(f"{URL}?version={answer.json()['version']}", content=image)
    assert named.json()["predictions"][:3] == answer.json()["predictions"]


def _png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("path", "body", "status", "problem"),
    [
        ("/models/nobody/predict", IMAGE.read_bytes(), 404, "unknown-model"),
        (f"{URL}?version=0123456789ab", IMAGE.read_bytes(), 404, "unknown-version"),
        (f"{URL}?top_k=none", IMAGE.read_bytes(), 400, "bad-request"),
        (URL, b"", 400, "bad-request"),
        (URL, b"this is a text file\n", 415, "unsupported-image"),
        (URL, IMAGE.read_bytes()[:2000], 422, "broken-image"),
        (URL, _png(10_000, 10_000), 422, "broken-image"),
        (URL, IMAGE.read_bytes() + bytes(4_500_000), 413, "body-too-large"),
    ],
)
def test_an_invalid_request_gets_a_problem_document(
    api: httpx.Client, path: str, body: bytes, status: int, problem: str
) -> None:
    answer = api.post(path, content=body, headers={"content-type": "image/jpeg"})
    document = answer.json()
    assert (answer.status_code, document["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["type"] == f"urn:facet:problem:{problem}"
    assert document["detail"]
    assert document["request_id"] == answer.headers["x-amzn-requestid"]


def test_api_gateway_refuses_a_request_without_a_valid_key(api: httpx.Client, image: bytes) -> None:
    root = str(api.base_url).rstrip("/")
    for headers in ({}, {"x-api-key": "wrong"}):
        answer = httpx.post(root + URL, content=image, headers=headers, timeout=LONG)
        assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})
    assert httpx.get(root + "/health", timeout=LONG).json() == {"status": "ok"}


def _cifar(data: Path) -> dict[str, list[bytes]]:
    images: dict[str, list[bytes]] = {}
    with zipfile.ZipFile(data / "cifar10_jpeg.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.startswith("cifar10/test/") and name.endswith(".jpg"):
                of_class = images.setdefault(Path(name).parent.name, [])
                if len(of_class) < 8:
                    of_class.append(archive.read(name))
    return images


def _signs(data: Path) -> dict[str, list[bytes]]:
    return {
        folder.name: [path.read_bytes() for path in sorted(folder.iterdir())]
        for folder in sorted((data / "sign_language/test").iterdir())
    }


@pytest.mark.skipif("FACET_DATA" not in os.environ, reason="FACET_DATA names no data sets")
@pytest.mark.parametrize(("model", "load"), [("cifar", _cifar), ("sign-language", _signs)])
def test_at_least_seven_of_ten_real_images_get_the_right_label(
    api: httpx.Client, model: str, load: Callable[[Path], dict[str, list[bytes]]]
) -> None:
    answers = [
        (label, api.post(f"/models/{model}/predict", content=image).json())
        for label, images in load(Path(os.environ["FACET_DATA"])).items()
        for image in images
    ]
    right = sum(answer["predictions"][0]["label"] == label for label, answer in answers)
    assert len(answers) >= 50
    assert right / len(answers) >= 0.7, f"{right} of {len(answers)} {model} images"
