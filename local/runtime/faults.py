"""Lambda's own error documents, with its messages."""

import json
import signal

from local.runtime.api import RESPONSE_LIMIT, Answered


def fault(kind: str, message: str) -> Answered:
    """An error document of that errorType."""
    document = {"errorType": kind, "errorMessage": message}
    return Answered(json.dumps(document).encode(), failed=True)


def exited(request_id: str, code: int) -> str:
    """The message for a process that ended; `code` is negative for a signal."""
    if code == 0:
        reason = "without providing a reason"
    elif code > 0:
        reason = f"with error: exit status {code}"
    else:
        reason = f"with error: signal: {(signal.strsignal(-code) or str(-code)).lower()}"
    return f"RequestId: {request_id} Error: Runtime exited {reason}"


def oversized(size: int) -> Answered:
    """The error for a response over the limit; `size` is in bytes."""
    return fault(
        "Function.ResponseSizeTooLarge",
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size"
        f" ({RESPONSE_LIMIT} bytes).",
    )
