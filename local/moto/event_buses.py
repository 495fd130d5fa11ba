"""EventBridge: listeners for the event buses.

AWS delivers each accepted event to the targets of its rules. moto delivers to few kinds of target
and keeps no list of events; here a listener gets each event as a target would.

Contract: tests/integration/local/test_functions.py.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from moto.events.models import EventsBackend

from local.moto import ACCOUNT, REGION

Listener = Callable[[dict[str, Any]], object]
"""Takes an event as EventBridge delivers it."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While entered, `listener` gets every event that a bus accepts."""
    accept = EventsBackend.put_events

    def put(backend: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answers = accept(backend, events)
        for entry, answer in zip(events, answers, strict=True):
            if "EventId" in answer:
                listener(_delivered(entry, answer["EventId"]))
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
