"""The page's handler: plain files, the page and the API's documentation, without an API key."""

import base64
import hashlib
import html
import json
from typing import TYPE_CHECKING, Any

from page import files
from page.files import File

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

BASE = b'<base href="/">'
"""What of a page is replaced by the path under which it lies."""

PAGES = {"/": "index.html", "/docs": "docs.html"}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""Nothing inline, and nothing from anywhere else, runs in the page."""

DRAWN_IN_CSS = {"img-src": "'self' data:"}
"""What the documentation needs beside: the icons in Swagger UI's style sheet."""


def handler(event: dict[str, Any], _: "LambdaContext") -> dict[str, Any]:
    """Answers one API Gateway REST proxy event: a page, `/openapi.json` or `/page/{file}`."""
    resource = event["resource"]
    if resource in PAGES:
        return _fresh(event, _page(resource, event["requestContext"]["path"]))
    if resource == "/openapi.json":
        return _fresh(event, files.read("openapi.json"))
    name = event["pathParameters"]["file"]
    if name not in files.names():
        return _no_such_file(name, event["requestContext"]["requestId"])
    return _fresh(event, files.read(name), files.compressed(name))


def _page(resource: str, path: str) -> File:
    """A page, told its path as asked for: with a stage or a domain's base path before it."""
    file = files.read(PAGES[resource])
    inner = path.strip("/")
    base = f"/{inner}/" if inner and resource == "/" else f"/{inner}"
    told = f'<base href="{html.escape(base)}">'.encode()
    return File(file.content.replace(BASE, told), file.media_type)


def _fresh(event: dict[str, Any], file: File, smaller: bytes | None = None) -> dict[str, Any]:
    """The file, in gzip where that is `smaller` and taken; 304 where the browser has it already."""
    sent = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    zipped = smaller if "gzip" in sent.get("accept-encoding", "") else None
    tag = f'"{hashlib.sha256(zipped or file.content).hexdigest()[:16]}"'
    headers = _safe(event["resource"]) | {
        "Cache-Control": "max-age=86400" if file.lasting else "no-cache",
        "ETag": tag,
    }
    if smaller:
        headers["Vary"] = "Accept-Encoding"
    if tag in sent.get("if-none-match", ""):
        return {"statusCode": 304, "headers": headers, "body": ""}
    headers["Content-Type"] = file.media_type
    if zipped:
        return _binary(headers | {"Content-Encoding": "gzip"}, zipped)
    if not file.is_text:
        return _binary(headers, file.content)
    return {"statusCode": 200, "headers": headers, "body": file.content.decode()}


def _binary(headers: dict[str, str], content: bytes) -> dict[str, Any]:
    body = base64.b64encode(content).decode()
    return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}


def _safe(resource: str) -> dict[str, str]:
    """The headers of every answer."""
    policy = POLICY | DRAWN_IN_CSS if resource == "/docs" else POLICY
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _no_such_file(name: str, request_id: str) -> dict[str, Any]:
    problem = {
        "type": "urn:facet:problem:no-route",
        "title": "Route not found",
        "status": 404,
        "detail": f"The page has no file '{name}'. Reload the page: it may be newer than this tab.",
        "request_id": request_id,
    }
    headers = _safe("/page/{file}") | {"Content-Type": "application/problem+json"}
    return {"statusCode": 404, "headers": headers, "body": json.dumps(problem)}
