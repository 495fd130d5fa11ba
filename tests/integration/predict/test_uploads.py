"""`POST /uploads`, and predictions for uploaded images."""

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from facet.keys import IMAGE_TYPES
from facet.registry.models import Version
from tests.support import artifacts, fakes
from tests.support.api import PNG, Reply, call, predict

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("functions")

KEY = "inbox/7f1c0b7e-3d0b-4c58-9a55-2f0d6a1b9c3e"


def create_upload(document: Any = None) -> Reply:
    body = None if document is None else json.dumps(document).encode()
    return call("POST", "/uploads", body, "application/json")


def predict_upload(key: object, **options: Any) -> Reply:
    return predict(json.dumps({"s3": key}).encode(), "application/json", **options)


def policy(reply: Reply) -> dict[str, Any]:
    """Returns the policy that S3 enforces for the form."""
    decoded: dict[str, Any] = json.loads(base64.b64decode(reply.document["fields"]["policy"]))
    return decoded


@pytest.mark.parametrize("kind", IMAGE_TYPES)
def test_an_upload_form_limits_size_type_and_time(kind: str) -> None:
    reply = create_upload({"content_type": kind})
    assert reply.status == 201
    assert reply.document["content_type"] == kind
    assert reply.document["fields"]["Content-Type"] == kind
    assert (reply.document["max_bytes"], reply.document["expires_in"]) == (1_000_000, 900)
    conditions = policy(reply)["conditions"]
    assert ["content-length-range", 1, 1_000_000] in conditions
    assert {"Content-Type": kind} in conditions
    assert {"key": reply.document["s3"]} in conditions


def test_the_default_is_jpeg_and_every_form_has_a_new_key() -> None:
    first, second = create_upload(), create_upload({})
    assert first.document["content_type"] == second.document["content_type"] == "image/jpeg"
    assert first.document["s3"] != second.document["s3"]
    assert first.document["s3"].startswith("inbox/")


@pytest.mark.parametrize(
    "document", [{"content_type": "text/html"}, {"content_type": 7}, {"bytes": 7}, [], "image/png"]
)
def test_invalid_upload_requests_are_rejected(document: Any) -> None:
    assert create_upload(document).problem == (400, "bad-request")


def test_an_uploaded_image_gets_the_same_answer_as_a_sent_one(
    live: Version, s3: "S3Client"
) -> None:
    key = create_upload({"content_type": "image/png"}).document["s3"]
    s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=PNG)
    assert predict_upload(key).document == predict().document
    assert predict_upload(key, version=live.id).document["version"] == live.id


@pytest.mark.usefixtures("live")
def test_an_upload_may_be_larger_than_a_body(
    s3: "S3Client",
    monkeypatch: pytest.MonkeyPatch,
    cold_start: None,  # noqa: ARG001
) -> None:
    monkeypatch.setenv("FACET_MAX_BODY", "1000")
    large = PNG + bytes(2000)
    s3.put_object(Bucket=fakes.BUCKET, Key=KEY, Body=large)
    assert predict(large).problem == (413, "body-too-large")
    assert predict_upload(KEY).status == 200


@pytest.mark.usefixtures("live")
def test_an_upload_over_its_limit_is_not_read(s3: "S3Client") -> None:
    s3.put_object(Bucket=fakes.BUCKET, Key=KEY, Body=PNG + bytes(1_000_000))
    reply = predict_upload(KEY)
    assert reply.problem == (413, "body-too-large")
    assert "the limit is 1,000,000" in reply.document["detail"]


@pytest.mark.usefixtures("live")
def test_an_uploads_content_type_does_not_decide_its_format(s3: "S3Client") -> None:
    s3.put_object(Bucket=fakes.BUCKET, Key=KEY, Body=b"<html>", ContentType="image/png")
    assert predict_upload(KEY).problem == (415, "unsupported-image")


@pytest.mark.usefixtures("live")
def test_an_unknown_upload_is_reported_with_how_to_create_one() -> None:
    reply = predict_upload(KEY)
    assert reply.problem == (404, "unknown-upload")
    assert "POST /uploads" in reply.document["detail"]


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("key", ["mme/cifar.tar.gz", "", "/inbox/a", "datasets/a.jpg"])
def test_keys_outside_the_inbox_are_rejected(key: str, s3: "S3Client") -> None:
    s3.put_object(Bucket=fakes.BUCKET, Key="datasets/a.jpg", Body=artifacts.encoded())
    assert predict_upload(key).problem == (400, "bad-request")


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("key", [7, None, [KEY], {"key": KEY}])
def test_a_key_must_be_a_string(key: object) -> None:
    assert predict_upload(key).problem == (400, "bad-request")
