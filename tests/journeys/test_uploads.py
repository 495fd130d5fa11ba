"""Images larger than a request body: presigned form, upload to S3, prediction."""

import io
import os

import httpx
import pytest
from PIL import Image

from tests.support.processes.waiting import LONG
from tests.support.stacks import ROOT

IMAGE = next((ROOT / "samples/images/cifar").glob("cat*"))


@pytest.fixture(scope="module")
def large() -> bytes:
    """A JPEG of the cat with trailing bytes, larger than a request body may be."""
    file = io.BytesIO()
    Image.open(IMAGE).save(file, "JPEG", quality=95)
    return file.getvalue() + os.urandom(5_000_000)


def test_a_large_image_is_predicted_from_the_bucket(api: httpx.Client, large: bytes) -> None:
    assert api.post("/models/cifar/predict", content=large).status_code == 413
    offer = api.post("/uploads", json={"content_type": "image/jpeg"})
    assert offer.status_code == 201
    form = offer.json()
    sent = httpx.post(form["url"], data=form["fields"], files={"file": large}, timeout=LONG)
    assert sent.status_code == 204, sent.text
    answer = api.post("/models/cifar/predict", json={"s3": form["s3"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["label"] == "cat"


def test_a_preflight_needs_no_key_and_allows_nothing_by_default(api: httpx.Client) -> None:
    url = str(api.base_url).rstrip("/") + "/models/cifar/predict"
    answer = httpx.options(url, timeout=LONG)
    assert answer.status_code == 204
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_an_unchanged_model_is_answered_with_304(api: httpx.Client) -> None:
    tag = api.get("/models/cifar").headers["etag"]
    again = api.get("/models/cifar", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
