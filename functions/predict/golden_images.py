"""The images of golden samples, which onboarding keeps: examples that fit their model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from facet.errors import NoGoldenImage
from facet.keys import golden_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MISSING = ("NoSuchKey", "404", "AccessDenied")
"""S3 answers AccessDenied for a missing key to those who may not list the bucket."""


@dataclass(frozen=True)
class StoredImage:
    """An encoded image, and its media type."""

    content: bytes
    media_type: str


class GoldenImages:
    """The part of the bucket in which onboarding keeps the images."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def read(self, model: str, version: str) -> StoredImage:
        """Returns the image of a version's golden sample. Raises NoGoldenImage."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=golden_key(model, version))
        except ClientError as error:
            if error.response["Error"]["Code"] not in MISSING:
                raise
            raise NoGoldenImage(model, version) from error
        return StoredImage(found["Body"].read(), found["ContentType"])
