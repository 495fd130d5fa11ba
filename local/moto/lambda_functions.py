"""Lambda: Invoke, by API or by an S3 notification, runs the function.

AWS runs a function's code. moto runs it in a Docker container or returns a fixed answer; here the
workers of local/runtime run it.

Contract: tests/integration/local/test_aws.py.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from moto.awslambda.models import LambdaFunction

from local.moto.s3.notifications import sending_notifications
from local.runtime.worker import Invocation

Submit = Callable[[str, bytes], object]
"""Takes a function's name and an event, and returns without waiting for the function."""

Call = Callable[[str, bytes], Invocation]
"""Takes a function's name and a payload; returns the outcome of the invocation."""


@contextmanager
def invoking_functions(call: Call, submit: Submit) -> Iterator[None]:
    """While entered, Invoke and S3's notifications reach functions through `call` and `submit`."""
    with (
        mock.patch.object(LambdaFunction, "invoke", _invoke_with(call, submit)),
        sending_notifications(lambda arn, event: submit(arn.rpartition(":")[2], event)),
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
