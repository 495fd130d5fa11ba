"""Images too large for a request's body: clients upload them to S3, and a prediction reads them."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facet.errors import BadRequest, BodyTooLarge, UnknownUpload
from facet.keys import IMAGE_TYPES, INBOX_KEY, INBOX_PREFIX
from predict.bucket import objects
from predict.http.request import shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class UploadForm:
    """A presigned form for one image: POST `fields` to `url`, with the file as the last field.

    S3 accepts up to `max_bytes` of `content_type`, for `expires_in` seconds.
    """

    key: str
    url: str
    fields: dict[str, str]
    content_type: str
    max_bytes: int
    expires_in: int


class Inbox:
    """The part of the bucket that clients may upload images to."""

    def __init__(self, s3: "S3Client", bucket: str, max_bytes: int, expires_in: int) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._max_bytes = max_bytes
        self._expires_in = expires_in

    def upload_form(self, content_type: str) -> UploadForm:
        """Returns a form with a random key. Raises BadRequest for a type not in `IMAGE_TYPES`."""
        if content_type not in IMAGE_TYPES:
            raise BadRequest(f"content_type must be one of {', '.join(IMAGE_TYPES)}.")
        key = f"{INBOX_PREFIX}{uuid.uuid4()}"
        post = self._s3.generate_presigned_post(
            self._bucket,
            key,
            Fields={"Content-Type": content_type},
            Conditions=[
                {"Content-Type": content_type},
                ["content-length-range", 1, self._max_bytes],
            ],
            ExpiresIn=self._expires_in,
        )
        return UploadForm(
            key, post["url"], post["fields"], content_type, self._max_bytes, self._expires_in
        )

    def read(self, key: str) -> bytes:
        """Returns the uploaded image.

        Raises BadRequest for a key outside the inbox, UnknownUpload, BodyTooLarge.
        """
        if not key.startswith(INBOX_PREFIX):
            raise BadRequest(
                f"s3 must be the key of an upload; such keys begin with {INBOX_PREFIX}."
            )
        if not INBOX_KEY.fullmatch(key):
            raise UnknownUpload(shown(key))
        upload = objects.find(self._s3, self._bucket, key)
        if upload is None:
            raise UnknownUpload(key)
        if upload["ContentLength"] > self._max_bytes:
            upload["Body"].close()
            raise BodyTooLarge(
                f"The upload has {upload['ContentLength']:,} bytes; the limit is "
                f"{self._max_bytes:,}. Send a smaller copy of the image."
            )
        content: bytes = upload["Body"].read()
        return content
