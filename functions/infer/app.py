"""The handler of the function that runs LiteRT models.

    {"key": "lite/cats/0123456789ab.tflite", "sha256": "…", "request": {…}, "request_id": "…",
     "seconds": 25}

`request` is a body of TensorFlow Serving's REST API, as the container gets it; the caller waits so
many `seconds`. The answer has the container's statuses and texts:
`{"status": 200, "response": {"predictions": […]}}`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from infer.answers import failure, success
from infer.errors import InferError, ModelUnreadable
from infer.inference import Inference, create
from infer.invocation import parse
from infer.log import logger


class Context(Protocol):
    """What Lambda tells about the invocation."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the function."""


@cache
def inference() -> Inference:
    """The process's models, made at the first invocation."""
    return create()


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Run one model on one batch. Every failure that passes by itself, or is the model's, is an
    answer with a status over 399. Raises ModelUnreadable.
    """
    try:
        invocation = parse(event)
        result = inference().run(invocation, context.get_remaining_time_in_millis() / 1000)
    except ModelUnreadable:
        logger().exception("model may not be read")
        raise
    except InferError as error:
        answer = failure(error)
    else:
        answer = success(result)
    logger().info(
        "inference",
        extra={
            "key": event.get("key"),
            "request_id": event.get("request_id"),
            "status": answer["status"],
            "error": answer["response"].get("error"),
            "seconds": answer.get("seconds"),
        },
    )
    return answer
