"""`POST /uploads`, and predictions for uploaded images."""

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from samcli.yamlhelper import yaml_parse

from facet.errors import UnknownUpload
from facet.keys import IMAGE_TYPES
from facet.registry.models import Version
from predict import clients
from predict.bucket.inbox import Inbox
from tests.support.api import PNG, Reply, call, predict
from tests.support.aws import fakes
from tests.support.inputs import artifacts

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


ROOT = Path(__file__).parents[3]
REGIONS = yaml_parse((ROOT / "template.yaml").read_text())["Mappings"]["DeepLearningContainers"]


def host_in(region: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The host of a form that a function in this region signs."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    clients.s3.cache_clear()
    clients.inbox.cache_clear()
    reply = create_upload()
    assert f"/{region}/s3/aws4_request" in reply.document["fields"]["x-amz-credential"]
    return str(urlsplit(reply.document["url"]).hostname)


@pytest.mark.usefixtures("cold_start")
def test_forms_name_the_regional_host_of_the_bucket_in_every_region_of_the_template(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The global host answers 400 for buckets in regions launched since 2019, 307 for new ones.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    found = {region: host_in(region, monkeypatch) for region in REGIONS}
    assert found == {
        region: f"{fakes.BUCKET}.s3.{region}.amazonaws.com{'.cn' * region.startswith('cn-')}"
        for region in REGIONS
    }
    assert {"us-east-1", "cn-north-1", "us-gov-west-1", "il-central-1"} <= found.keys()


@pytest.mark.usefixtures("cold_start")
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_forms_for_an_endpoint_of_ones_own_put_the_bucket_into_the_path(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of this machine has no subdomains; the local stack is at 127.0.0.1 or such a name."""
    monkeypatch.setenv(name, "http://host.docker.internal:8000")
    clients.s3.cache_clear()
    clients.inbox.cache_clear()
    form = create_upload().document
    assert form["url"] == f"http://host.docker.internal:8000/{fakes.BUCKET}"


def test_only_uploads_of_images_are_signed_for_others_to_send() -> None:
    """Other code sends its requests itself, and botocore follows S3's redirects."""
    folders = ("functions", "layers", "cli", "training", "notebooks")
    sources = [path for each in folders for path in (ROOT / each).rglob("*.py")]
    signing = [
        path.relative_to(ROOT).as_posix()
        for path in sources
        if re.search(r"generate_presigned|s3[.\-\w]*\.amazonaws\.com", path.read_text())
    ]
    assert set(signing) == {
        "layers/facet/facet/aws/presigned.py",
        "functions/predict/bucket/inbox.py",
        "functions/teach/data_sets.py",
    }


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


def denied(listed: list[str]) -> Inbox:
    """An inbox where S3 denies GetObject, and lists these keys."""
    s3 = boto3.client("s3")
    stub = Stubber(s3)
    stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
    expected = {"Bucket": fakes.BUCKET, "Prefix": KEY, "MaxKeys": 1}
    contents = {"Contents": [{"Key": key} for key in listed]} if listed else {}
    stub.add_response("list_objects_v2", contents, expected)
    stub.activate()
    return Inbox(s3, fakes.BUCKET, 1_000_000, 900)


@pytest.mark.parametrize("listed", [[], [f"{KEY}0"]])
def test_a_missing_upload_that_s3_answers_with_403_is_unknown(listed: list[str]) -> None:
    """S3 may answer so because the function may list no more than the inbox."""
    with pytest.raises(UnknownUpload):
        denied(listed).read(KEY)


def test_an_upload_that_is_there_but_cannot_be_read_is_no_unknown_upload() -> None:
    """For example because its KMS key is disabled, which the operator must learn."""
    with pytest.raises(ClientError, match="AccessDenied"):
        denied([KEY]).read(KEY)
