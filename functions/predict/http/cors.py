"""Cross-origin resource sharing: which answers pages from elsewhere may read."""

from typing import Any

EXPOSED = "ETag, Inference-Header-Content-Length, Retry-After, Server-Timing, X-Model-Version"
TAKEN = "Content-Type, If-None-Match, Inference-Header-Content-Length, X-Api-Key"
METHODS = "GET, POST, OPTIONS"
REMEMBERED = 3600
"""Seconds that a browser may go by one preflight; more than two hours no browser does."""


def preflight(origin: str) -> dict[str, Any]:
    """The answer to OPTIONS. Without an `origin` it allows nothing."""
    allowed = {
        "Access-Control-Allow-Headers": TAKEN,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Max-Age": str(REMEMBERED),
    }
    headers = {name: [value] for name, value in allowed.items()} if origin else {}
    answer = {"statusCode": 204, "multiValueHeaders": headers, "body": "", "isBase64Encoded": False}
    return with_cors(answer, origin)


def with_cors(answer: dict[str, Any], origin: str) -> dict[str, Any]:
    """The answer, for the pages of that origin to read."""
    if not origin:
        return answer
    headers = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}
    if origin != "*":
        headers["Vary"] = "Origin"
    more = {name: [value] for name, value in headers.items()}
    return answer | {"multiValueHeaders": answer["multiValueHeaders"] | more}
