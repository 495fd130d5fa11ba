"""The answers that API Gateway gives by itself, as it words them."""

from enum import Enum
from typing import NoReturn

from flask import Response, abort


class Refusal(Enum):
    """Status, x-amzn-ErrorType and body (with the blanks that API Gateway puts in some)."""

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

    def answer(self) -> Response:
        status, kind, body = self.value
        headers = {"x-amzn-ErrorType": kind}
        return Response(body, status, headers, content_type="application/json")

    def abort(self) -> NoReturn:
        """Ends the request that is being handled."""
        abort(self.answer())
