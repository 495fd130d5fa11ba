"""The images in the account's ECR repository."""

from typing import Any

from deployment.progress import ImageError
from facet.aws.ecr import ACCEPTED, MEDIA_TYPES


def digest_of(tag: str, repository: str, ecr: Any) -> str | None:
    """Looks an image up. None if there is none with this tag.

    Raises ImageError if SageMaker would refuse it: its tag cannot be overwritten.
    """
    answer = ecr.batch_get_image(
        repositoryName=repository, imageIds=[{"imageTag": tag}], acceptedMediaTypes=MEDIA_TYPES
    )
    for failure in answer["failures"]:
        if failure["failureCode"] != "ImageNotFound":
            raise ImageError(
                f"The image {repository}:{tag} cannot be read: "
                f"{failure['failureCode']}, {failure.get('failureReason', '')}."
            )
    if not answer["images"]:
        return None
    (image, *_) = answer["images"]
    kind = image.get("imageManifestMediaType")
    if kind != ACCEPTED:
        raise ImageError(
            f"The manifest of the image {repository}:{tag} is {kind}, which SageMaker refuses; it "
            f"accepts {ACCEPTED}. Delete the image, then build it again without DOCKER=1:\n"
            f"aws ecr batch-delete-image --repository-name {repository} --image-ids imageTag={tag}"
        )
    digest: str = image["imageId"]["imageDigest"]
    return digest
