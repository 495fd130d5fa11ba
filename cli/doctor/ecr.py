"""Find container images in ECR."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from cli.doctor.access import Access
from facet.aws.ecr import MEDIA_TYPES

URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[^.]+)\.[^/]+/(?P<repository>[^:@]+)")


@dataclass(frozen=True)
class EcrImage:
    """An image's registry (an account in a region), repository, and tag or digest."""

    uri: str
    account: str
    region: str
    repository: str
    id: Mapping[str, str]

    @classmethod
    def of(cls, uri: str) -> "EcrImage | None":
        """Read a URI; None if it is not one of ECR's."""
        parts = URI.match(uri)
        if not parts:
            return None
        _, by_digest, digest = uri.partition("@")
        tag = uri.removeprefix(parts[0]).removeprefix(":") or "latest"
        image_id = {"imageDigest": digest} if by_digest else {"imageTag": tag}
        return cls(uri, parts["account"], parts["region"], parts["repository"], image_id)

    def media_type(self, access: Access) -> str | None:
        """The manifest's media type; None if there is no such image. Raises ClientError."""
        client = access.client("ecr", self.region)
        try:
            answer: dict[str, Any] = client.batch_get_image(
                registryId=self.account,
                repositoryName=self.repository,
                imageIds=[self.id],
                acceptedMediaTypes=MEDIA_TYPES,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "RepositoryNotFoundException":
                return None
            raise
        return next((str(each["imageManifestMediaType"]) for each in answer["images"]), None)
