"""Whose fault a failed attempt is: the platform's, which passes, or the artifact's, which does not.

Some errors name the artifact by themselves. All others are the platform's until an upload keeps
failing in the same way while the platform works for others; then it is rejected with that error.
"""

import errno
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from facet.errors import (
    EndpointThrottled,
    EndpointUnavailable,
    ModelLoading,
    RegistryConflict,
    Violation,
)
from facet.keys import ARTIFACT, MANIFEST
from facet.registry.attempts import Attempt
from onboard.bucket import UploadTooLarge

SAME_FAILURES = 3
"""Attempts that fail in the same way until an error of no service is the artifact's fault. Lambda
makes as many of one event."""

SAME_FAULTS = 6
"""The same for an error of the endpoint that answers others: two events, half an hour apart."""

FAULTS_LAST = timedelta(hours=1)
"""Until then such an error may be the endpoint's: it answers for loaded models while loads wait for
each other. AWS's image loads one model at a time."""

NO_RESULT = 3
"""Attempts that may end without recording an error: out of memory, or of the function's time."""

NO_RESULT_AFTER = timedelta(minutes=30)
"""Until then, attempts without a result may still run: the function has 15 minutes for one."""

AT_LAST = timedelta(days=1)
"""After so long an upload is rejected if nothing shows whether the platform works for others."""

UNREADABLE = "unreadable"
"""The failure of an upload whose object S3 does not let onboarding read."""

NOT_KEPT = {UNREADABLE, "upload-too-large"}
"""Violations of uploads that S3 cannot copy, so that only their reports are kept."""

PLATFORM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Errors of the function's disk and its descriptors."""


def of_artifact(error: Exception) -> Violation | None:
    """The violation that an error names by itself, at the first attempt."""
    if isinstance(error, UploadTooLarge):
        return error.violation
    if not isinstance(error, ClientError):
        return None
    response: Mapping[str, Any] = error.response
    code, text = response["Error"]["Code"], str(error)
    reasons = [each.get("Message") or "" for each in response.get("CancellationReasons", [])]
    if code == "InvalidObjectState":
        return _unreadable("its storage class is an archive (GLACIER), which cannot be read")
    if code == "InvalidRequest" and "Server Side Encryption" in text:
        return _unreadable("it is encrypted with a key that only its uploader has (SSE-C)")
    if code == "AccessDenied" and "kms:Decrypt" in text:
        return _unreadable("it is encrypted with a KMS key that onboarding may not use")
    if any("Item size" in each and "maximum allowed size" in each for each in (text, *reasons)):
        return Violation(
            "manifest-too-large",
            MANIFEST,
            "its record would exceed the 400 KB that the registry holds",
            "shorten labels, description, metrics or provenance",
        )
    return None


def kept_failing(
    attempt: Attempt,
    error: Exception,
    now: datetime,
    others_are_answered: Callable[[], bool | None],
) -> Violation | None:
    """The violation of an upload that has failed in the same way too often; None: try again.

    `others_are_answered` asks the endpoint for another model, and returns None if there is none to
    ask. It is called only if the answer decides.
    """
    if isinstance(error, EndpointThrottled | RegistryConflict):
        return None
    times = attempt.in_a_row(name(error))
    if not is_of_platform(error):
        return _kept(times, name(error)) if times >= SAME_FAILURES else None
    since = now - datetime.fromisoformat(attempt.first_at)
    if times < SAME_FAULTS or since < FAULTS_LAST:
        return None
    of_artifact = None
    if isinstance(error, EndpointUnavailable | ModelLoading):
        of_artifact = others_are_answered()
    if of_artifact is None:
        of_artifact = since >= AT_LAST
    return _kept(times, f"{name(error)}: {error}") if of_artifact else None


def without_result(attempt: Attempt, now: datetime) -> Violation | None:
    """The violation of an upload at which attempts were ended from outside; None: try again."""
    silent = attempt.begun - 1 - attempt.failed
    since = now - datetime.fromisoformat(attempt.first_at)
    if silent < NO_RESULT or since < NO_RESULT_AFTER:
        return None
    return _kept(silent, "the function ran out of memory or time")


def is_of_platform(error: Exception) -> bool:
    """Whether a service, the disk or the memory failed, and not the code on this artifact."""
    if isinstance(error, OSError):
        return error.errno in PLATFORM
    services = ClientError | BotoCoreError | EndpointUnavailable | ModelLoading
    return isinstance(error, services | MemoryError)


def name(error: Exception) -> str:
    """What makes two failures the same: the error's kind, not its text."""
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response['Error']['Code']}"
    return type(error).__name__


def _unreadable(problem: str) -> Violation:
    return Violation(
        UNREADABLE,
        ARTIFACT,
        f"{problem}; it was not kept",
        "upload it again with the storage class STANDARD and the bucket's own encryption",
    )


def _kept(times: int, reason: str) -> Violation:
    return Violation(
        "kept-failing",
        ARTIFACT,
        f"onboarding failed {times} times in the same way: {reason}",
        "pack the model again; if that fails too, the operator finds each attempt in the log of "
        "the onboard function",
    )
