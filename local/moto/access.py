"""Who may call the account: programs that have the stack's credentials.

moto authorises nothing, and lets every web page in: a page of any site that is open in a browser
could upload a model, or start a training job that runs code. Requests need the access key, which is
random for each stack and stands in `.facet/stack.json`, for its owner only. Requests of pages of
other origins are refused, except forms that were presigned with that key. So are other host names,
which a page's site could let point here.
"""

import json
import secrets
from collections.abc import Container, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from local.moto import signatures
from local.moto.s3 import post_policy
from local.moto.s3.post_policy import PolicyError

HOSTS = ("127.0.0.1", "localhost", "host.docker.internal")
"""Names of this machine, the last one in containers (`sam local`)."""


class Credentials(NamedTuple):
    """An access key."""

    access_key_id: str
    secret_access_key: str

    @classmethod
    def random(cls) -> "Credentials":
        """A new key."""
        return cls(f"FACET{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))


def refusal(
    environ: Mapping[str, Any],
    body: bytes,
    credentials: Credentials,
    *,
    allowed_origin: str = "",
    public: Container[str] = (),
) -> Response | None:
    """The response to a request that is not allowed, or None.

    `allowed_origin` is the template's AllowOrigin: pages of it may send presigned requests.
    Pages of every origin may send presigned forms, as the bucket's CORS rule says. Paths in
    `public` need no key.
    """
    origin = environ.get("HTTP_ORIGIN")
    content_type = environ.get("CONTENT_TYPE", "")
    is_form = environ["REQUEST_METHOD"] == "POST" and content_type.startswith("multipart/form-data")
    if origin is not None and not is_form and allowed_origin not in ("*", origin):
        return _denied(environ, f"Pages of {origin[:200]} may not call the local stack.")
    if signatures.is_signed(environ, body, *credentials):
        return None
    if not known_host(environ.get("HTTP_HOST", "")):
        return _denied(environ, "The host name of the request is not one of this machine's.")
    if environ["REQUEST_METHOD"] == "OPTIONS" or environ["PATH_INFO"] in public:
        return None
    if is_form:
        return _form_refusal(environ, body, credentials)
    return _denied(
        environ,
        "The request is not signed (Signature Version 4) with the access key of the running stack. "
        "`facet env` prints the key; it changes when the stack starts.",
        code="InvalidAccessKeyId",
    )


def _form_refusal(
    environ: Mapping[str, Any], body: bytes, credentials: Credentials
) -> Response | None:
    try:
        post_policy.check(environ, body, *credentials)
    except PolicyError as error:
        return _error(environ, error.status, error.code, str(error))
    return None


def known_host(host: str) -> bool:
    """Whether a Host header names this machine; S3's clients put a bucket before localhost."""
    name = urlsplit(f"//{host}").hostname or ""
    return name in HOSTS or name.endswith(".localhost")


def _denied(environ: Mapping[str, Any], message: str, code: str = "AccessDenied") -> Response:
    return _error(environ, 403, code, message)


def _error(environ: Mapping[str, Any], status: int, code: str, message: str) -> Response:
    """An error as S3, or as the services with a JSON protocol, describe theirs."""
    if "HTTP_X_AMZ_TARGET" in environ:
        document = json.dumps({"__type": code, "message": message})
        return Response(document, status, mimetype="application/x-amz-json-1.0")
    document = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Response(document, status, mimetype="application/xml")
