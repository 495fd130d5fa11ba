"""The errors of SageMaker's InvokeEndpoint, as botocore's service model defines them."""

from typing import Any

ACCOUNT = "123456789012"  # moto's account


class PlatformError(Exception):
    """Root of the errors below. code and status: as botocore knows them."""

    code = "InternalFailure"
    status = 500

    def content(self) -> dict[str, Any]:
        """The members of the error's shape."""
        return {"Message": str(self)}


class ValidationError(PlatformError):
    """The request, or what it names, is wrong."""

    code, status = "ValidationError", 400


class BodyTooLarge(PlatformError):
    """More than InvokeEndpoint takes; botocore shows the bare status as its code."""

    code, status = "413", 413


class ModelNotReady(PlatformError):
    """The target model is being downloaded or loaded."""

    code, status = "ModelNotReadyException", 429


class ServiceUnavailable(PlatformError):
    """The endpoint cannot take requests now."""

    code, status = "ServiceUnavailable", 503


class ModelError(PlatformError):
    """The container answered 400 or more, or ended, or took too long (status 0)."""

    code, status = "ModelError", 424

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.original_status = status

    def described(self, endpoint: str, region: str) -> dict[str, Any]:
        """The members of the error's shape, with the text that SageMaker puts around it."""
        status = self.original_status
        whose = "client" if 400 <= status < 500 else "server"
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        return {
            "Message": (
                f'Received {whose} error ({status}) from primary with message "{self}". See '
                f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
                f"#logEventViewer:group={group} in account {ACCOUNT} for more information."
            ),
            "OriginalStatusCode": status,
            "OriginalMessage": str(self),
            "LogStreamArn": f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}",
        }
