"""AWS's Signature Version 4: whether a request was signed with the account's key.

The id of the key alone proves nothing: forms from `POST /uploads` contain it. botocore's own
signers compute what the signature should be.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Key

HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]+)"
)
TIME = "%Y%m%dT%H%M%SZ"


def is_signed(environ: Mapping[str, Any], body: bytes, key_id: str, secret: str) -> bool:
    """Whether the Authorization header, or a presigned URL's query, has the right signature."""
    if match := HEADER.fullmatch(environ.get("HTTP_AUTHORIZATION", "")):
        return _header_is_right(environ, body, Key(key_id, secret), *match.groups())
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    return "X-Amz-Signature" in query and _query_is_right(environ, Key(key_id, secret), query)


def _header_is_right(
    environ: Mapping[str, Any], body: bytes, key: Key, credential: str, names: str, signature: str
) -> bool:
    key_id, scope = _scope(credential)
    if key_id != key.access_key or scope is None:
        return False
    region, service = scope
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(key, service, region)
    request = _request(environ, names.split(";"), body)
    request.context["timestamp"] = environ.get("HTTP_X_AMZ_DATE", "")
    return _matches(signer, request, signature)


def _query_is_right(environ: Mapping[str, Any], key: Key, query: Mapping[str, str]) -> bool:
    key_id, scope = _scope(query.get("X-Amz-Credential", ""))
    if key_id != key.access_key or scope is None or _expired(query):
        return False
    region, _ = scope
    request = _request(environ, query.get("X-Amz-SignedHeaders", "").split(";"), b"")
    address = urlsplit(str(request.url))
    unsigned = [
        pair
        for pair in parse_qsl(address.query, keep_blank_values=True)
        if pair[0] != "X-Amz-Signature"
    ]
    request.url = address._replace(query=urlencode(unsigned)).geturl()
    request.context["timestamp"] = query["X-Amz-Date"]
    signer = S3SigV4QueryAuth(key, "s3", region, expires=int(query["X-Amz-Expires"]))
    return _matches(signer, request, query["X-Amz-Signature"])


def _matches(signer: SigV4Auth, request: AWSRequest, signature: str) -> bool:
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return hmac.compare_digest(signer.signature(text, request), signature)


def _request(environ: Mapping[str, Any], names: list[str], body: bytes) -> AWSRequest:
    """The request with the signed headers only."""
    headers = {name: _header(environ, name) for name in names if name}
    url = f"http://{environ.get('HTTP_HOST', '')}{environ['RAW_URI']}"
    return AWSRequest(environ["REQUEST_METHOD"], url, headers, body)


def _header(environ: Mapping[str, Any], name: str) -> str:
    variable = name.upper().replace("-", "_")
    plain = variable in ("CONTENT_TYPE", "CONTENT_LENGTH")
    return str(environ.get(variable if plain else f"HTTP_{variable}", ""))


def _scope(credential: str) -> tuple[str, tuple[str, str] | None]:
    """The key's id, and the region and service, of `id/date/region/service/aws4_request`."""
    key_id, *scope = credential.split("/")
    return key_id, (scope[1], scope[2]) if len(scope) == 4 else None


def _expired(query: Mapping[str, str]) -> bool:
    try:
        signed = datetime.strptime(query["X-Amz-Date"], TIME).replace(tzinfo=UTC)
        return signed + timedelta(seconds=int(query["X-Amz-Expires"])) < datetime.now(UTC)
    except (KeyError, ValueError):
        return True
