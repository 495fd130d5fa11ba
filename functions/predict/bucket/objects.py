"""Objects that may be missing."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def find(s3: "S3Client", bucket: str, key: str) -> Any:
    """Opens an object: the response of GetObject; None if there is none. Raises ClientError.

    S3 answers a missing key with 404 if the caller may list the bucket, otherwise with 403. The
    function may list some prefixes only, and whether that is enough, S3's documentation does not
    say. After a 403, listing the key, which the permission covers, decides.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    try:
        return s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "AccessDenied" and not _exists(s3, bucket, key):
            code = "NoSuchKey"
        if code != "NoSuchKey":
            raise
        return None


def _exists(s3: "S3Client", bucket: str, key: str) -> bool:
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return any(each["Key"] == key for each in found.get("Contents", []))
