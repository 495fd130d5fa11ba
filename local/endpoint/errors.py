"""The errors of SageMaker's InvokeEndpoint, as botocore's service model defines them."""

from typing import Any

ACCOUNT = "123456789012"  # moto's account


class PlatformError(Exception):
    """Base of the errors below. code, status: as in botocore's service model."""

    code = "InternalFailure"
    status = 500

    def content(self) -> dict[str, Any]:
        """The members of the error's shape."""
        return {"Message": str(self)}


class ValidationError(PlatformError):
    """The request is wrong, or names something that does not exist."""

    code, status = "ValidationError", 400


class AccessDenied(PlatformError):
    """A page in a browser sent the request, which this machine's endpoint is not for."""

    code, status = "AccessDeniedException", 403


class BodyTooLarge(PlatformError):
    """The body exceeds InvokeEndpoint's limit; botocore reports the status as the code."""

    code, status = "413", 413


class ModelNotReady(PlatformError):
    """The target model is being downloaded or loaded."""

    code, status = "ModelNotReadyException", 429


class ServiceUnavailable(PlatformError):
    """The endpoint cannot take requests now."""

    code, status = "ServiceUnavailable", 503


class ModelError(PlatformError):
    """The container answered with status 400 or more, or took too long (status 0)."""

    code, status = "ModelError", 424

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.original_status = status

    def described(self, endpoint: str, region: str) -> dict[str, Any]:
        """The members of the error's shape, with SageMaker's text around the message."""
        status = self.original_status
        side = "client" if 400 <= status < 500 else "server"
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        return {
            "Message": (
                f'Received {side} error ({status}) from primary with message "{self}". See '
                f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
                f"#logEventViewer:group={group} in account {ACCOUNT} for more information."
            ),
            "OriginalStatusCode": status,
            "OriginalMessage": str(self),
            "LogStreamArn": f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}",
        }
