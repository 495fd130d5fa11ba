"""LiteRT models in the bucket."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infer.errors import InferError, ModelMissing, ModelUnreadable, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1 << 20
CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)
DENIED = re.compile(r"is not authorized to perform: (?!s3:ListBucket\b)(\S+)")
"""S3's text, within an account, for an object that may not be read, with the action that is denied
(s3:GetObject, kms:Decrypt):
https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html

Without s3:ListBucket S3 answers AccessDenied for what does not exist, too, and names that action:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html. The role lists nothing, so that
nobody who takes over this function learns the names of models."""


class Store:
    """One bucket."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    @classmethod
    def of(cls, bucket: str) -> "Store":
        """A bucket with a client of its own."""
        return cls(boto3.client("s3", config=CONFIG), bucket)

    @contextmanager
    def open(self, key: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """An object's size in bytes, and its content in parts.

        Raises ModelMissing, ModelUnreadable, StoreUnavailable, also while it is read.
        """
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key)
            with closing(found["Body"]) as body:
                yield found["ContentLength"], body.iter_chunks(CHUNK)
        except ClientError as error:
            raise _failure(key, error) from error
        except BotoCoreError as error:
            raise StoreUnavailable(f"{key} cannot be read: {error}") from error


def _failure(key: str, error: ClientError) -> InferError:
    """What an error of S3's says about an object."""
    code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code.startswith("KMS.") or (code == "AccessDenied" and DENIED.search(text)):
        return ModelUnreadable(
            f"The function may not read {key} ({code}: {text}). Check the policies of its role, of "
            "the bucket and of the KMS key, and whether that key is enabled"
        )
    if code in ("NoSuchKey", "AccessDenied"):
        return ModelMissing(f"{key} is not stored ({text or code})")
    return StoreUnavailable(f"{key} cannot be read: {error}")
