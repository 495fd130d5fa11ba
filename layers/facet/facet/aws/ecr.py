"""The media types of container images in ECR, for a deploy and for `facet doctor`."""

ACCEPTED = "application/vnd.docker.distribution.manifest.v2+json"
"""The type of manifest that SageMaker accepts. Source:
https://github.com/aws/amazon-sagemaker-feedback/issues/180
"""

MEDIA_TYPES = [
    ACCEPTED,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]
"""Those that a build may push, so that ECR names the one that it has.

Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
"""
