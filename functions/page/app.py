"""The page's handler: plain files from `static/`, and the page, told where the API lies."""

import base64
import hashlib
import html
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"
BASE = '<base href="/">'
"""What of the page is replaced by the path under which the API lies."""

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
PICTURES = (".jpg", ".png")

SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer: nothing inline, and nothing from anywhere else, runs in the page."""


def handler(event: dict[str, Any], _: "LambdaContext") -> dict[str, Any]:
    """Answers one API Gateway REST proxy event: `GET /` or `GET /page/{file}`."""
    name = (event["pathParameters"] or {}).get("file")
    if name is None:
        return _fresh(event, ".html", _page(_base(event["requestContext"]["path"])))
    if name not in files():
        return _no_such_file(name, event["requestContext"]["requestId"])
    path = STATIC / name
    return _fresh(event, path.suffix, path.read_bytes())


@cache
def files() -> frozenset[str]:
    """The names below /page/; anything else in the folder is not for browsers."""
    served = (path.name for path in STATIC.iterdir() if path.suffix in TYPES)
    return frozenset(served) - {PAGE}


def _base(path: str) -> str:
    """The path of the API's root, as asked for: with a stage or a domain's base path before it."""
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"


def _page(base: str) -> bytes:
    told = f'<base href="{html.escape(base)}">'
    return (STATIC / PAGE).read_text("utf-8").replace(BASE, told).encode()


def _fresh(event: dict[str, Any], suffix: str, content: bytes) -> dict[str, Any]:
    """The content, or 304 where the browser has it already."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {
        **SAFE,
        "Cache-Control": "max-age=86400" if suffix in PICTURES else "no-cache",
        "ETag": tag,
    }
    sent = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    if tag in sent.get("if-none-match", ""):
        return {"statusCode": 304, "headers": headers, "body": ""}
    headers["Content-Type"] = TYPES[suffix]
    if suffix in PICTURES:
        body = base64.b64encode(content).decode()
        return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}
    return {"statusCode": 200, "headers": headers, "body": content.decode()}


def _no_such_file(name: str, request_id: str) -> dict[str, Any]:
    problem = {
        "type": "urn:facet:problem:no-route",
        "title": "No such route",
        "status": 404,
        "detail": f"The page has no file '{name}'. Reload the page: it may be newer than this tab.",
        "request_id": request_id,
    }
    headers = {**SAFE, "Content-Type": "application/problem+json"}
    return {"statusCode": 404, "headers": headers, "body": json.dumps(problem)}
