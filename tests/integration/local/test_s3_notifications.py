"""local/moto/s3/notifications.py: S3's events, one for each change, with its version and sequencer.

The module's contract test: when moto's pin moves, it says what has changed.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.moto.s3.notifications import Sequencers, sending_notifications

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:Onboard"
OTHER = "arn:aws:lambda:eu-central-1:123456789012:function:Other"
BUCKET = "models"
DROPS = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "mme/"}]}}
CREATED, REMOVED = "s3:ObjectCreated:*", "s3:ObjectRemoved:*"


class Function:
    """Hears what functions are notified of."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []

    def __call__(self, arn: str, event: bytes) -> None:
        (record,) = json.loads(event)["Records"]
        self.received.append((arn, record))

    def events(self) -> list[tuple[str, str, str | None]]:
        """Each event's name, key and version."""
        objects = [(record, record["s3"]["object"]) for _, record in self.received]
        return [(record["eventName"], it["key"], it.get("versionId")) for record, it in objects]

    def sequencers(self) -> list[str]:
        return [record["s3"]["object"]["sequencer"] for _, record in self.received]


@pytest.fixture
def s3(aws: None) -> "S3Client":  # noqa: ARG001
    client = boto3.client("s3")
    where: Any = {"LocationConstraint": "eu-central-1"}
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    return client


@pytest.fixture
def versioned(s3: "S3Client") -> "S3Client":
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return s3


@pytest.fixture
def function() -> Iterator[Function]:
    function = Function()
    with sending_notifications(function):
        yield function


def notify(s3: "S3Client", *rules: tuple[str, list[Any]]) -> None:
    configured: Any = {
        "LambdaFunctionConfigurations": [
            {"LambdaFunctionArn": arn, "Events": events, "Filter": DROPS} for arn, events in rules
        ]
    }
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=configured)


def put(s3: "S3Client", key: str = "mme/cats.tar.gz", body: bytes = b"1") -> str:
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body).get("VersionId", "")


def test_an_upload_sends_an_event_in_s3s_format(versioned: "S3Client", function: Function) -> None:
    notify(versioned, (ARN, [CREATED]))
    version = put(versioned, "mme/ü b.tar.gz", b"123")
    ((arn, record),) = function.received
    assert arn == ARN
    assert (record["eventSource"], record["awsRegion"]) == ("aws:s3", "eu-central-1")
    assert record["eventTime"].endswith("Z")
    assert record["s3"]["bucket"] == {"name": BUCKET, "arn": "arn:aws:s3:::models"}
    described = record["s3"]["object"]
    assert len(described.pop("sequencer")) == 18
    assert described == {
        "key": "mme/%C3%BC+b.tar.gz",
        "versionId": version,
        "size": 3,
        "eTag": "202cb962ac59075b964b07152d234b70",
    }


@pytest.mark.parametrize(
    "rules", [[(ARN, [CREATED, REMOVED])], [(ARN, [CREATED]), (ARN, [REMOVED])]]
)
def test_a_configuration_may_list_several_events(
    versioned: "S3Client", function: Function, rules: list[Any]
) -> None:
    notify(versioned, *rules)
    version = put(versioned)
    versioned.delete_object(Bucket=BUCKET, Key="mme/cats.tar.gz", VersionId=version)
    names = [name for name, *_ in function.events()]
    assert names == ["ObjectCreated:Put", "ObjectRemoved:Delete"]


def test_each_kind_of_removal_sends_one_event(versioned: "S3Client", function: Function) -> None:
    key = "mme/cats.tar.gz"
    first, second = put(versioned), put(versioned)
    notify(versioned, (ARN, [REMOVED]))
    marker = versioned.delete_object(Bucket=BUCKET, Key=key)["VersionId"]
    versioned.delete_object(Bucket=BUCKET, Key=key, VersionId=first)
    versioned.delete_object(Bucket=BUCKET, Key=key, VersionId=marker)
    versioned.delete_object(Bucket=BUCKET, Key=key, VersionId=second)
    versioned.delete_object(Bucket=BUCKET, Key=key, VersionId=second)
    assert function.events() == [
        ("ObjectRemoved:DeleteMarkerCreated", key, marker),
        ("ObjectRemoved:Delete", key, first),
        ("ObjectRemoved:Delete", key, marker),
        ("ObjectRemoved:Delete", key, second),
    ]
    assert all("size" not in record["s3"]["object"] for _, record in function.received)


def test_a_batch_deletion_sends_one_event_for_each_object(
    versioned: "S3Client", function: Function
) -> None:
    keys = [f"mme/{number}.tar.gz" for number in range(3)]
    versions = [put(versioned, key) for key in keys]
    put(versioned, "elsewhere")
    notify(versioned, (ARN, [REMOVED]))
    answer = versioned.delete_objects(
        Bucket=BUCKET,
        Delete={
            "Objects": [
                {"Key": keys[0]},
                {"Key": keys[1], "VersionId": versions[1]},
                {"Key": keys[2], "VersionId": versions[2]},
                {"Key": "elsewhere"},
            ]
        },
    )
    marker = answer["Deleted"][0]["DeleteMarkerVersionId"]
    assert function.events() == [
        ("ObjectRemoved:DeleteMarkerCreated", keys[0], marker),
        ("ObjectRemoved:Delete", keys[1], versions[1]),
        ("ObjectRemoved:Delete", keys[2], versions[2]),
    ]


def test_a_multipart_upload_and_a_copy_send_one_event_each(
    versioned: "S3Client", function: Function
) -> None:
    notify(versioned, (ARN, [CREATED]))
    key = "mme/cats.tar.gz"
    upload = versioned.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    part = versioned.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"1")
    whole = versioned.complete_multipart_upload(
        Bucket=BUCKET,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )
    source = {"Bucket": BUCKET, "Key": key}
    copied = versioned.copy_object(Bucket=BUCKET, Key="mme/dogs.tar.gz", CopySource=source)  # type: ignore[arg-type]
    assert function.events() == [
        ("ObjectCreated:CompleteMultipartUpload", key, whole["VersionId"]),
        ("ObjectCreated:Copy", "mme/dogs.tar.gz", copied["VersionId"]),
    ]


def test_sequencers_order_the_events_of_a_key(versioned: "S3Client", function: Function) -> None:
    notify(versioned, (ARN, [CREATED, REMOVED]))
    version = put(versioned)
    put(versioned)
    versioned.delete_object(Bucket=BUCKET, Key="mme/cats.tar.gz", VersionId=version)
    versioned.delete_object(Bucket=BUCKET, Key="mme/cats.tar.gz")
    sequencers = function.sequencers()
    assert len(sequencers) == 4
    assert all(earlier < later for earlier, later in pairwise(sequencers))


def test_all_functions_get_the_same_sequencer_for_a_change(
    versioned: "S3Client", function: Function
) -> None:
    notify(versioned, (ARN, [CREATED]), (OTHER, [CREATED]))
    put(versioned)
    assert [arn for arn, _ in function.received] == [ARN, OTHER]
    assert len(set(function.sequencers())) == 1


def test_a_bucket_without_versions_sends_no_version_id(s3: "S3Client", function: Function) -> None:
    notify(s3, (ARN, [CREATED, REMOVED]))
    put(s3)
    s3.delete_object(Bucket=BUCKET, Key="mme/cats.tar.gz")
    s3.delete_object(Bucket=BUCKET, Key="mme/cats.tar.gz")
    assert function.events() == [
        ("ObjectCreated:Put", "mme/cats.tar.gz", None),
        ("ObjectRemoved:Delete", "mme/cats.tar.gz", None),
    ]


def test_sequencers_grow_when_the_clock_does_not() -> None:
    times = iter([5, 5, 3, 9])
    sequencers = Sequencers(lambda: next(times))
    made = [sequencers() for _ in range(4)]
    assert [int(each, 16) for each in made] == [5, 6, 7, 9]
    assert made == sorted(made)
