"""moto's private parts of EventBridge: what is put on the event buses, as a target would get it.

tests/integration/local/test_functions.py says what broke when moto's pin moves.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from moto.events.models import EventsBackend

from local.moto.hooks import ACCOUNT, REGION

Hear = Callable[[dict[str, Any]], object]
"""Takes an event in the form in which EventBridge delivers it."""


@contextmanager
def buses_heard_by(hear: Hear) -> Iterator[None]:
    """While it lasts, every event that is accepted is heard."""
    accept = EventsBackend.put_events

    def put(backend: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answers = accept(backend, events)
        for entry, answer in zip(events, answers, strict=True):
            if "EventId" in answer:
                hear(_delivered(entry, answer["EventId"]))
        return answers

    with mock.patch.object(EventsBackend, "put_events", put):
        yield


def _delivered(entry: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Source: https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html"""
    moment = datetime.fromtimestamp(float(entry["Time"]), UTC) if "Time" in entry else None
    return {
        "version": "0",
        "id": event_id,
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": ACCOUNT,
        "time": (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": entry.get("Resources", []),
        "detail": json.loads(entry["Detail"]),
    }
