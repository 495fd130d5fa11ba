"""The handler that serves the web page and the API reference as static files, without a key."""

import base64
import hashlib
import html
import json
import os
from typing import TYPE_CHECKING, Any

from facet.http import problems
from page import files
from page.files import File

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

BASE = b'<base href="/">'
"""The element of an HTML file that is replaced, so that URLs are relative to the API's path."""

PAGES = {"/": "index.html", "/docs": "docs.html"}
CONTENT_SECURITY_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""Allows only files of this API; inline scripts and styles and other hosts are blocked.

The page itself may also send images to the stack's bucket, to teach a model with them.
"""

DOCS_POLICY = CONTENT_SECURITY_POLICY | {"img-src": "'self' data:"}
"""Also allows the icons in Swagger UI's style sheet, which are data URLs."""


def handler(event: dict[str, Any], _: "LambdaContext") -> dict[str, Any]:
    """Answers one API Gateway REST proxy event: a page, `/openapi.json` or `/page/{file+}`."""
    resource = event["resource"]
    if resource in PAGES:
        return _respond(event, _page(resource, event["requestContext"]["path"]))
    if resource == "/openapi.json":
        return _respond(event, files.read("openapi.json"))
    name = event["pathParameters"]["file"]
    if name not in files.names():
        return _not_found(name, event["requestContext"]["requestId"])
    return _respond(event, files.read(name), files.compressed(name))


def _page(resource: str, path: str) -> File:
    """Returns a page whose base is the requested path, with the stage or base path in front."""
    file = files.read(PAGES[resource])
    trimmed = path.strip("/")
    base = f"/{trimmed}/" if trimmed and resource == "/" else f"/{trimmed}"
    element = f'<base href="{html.escape(base)}">'.encode()
    return File(file.content.replace(BASE, element), file.media_type)


def _respond(event: dict[str, Any], file: File, gzipped: bytes | None = None) -> dict[str, Any]:
    """Returns the file, `gzipped` if the client accepts that, or 304 if it has the file already."""
    request_headers = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    compressed = gzipped if "gzip" in request_headers.get("accept-encoding", "") else None
    etag = f'"{hashlib.sha256(compressed or file.content).hexdigest()[:16]}"'
    headers = _security_headers(event["resource"]) | {
        "Cache-Control": "max-age=86400" if file.cacheable else "no-cache",
        "ETag": etag,
    }
    if gzipped:
        headers["Vary"] = "Accept-Encoding"
    if etag in request_headers.get("if-none-match", ""):
        return {"statusCode": 304, "headers": headers, "body": ""}
    headers["Content-Type"] = file.media_type
    if compressed:
        return _binary(headers | {"Content-Encoding": "gzip"}, compressed)
    if not file.is_text:
        return _binary(headers, file.content)
    return {"statusCode": 200, "headers": headers, "body": file.content.decode()}


def _binary(headers: dict[str, str], content: bytes) -> dict[str, Any]:
    body = base64.b64encode(content).decode()
    return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}


def _security_headers(resource: str) -> dict[str, str]:
    policy = {
        "/": CONTENT_SECURITY_POLICY | {"connect-src": f"'self' {_bucket_origin()}".strip()},
        "/docs": DOCS_POLICY,
    }.get(resource, CONTENT_SECURITY_POLICY)
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _bucket_origin() -> str:
    """Returns where presigned forms send images to teach with, or "" outside a stack.

    botocore makes the same address for them; it is not imported here, because it is slow.
    """
    own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    bucket, region = (os.environ.get(name) for name in ("FACET_BUCKET", "AWS_REGION"))
    if own or not (bucket and region):
        return own or ""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{bucket}.s3.{region}.{suffix}"


def _not_found(name: str, request_id: str) -> dict[str, Any]:
    detail = f"There is no file '{name}'. Reload the page: it may have changed meanwhile."
    problem = problems.document(problems.NO_ROUTE, detail, request_id)
    headers = _security_headers("/page/{file+}") | {"Content-Type": problems.PROBLEM_TYPE}
    return {"statusCode": 404, "headers": headers, "body": json.dumps(problem)}
