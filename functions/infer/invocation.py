"""The event of an invocation, parsed."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infer.errors import BadEvent

KEY = re.compile(r"lite/[a-z0-9][a-z0-9-]{0,62}/[0-9a-f]{12}\.tflite")
"""`facet.keys.lite_key`; this function does without that package."""

DIGEST = re.compile(r"[0-9a-f]{64}")
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{0,64}")


@dataclass(frozen=True)
class Invocation:
    """One model and one batch.

    sha256: of the model's file, in hex.  seconds: for which the caller waits, infinite if the event
    does not say.
    """

    key: str
    sha256: str
    request: Mapping[str, Any]
    request_id: str
    seconds: float = math.inf

    @property
    def model(self) -> str:
        """Model and version, as messages name them: `cats/0123456789ab`."""
        return self.key.removeprefix("lite/").removesuffix(".tflite")


def parse(event: Mapping[str, Any]) -> Invocation:
    """Raises BadEvent."""
    key, sha256 = _text(event, "key", KEY), _text(event, "sha256", DIGEST)
    request_id = _text({"request_id": "", **event}, "request_id", REQUEST_ID)
    request = event.get("request")
    if not isinstance(request, Mapping):
        raise BadEvent("the event's request must be a JSON object in TensorFlow Serving's format")
    return Invocation(key, sha256, request, request_id, _seconds(event))


def _seconds(event: Mapping[str, Any]) -> float:
    value = event.get("seconds", math.inf)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise BadEvent(f"the event's seconds must be a number over 0, it is {value!r:.100}")
    return float(value)


def _text(event: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadEvent(f"the event's {name} must match {pattern.pattern}, it is {value!r:.100}")
    return value
