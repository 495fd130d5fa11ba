"""Cross-origin resource sharing (CORS): the headers that let pages of another origin call the API.

Powertools' CORSConfig was tried for this (3.x, resolver with `cors=CORSConfig(origin,
allow_headers=…, expose_headers=…, max_age=3600)`, and with `cors=None` when no origin is set).
It makes problem documents readable and answers preflights, but it cannot do the whole job:

- It adds headers only if the request's Origin matches, yet never sends `Vary: Origin`. A cache may
  then give one origin's answer to another.
- With `cors=None` a preflight becomes 404 instead of 204 without headers.
- It is fixed when the resolver is constructed, on import, before the settings are read.
- It always allows the headers Authorization, X-Amz-Date and X-Amz-Security-Token, which this API
  does not use.

Working around these takes more code than this module.
"""

from typing import Any

EXPOSED_HEADERS = (
    "ETag, Inference-Header-Content-Length, Retry-After, Server-Timing, X-Facet-Ran-In, "
    "X-Model-Version"
)
ALLOWED_HEADERS = "Content-Type, If-None-Match, Inference-Header-Content-Length, X-Api-Key"
ALLOWED_METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
MAX_AGE = 3600
"""Seconds that a browser may reuse a preflight; browsers cap this at one or two hours."""


def preflight(origin: str) -> dict[str, Any]:
    """Returns the answer to OPTIONS; with an empty `origin` it allows nothing."""
    allowed = {
        "Access-Control-Allow-Headers": ALLOWED_HEADERS,
        "Access-Control-Allow-Methods": ALLOWED_METHODS,
        "Access-Control-Max-Age": str(MAX_AGE),
    }
    headers = {name: [value] for name, value in allowed.items()} if origin else {}
    answer = {"statusCode": 204, "multiValueHeaders": headers, "body": "", "isBase64Encoded": False}
    return with_cors(answer, origin)


def with_cors(answer: dict[str, Any], origin: str) -> dict[str, Any]:
    """Returns the answer with the headers that let pages of `origin` read it; empty: unchanged."""
    if not origin:
        return answer
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    }
    if origin != "*":
        headers["Vary"] = "Origin"
    cors_headers = {name: [value] for name, value in headers.items()}
    return answer | {"multiValueHeaders": answer["multiValueHeaders"] | cors_headers}
