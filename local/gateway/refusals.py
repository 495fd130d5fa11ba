"""The error responses that API Gateway gives itself, without asking a function."""

from collections.abc import Mapping
from enum import Enum

from werkzeug.wrappers import Response


class Refusal(Enum):
    """Status, `x-amzn-ErrorType` and body, with the spaces that API Gateway puts into some."""

    FORBIDDEN = (403, "ForbiddenException", '{"message":"Forbidden"}')
    NO_ROUTE = (
        403,
        "MissingAuthenticationTokenException",
        '{"message":"Missing Authentication Token"}',
    )
    TOO_LONG = (413, "BadRequestException", '{"message": "Request Too Long"}')
    THROTTLED = (429, "TooManyRequestsException", '{"message":"Too Many Requests"}')
    QUOTA = (429, "LimitExceededException", '{"message":"Limit Exceeded"}')
    FAULT = (500, "InternalServerErrorException", '{"message": "Internal server error"}')
    BAD_GATEWAY = (502, "InternalServerErrorException", '{"message": "Internal server error"}')
    TIMEOUT = (504, "InternalServerErrorException", '{"message": "Endpoint request timed out"}')

    def response(self, error_headers: Mapping[str, Mapping[str, str]] = {}) -> Response:
        """The response, with the headers that the API's gateway responses add."""
        status, kind, body = self.value
        added = error_headers.get(f"DEFAULT_{status // 100}XX", {})
        headers = {"x-amzn-ErrorType": kind, **added}
        return Response(body, status, headers, content_type="application/json")


class Refused(Exception):
    """API Gateway answers the request itself."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal
