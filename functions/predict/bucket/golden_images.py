"""The images of golden samples, which onboarding keeps: examples that fit their model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facet.errors import NoGoldenImage
from facet.keys import golden_key
from predict.bucket import objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


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
        """Returns the image of a version's golden sample.

        Raises NoGoldenImage, and ClientError for an image that is there but cannot be read.
        """
        found = objects.find(self._s3, self._bucket, golden_key(model, version))
        if found is None:
            raise NoGoldenImage(model, version)
        return StoredImage(found["Body"].read(), found["ContentType"])
