"""moto's private parts of Lambda: its Invoke API reaches real functions.

tests/integration/local/test_aws.py says what broke when moto's pin moves.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from moto.awslambda.models import LambdaFunction

from local.moto.s3_notifications import notifications_handed_to
from local.runtime.worker import Invocation

Submit = Callable[[str, bytes], object]
"""Takes a function's name and an event, and returns at once."""

Call = Callable[[str, bytes], Invocation]
"""Function name and payload → what the invocation came to."""


@contextmanager
def functions_handed_to(call: Call, submit: Submit) -> Iterator[None]:
    """While it lasts, moto's Lambda and S3's notifications to it invoke real functions."""
    with (
        mock.patch.object(LambdaFunction, "invoke", _invoke_with(call, submit)),
        notifications_handed_to(lambda arn, event: submit(arn.rpartition(":")[2], event)),
    ):
        yield


def _invoke_with(call: Call, submit: Submit) -> Callable[..., bytes]:
    def invoke(
        function: LambdaFunction, body: Any, request_headers: Any, response_headers: Any
    ) -> bytes:
        payload = body.encode() if isinstance(body, str) else bytes(body or b"{}")
        match request_headers.get("x-amz-invocation-type"):
            case "DryRun":
                return b""
            case "Event":
                submit(function.function_name, payload)
                return b""
        outcome = call(function.function_name, payload)
        if outcome.error:
            response_headers["x-amz-function-error"] = outcome.error
        response_headers["x-amz-log-result"] = base64.b64encode(outcome.log_tail).decode()
        return outcome.payload

    return invoke
