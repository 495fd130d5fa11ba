"""`POST /uploads`, and images that lie in the bucket."""

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


def offer(document: Any = None) -> Reply:
    body = None if document is None else json.dumps(document).encode()
    return call("POST", "/uploads", body, "application/json")


def ask(key: object, **options: Any) -> Reply:
    return predict(json.dumps({"s3": key}).encode(), "application/json", **options)


def policy(reply: Reply) -> dict[str, Any]:
    """What S3 is told to hold the upload to."""
    import base64

    found: dict[str, Any] = json.loads(base64.b64decode(reply.document["fields"]["policy"]))
    return found


@pytest.mark.parametrize("kind", IMAGE_TYPES)
def test_an_offer_is_limited_in_size_type_and_time(kind: str) -> None:
    reply = offer({"content_type": kind})
    assert reply.status == 201
    assert reply.document["content_type"] == kind
    assert reply.document["fields"]["Content-Type"] == kind
    assert (reply.document["max_bytes"], reply.document["expires_in"]) == (1_000_000, 900)
    conditions = policy(reply)["conditions"]
    assert ["content-length-range", 1, 1_000_000] in conditions
    assert {"Content-Type": kind} in conditions
    assert {"key": reply.document["s3"]} in conditions


def test_a_jpeg_unless_told_otherwise_and_a_new_key_each_time() -> None:
    first, second = offer(), offer({})
    assert first.document["content_type"] == second.document["content_type"] == "image/jpeg"
    assert first.document["s3"] != second.document["s3"]
    assert first.document["s3"].startswith("inbox/")


@pytest.mark.parametrize(
    "document", [{"content_type": "text/html"}, {"content_type": 7}, {"bytes": 7}, [], "image/png"]
)
def test_other_offers_are_refused(document: Any) -> None:
    assert offer(document).problem == (400, "bad-request")


def test_an_uploaded_image_is_answered_as_one_that_was_sent(live: Version, s3: "S3Client") -> None:
    key = offer({"content_type": "image/png"}).document["s3"]
    s3.put_object(Bucket=fakes.BUCKET, Key=key, Body=PNG)
    assert ask(key).document == predict().document
    assert ask(key, version=live.id).document["version"] == live.id


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
    assert ask(KEY).status == 200


@pytest.mark.usefixtures("live")
def test_an_upload_over_its_limit_is_not_read(s3: "S3Client") -> None:
    s3.put_object(Bucket=fakes.BUCKET, Key=KEY, Body=PNG + bytes(1_000_000))
    reply = ask(KEY)
    assert reply.problem == (413, "body-too-large")
    assert "the limit is 1,000,000" in reply.document["detail"]


@pytest.mark.usefixtures("live")
def test_what_was_uploaded_is_not_believed(s3: "S3Client") -> None:
    s3.put_object(Bucket=fakes.BUCKET, Key=KEY, Body=b"<html>", ContentType="image/png")
    assert ask(KEY).problem == (415, "unsupported-image")


@pytest.mark.usefixtures("live")
def test_a_key_without_an_upload_says_where_to_send_one() -> None:
    reply = ask(KEY)
    assert reply.problem == (404, "unknown-upload")
    assert "POST /uploads" in reply.document["detail"]


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("key", ["mme/cifar.tar.gz", "", "/inbox/a", "datasets/a.jpg"])
def test_only_the_inbox_is_read(key: str, s3: "S3Client") -> None:
    s3.put_object(Bucket=fakes.BUCKET, Key="datasets/a.jpg", Body=artifacts.encoded())
    assert ask(key).problem == (400, "bad-request")


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("key", [7, None, [KEY], {"key": KEY}])
def test_a_key_is_text(key: object) -> None:
    assert ask(key).problem == (400, "bad-request")
