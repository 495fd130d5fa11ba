"""Responses for what can go wrong on this machine alone: a full disk, and damaged objects."""

import errno
import json
import sqlite3
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from local.storage.objects import Damaged

FULL = 507
"""Insufficient Storage, which botocore does not retry."""


def response(error: OSError | sqlite3.OperationalError | Damaged, *, as_json: bool) -> Response:
    """An error as S3 or, with `as_json`, as DynamoDB and SQS describe theirs."""
    if _disk_is_full(error):
        status, code = FULL, "InsufficientStorage"
        message = "The disk is full, nothing was written. Free some space, then send this again."
    elif isinstance(error, Damaged):
        status, code, message = 500, "InternalError", f"The object is damaged: {error}."
    else:
        status, code, message = 500, "InternalError", f"The local stack failed: {error}."
    if as_json:
        document = json.dumps({"__type": code, "message": message})
        return Response(document, status, mimetype="application/x-amz-json-1.0")
    document = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Response(document, status, mimetype="application/xml")


def unforeseen(error: Exception) -> bool:
    """Whether the log needs a traceback."""
    return not (isinstance(error, Damaged) or _disk_is_full(error))


def _disk_is_full(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
