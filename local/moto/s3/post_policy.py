"""Presigned forms: S3's check of a POST's fields and file against the policy that was signed.

moto stores whatever a form sends. Source: Amazon S3's API reference, "POST policy" and
"Authenticating requests: browser-based uploads using POST (AWS Signature Version 4)".
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from werkzeug.wrappers import Request

UNCHECKED = ("x-amz-signature", "file", "policy")
"""Fields that need no condition; so do those that begin with `x-ignore-`."""


class PolicyError(Exception):
    """S3 refuses the form; the text says why."""

    def __init__(self, message: str, code: str = "AccessDenied", status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def check(environ: Mapping[str, Any], body: bytes, key_id: str, secret: str) -> None:
    """Raises PolicyError if the form's signature or one of the policy's conditions fails."""
    with Request({**environ, "wsgi.input": BytesIO(body)}) as request:
        fields = {name.lower(): value for name, value in request.form.items()}
        file = request.files.get("file")
        size = len(file.read()) if file else len(fields.get("file", "").encode())
        fields["bucket"] = request.path.strip("/").partition("/")[0]
    _check_signature(fields, key_id, secret)
    policy = json.loads(base64.b64decode(fields["policy"]))
    if datetime.fromisoformat(policy["expiration"]) < datetime.now(UTC):
        raise PolicyError("Invalid according to Policy: Policy expired.")
    named = set(UNCHECKED)
    for condition in policy["conditions"]:
        if isinstance(condition, dict):
            ((name, value),) = condition.items()
            condition = ["eq", f"${name}", value]
        named.add(str(condition[1]).removeprefix("$").lower())
        _check_condition(condition, fields, size)
    extra = [name for name in fields if name not in named and not name.startswith("x-ignore-")]
    if extra and extra != ["bucket"]:
        raise PolicyError(
            f"Invalid according to Policy: Extra input fields: {', '.join(sorted(extra))}"
        )


def _check_signature(fields: Mapping[str, str], key_id: str, secret: str) -> None:
    given, *scope = fields.get("x-amz-credential", "").split("/")
    if given != key_id or len(scope) != 4:
        raise PolicyError("The form was not presigned by this stack.", "InvalidAccessKeyId")
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    expected = hmac.digest(key, fields.get("policy", "").encode(), hashlib.sha256).hex()
    if not hmac.compare_digest(expected, fields.get("x-amz-signature", "")):
        raise PolicyError(
            "The request signature we calculated does not match the signature you provided.",
            "SignatureDoesNotMatch",
        )


def _check_condition(condition: list[Any], fields: Mapping[str, str], size: int) -> None:
    kind, name, value = condition
    if kind == "content-length-range":
        if size < name:
            raise PolicyError(
                "Your proposed upload is smaller than the minimum allowed size",
                "EntityTooSmall",
                400,
            )
        if size > value:
            raise PolicyError(
                "Your proposed upload exceeds the maximum allowed size", "EntityTooLarge", 400
            )
        return
    given = fields.get(name.removeprefix("$").lower(), "")
    if not (given == value if kind == "eq" else given.startswith(value)):
        raise PolicyError(
            f"Invalid according to Policy: Policy Condition failed: {json.dumps(condition)}"
        )
