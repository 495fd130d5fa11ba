"""The error responses that API Gateway gives itself, without asking a function."""

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

    def response(self, origin: str = "") -> Response:
        """The response; pages of `origin`, if any, may read it."""
        status, kind, body = self.value
        headers = {"x-amzn-ErrorType": kind}
        if origin:
            headers["Access-Control-Allow-Origin"] = origin
        return Response(body, status, headers, content_type="application/json")


class Refused(Exception):
    """API Gateway answers the request itself."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal
