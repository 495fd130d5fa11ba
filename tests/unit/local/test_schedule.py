"""local/schedule.py: rates as EventBridge reads them, and functions that are invoked at them."""

import json
import queue
import time
from datetime import UTC, datetime

import pytest

from local.schedule import Schedule, Scheduler, event, seconds
from local.supported import UnsupportedTemplate
from tests.support.processes.waiting import LONG

Sent = queue.SimpleQueue[tuple[str, bytes]]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(1 minute)", 60),
        ("rate(15 minutes)", 900),
        ("rate(1 hour)", 3600),
        ("rate(36 hours)", 129_600),
        ("rate(1 day)", 86_400),
        ("rate(10 days)", 864_000),
    ],
)
def test_reads_a_rate_in_seconds(expression: str, expected: int) -> None:
    assert seconds(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 12 * * ? *)",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(01 minutes)",
        "rate(2 minute)",
        "rate(15 seconds)",
        "rate(-5 minutes)",
        "rate(5 minutes) ",
        "at(2026-01-01T00:00:00)",
        "",
    ],
)
def test_rejects_an_unsupported_schedule_with_an_example(expression: str) -> None:
    with pytest.raises(UnsupportedTemplate, match=r"such as rate\(1 minute\)"):
        seconds(expression)


def test_the_event_has_eventbridges_format() -> None:
    sent = json.loads(event("sweep", datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)))
    assert len(sent.pop("id")) == 36
    assert sent == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-03-04T05:06:07Z",
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/sweep"],
        "detail": {},
    }


def test_invokes_functions_at_their_rates_until_close() -> None:
    sent: Sent = queue.SimpleQueue()
    begun = time.monotonic()
    scheduler = Scheduler(
        [Schedule("a", "Sweep", 0.05), Schedule("b", "Rare", 3600.0)],
        lambda name, payload: sent.put((name, payload)),
    )
    names = {sent.get(timeout=LONG)[0] for _ in range(3)}
    scheduler.close()
    assert names == {"Sweep"}
    assert time.monotonic() - begun >= 0.15
    while not sent.empty():
        sent.get()
    time.sleep(0.15)
    assert sent.empty()


def test_sends_a_constant_input_instead_of_the_event() -> None:
    sent: Sent = queue.SimpleQueue()
    schedule = Schedule("a", "Sweep", 0.01, '{"do": "sweep"}')
    scheduler = Scheduler([schedule], lambda name, payload: sent.put((name, payload)))
    assert sent.get(timeout=LONG) == ("Sweep", b'{"do": "sweep"}')
    scheduler.close()


def test_a_failed_invocation_does_not_end_the_schedule(caplog: pytest.LogCaptureFixture) -> None:
    sent: Sent = queue.SimpleQueue()

    def submit(name: str, payload: bytes) -> None:
        sent.put((name, payload))
        raise ConnectionError("disk full")

    scheduler = Scheduler([Schedule("a", "Sweep", 0.01)], submit)
    for _ in range(2):
        sent.get(timeout=LONG)
    scheduler.close()
    assert "a: the function Sweep was not invoked" in caplog.text


def test_starts_and_closes_without_schedules() -> None:
    Scheduler([], lambda *_: None).close()
