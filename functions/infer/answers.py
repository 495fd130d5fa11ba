"""The function's answers: results and errors as JSON, with the container's statuses."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from infer import errors

STATUS: dict[type[errors.InferError], HTTPStatus] = {
    errors.BadEvent: HTTPStatus.BAD_REQUEST,
    errors.ModelMissing: HTTPStatus.NOT_FOUND,
    errors.ModelTooLarge: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DiskFull: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotStarted: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ModelStopped: HTTPStatus.INTERNAL_SERVER_ERROR,
}

CODES = {HTTPStatus.NOT_FOUND: "lite-missing", HTTPStatus.INSUFFICIENT_STORAGE: "too-large"}
"""What callers decide by; the texts are for people."""


@dataclass(frozen=True)
class Result:
    """What a model's process answered.

    body: JSON, with NaN as TensorFlow Serving writes it.  seconds: what took how long, by `read`
    (from the bucket or the disk), `load` and `compute`.
    """

    status: int
    body: bytes
    seconds: dict[str, float]


def success(result: Result) -> dict[str, Any]:
    """The answer of a model's process, which may be the model's failure."""
    response = json.loads(result.body)
    return {
        "status": result.status,
        "response": _coded(result.status, response),
        "seconds": result.seconds,
    }


def failure(error: errors.InferError) -> dict[str, Any]:
    """The answer for an invocation that no model's process has answered."""
    status = STATUS[type(error)]
    return {"status": int(status), "response": _coded(status, {"error": str(error)})}


def _coded(status: int, response: dict[str, Any]) -> dict[str, Any]:
    code = CODES.get(HTTPStatus(status))
    return {**response, "code": code} if code else response
