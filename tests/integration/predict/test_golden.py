"""`GET /models/{model}/golden`: the image with which a version was proven."""

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from facet.errors import NoGoldenImage
from facet.keys import golden_key
from predict.bucket.golden_images import GoldenImages
from tests.support.api import PNG, call
from tests.support.aws import fakes
from tests.support.versions import make_live, pending, rejected

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("functions")

GOLDEN = "/models/cifar/golden"


@pytest.fixture(autouse=True)
def kept(table: "Table", s3: "S3Client") -> None:
    """The second version is live; the first has an image, and so has a rejected one."""
    first, second, third = pending(1), pending(2), rejected(3)
    make_live(table, first)
    make_live(table, second)
    for version, content in ((first, PNG), (second, PNG + b"2"), (third, PNG + b"3")):
        s3.put_object(
            Bucket=fakes.BUCKET,
            Key=golden_key("cifar", version.id),
            Body=content,
            ContentType="image/png",
        )


def test_the_live_versions_image_is_answered() -> None:
    reply = call("GET", GOLDEN)
    assert (reply.status, reply.image) == (200, PNG + b"2")
    assert reply.headers["Content-Type"] == "image/png"
    assert reply.headers["X-Model-Version"] == pending(2).id
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_another_versions_image_is_answered_on_request() -> None:
    assert call("GET", GOLDEN, version=pending(1).id).image == PNG


def test_an_image_that_the_client_has_is_not_read_again(s3: "S3Client") -> None:
    etag = call("GET", GOLDEN).headers["ETag"]
    s3.delete_object(Bucket=fakes.BUCKET, Key=golden_key("cifar", pending(2).id))
    reply = call("GET", GOLDEN, headers={"If-None-Match": etag})
    assert (reply.status, reply.image, reply.document) == (304, b"", {})


@pytest.mark.parametrize(
    ("path", "version", "problem"),
    [
        ("/models/cifar/golden", rejected(3).id, (404, "unknown-version")),
        ("/models/cifar/golden", "latest", (400, "bad-request")),
        ("/models/cifra/golden", None, (404, "unknown-model")),
    ],
)
def test_only_ready_versions_have_one(
    path: str, version: str | None, problem: tuple[int, str]
) -> None:
    query: dict[str, Any] = {"version": version} if version else {}
    assert call("GET", path, **query).problem == problem


def test_a_version_may_have_none(s3: "S3Client") -> None:
    s3.delete_object(Bucket=fakes.BUCKET, Key=golden_key("cifar", pending(2).id))
    assert call("GET", GOLDEN).problem == (404, "no-golden-image")


def denied(*listed: str) -> GoldenImages:
    """Golden images where S3 denies GetObject, and lists these keys."""
    s3 = boto3.client("s3")
    stub = Stubber(s3)
    stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
    stub.add_response("list_objects_v2", {"Contents": [{"Key": key} for key in listed]})
    stub.activate()
    return GoldenImages(s3, fakes.BUCKET)


def test_a_missing_image_that_s3_answers_with_403_is_missing() -> None:
    with pytest.raises(NoGoldenImage):
        denied().read("cifar", pending(1).id)


def test_an_image_that_is_there_but_cannot_be_read_is_not_called_missing() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        denied(golden_key("cifar", pending(1).id)).read("cifar", pending(1).id)
