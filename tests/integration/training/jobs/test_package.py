"""training/package.py against an account on moto."""

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.aws.fakes import BUCKET
from training.package import bucket_of, code_key, upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_code_is_uploaded_once(s3: "S3Client") -> None:
    assert upload(b"code", s3, BUCKET)
    assert not upload(b"code", s3, BUCKET)
    assert upload(b"other", s3, BUCKET)
    stored = s3.get_object(Bucket=BUCKET, Key=code_key(b"code"))["Body"].read()
    assert stored == b"code"
    assert len(s3.list_object_versions(Bucket=BUCKET)["Versions"]) == 2


@pytest.mark.usefixtures("aws")
def test_reads_the_bucket_from_the_stacks_outputs() -> None:
    cloudformation = boto3.client("cloudformation", region_name="eu-central-1")
    assert bucket_of("facet", cloudformation) is None
    resources = {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "mine"}}}
    outputs = {"BucketName": {"Value": {"Ref": "Bucket"}}}
    body = json.dumps({"Resources": resources, "Outputs": outputs})
    cloudformation.create_stack(StackName="facet", TemplateBody=body)
    assert bucket_of("facet", cloudformation) == "mine"


def test_uploading_to_a_missing_bucket_is_an_error(s3: "S3Client") -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        upload(b"code", s3, "no-such-bucket")
