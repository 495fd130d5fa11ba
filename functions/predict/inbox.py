"""Images over the limit of a body: where clients put them, and how they are read."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from facet.errors import BadRequest, BodyTooLarge, UnknownUpload
from facet.keys import IMAGE_TYPES, INBOX_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Offer:
    """A place for one image: a form's `url` and `fields`, to which its file is added last.

    S3 takes at most `max_bytes` of `content_type`, and that for `expires_in` seconds.
    """

    key: str
    url: str
    fields: dict[str, str]
    content_type: str
    max_bytes: int
    expires_in: int


class Inbox:
    """The part of the bucket that clients may write to."""

    def __init__(self, s3: "S3Client", bucket: str, max_bytes: int, expires_in: int) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._max_bytes = max_bytes
        self._expires_in = expires_in

    def offer(self, content_type: str) -> Offer:
        """A place with a name that nobody can guess. Raises BadRequest for other content types."""
        if content_type not in IMAGE_TYPES:
            raise BadRequest(f"content_type must be one of {', '.join(IMAGE_TYPES)}.")
        key = f"{INBOX_PREFIX}{uuid.uuid4()}"
        made = self._s3.generate_presigned_post(
            self._bucket,
            key,
            Fields={"Content-Type": content_type},
            Conditions=[
                {"Content-Type": content_type},
                ["content-length-range", 1, self._max_bytes],
            ],
            ExpiresIn=self._expires_in,
        )
        return Offer(
            key, made["url"], made["fields"], content_type, self._max_bytes, self._expires_in
        )

    def read(self, key: str) -> bytes:
        """The image that lies there.

        Raises BadRequest for keys elsewhere, UnknownUpload, BodyTooLarge.
        """
        if not key.startswith(INBOX_PREFIX):
            raise BadRequest(f"s3 must be the key of an upload: it begins with {INBOX_PREFIX}.")
        found = self._object(key)
        if found["ContentLength"] > self._max_bytes:
            found["Body"].close()
            raise BodyTooLarge(
                f"The upload has {found['ContentLength']:,} bytes; at most {self._max_bytes:,} "
                "are taken. Send a smaller copy of the image."
            )
        content: bytes = found["Body"].read()
        return content

    def _object(self, key: str) -> Any:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                raise
            raise UnknownUpload(key) from error
