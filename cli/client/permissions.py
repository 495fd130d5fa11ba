"""Tell a missing permission from other errors of AWS."""

from botocore.exceptions import ClientError

FORBIDDEN = {
    "403",  # S3's answer to a HEAD request, which has no body
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",  # SNS
    "AuthorizationErrorException",
    "UnauthorizedOperation",
}
"""Codes by which AWS says that the person who asks lacks a permission."""


def forbidden(error: ClientError) -> bool:
    """Whether AWS refused for lack of permissions."""
    return error.response["Error"]["Code"] in FORBIDDEN
