import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from local.runtime.invocations import AsyncInvoker, Delivery, Pending
from local.runtime.pool import Invocation, RuntimeClosed, UnknownFunction
from tests.support.processes.waiting import LONG, wait_until

DELAYS = (0.01, 0.02)


@dataclass
class Lambda:
    """Fails the first `failures` attempts of every event."""

    failures: int = 0
    raises: Exception | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    attempts: list[tuple[str, bytes, str]] = field(default_factory=list)
    refused: list[tuple[str, bytes, Invocation]] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)
    most_at_once: Counter[str] = field(default_factory=Counter)

    def __call__(self, name: str, payload: bytes, *, request_id: str | None = None) -> Invocation:
        assert request_id is not None
        self.entered.append(name)
        inside = self.entered.count(name) - sum(each[0] == name for each in self.attempts)
        self.most_at_once[name] = max(self.most_at_once[name], inside)
        assert self.gate.wait(LONG)
        self.attempts.append((name, payload, request_id))
        if self.raises:
            raise self.raises
        failed = sum(attempt[2] == request_id for attempt in self.attempts) <= self.failures
        return Invocation(b"{}", "Unhandled" if failed else None, request_id, b"")

    def on_failure(self, function: str, payload: bytes, invocation: Invocation) -> None:
        self.refused.append((function, payload, invocation))


@pytest.fixture
def function() -> Lambda:
    function = Lambda()
    function.gate.set()
    return function


@pytest.fixture
def invoker(function: Lambda) -> Iterator[AsyncInvoker]:
    invoker = AsyncInvoker(function, function.on_failure, delays=DELAYS)
    yield invoker
    function.gate.set()
    invoker.close()


def test_submits_and_returns_at_once(invoker: AsyncInvoker, function: Lambda) -> None:
    function.gate.clear()
    request_id = invoker.submit("onboard", b"1")
    assert not invoker.drain(0.05)

    function.gate.set()

    assert invoker.drain(LONG)
    assert function.attempts == [("onboard", b"1", request_id)]


@pytest.mark.parametrize("failures", [1, 2])
def test_retries_with_the_same_request_id(
    invoker: AsyncInvoker, function: Lambda, failures: int
) -> None:
    function.failures = failures
    request_id = invoker.submit("onboard", b"1")
    assert invoker.drain(LONG)
    assert function.attempts == [("onboard", b"1", request_id)] * (failures + 1)
    assert function.refused == []


def test_gives_up_after_the_last_retry(
    invoker: AsyncInvoker, function: Lambda, caplog: pytest.LogCaptureFixture
) -> None:
    function.failures = 3
    request_id = invoker.submit("onboard", b"1")
    assert invoker.drain(LONG)
    assert len(function.attempts) == 3
    assert function.refused == [
        ("onboard", b"1", Invocation(b"{}", "Unhandled", request_id, b"")),
    ]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        f"onboard {request_id}"
    ] * 3


def test_does_not_retry_an_event_that_no_attempt_can_deliver(
    invoker: AsyncInvoker, function: Lambda
) -> None:
    function.raises = UnknownFunction("onbaord", ["onboard"])
    invoker.submit("onbaord", b"1")
    assert invoker.drain(LONG)
    assert len(function.attempts) == 1
    ((name, payload, invocation),) = function.refused
    assert (name, payload) == ("onbaord", b"1")
    assert json.loads(invocation.payload)["errorType"] == "UnknownFunction"


def test_a_failed_event_does_not_delay_others(function: Lambda) -> None:
    function.failures = 1
    invoker = AsyncInvoker(function, function.on_failure, delays=(60.0,), workers=1)
    for n in range(5):
        invoker.submit("onboard", str(n).encode())
    wait_until(lambda: len(function.attempts) == 5)
    assert not invoker.drain(0)
    assert [payload for _, payload, _ in function.attempts] == [b"0", b"1", b"2", b"3", b"4"]
    waiting = invoker.close()
    assert [(event.payload, event.attempts) for event in waiting] == [
        (str(n).encode(), 1) for n in range(5)
    ]


def test_close_returns_running_events(invoker: AsyncInvoker, function: Lambda) -> None:
    function.gate.clear()
    ids = [invoker.submit("onboard", str(n).encode()) for n in range(6)]
    pending = invoker.close(timeout=0.05)
    assert sorted(pending, key=lambda event: event.payload) == [
        Pending("onboard", str(n).encode(), ids[n]) for n in range(6)
    ]
    with pytest.raises(RuntimeClosed):
        invoker.submit("onboard", b"6")


def test_keeps_events_when_the_runtime_has_closed(invoker: AsyncInvoker, function: Lambda) -> None:
    function.raises = RuntimeClosed()
    request_id = invoker.submit("onboard", b"1")
    assert not invoker.drain(5)
    assert invoker.close() == [Pending("onboard", b"1", request_id)]
    assert function.refused == []


def test_a_failing_destination_loses_no_event(
    function: Lambda, caplog: pytest.LogCaptureFixture
) -> None:
    def unreachable(_function: str, _payload: bytes, _invocation: Invocation) -> None:
        raise ConnectionError("no queue")

    function.failures = 1
    invoker = AsyncInvoker(function, unreachable, delays=(), workers=1)
    lost = invoker.submit("onboard", b"1")
    assert not invoker.drain(5)
    function.failures = 0
    invoker.submit("onboard", b"2")
    assert not invoker.drain(5)

    assert [payload for _, payload, _ in function.attempts] == [b"1", b"2"]
    assert invoker.close() == [Pending("onboard", b"1", lost)]
    assert "no queue" in caplog.text


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (2, 3)])
def test_a_function_has_its_own_number_of_retries(
    function: Lambda, retries: int, attempts: int
) -> None:
    function.failures = 9
    invoker = delivering(function, Delivery(retries=retries))
    invoker.submit("onboard", b"1")
    invoker.submit("other", b"2")
    assert invoker.drain(LONG)
    assert [name for name, *_ in function.attempts].count("onboard") == attempts
    assert [name for name, *_ in function.attempts].count("other") == 3
    assert len(function.refused) == 2
    invoker.close()


def test_gives_up_an_event_that_waits_too_long(function: Lambda) -> None:
    function.failures = 1
    deliveries = {"onboard": Delivery(age=LONG)}

    def attempt(name: str, payload: bytes, *, request_id: str | None = None) -> Invocation:
        deliveries[name] = Delivery(age=0.005)  # so that the first attempt is never too late
        return function(name, payload, request_id=request_id)

    invoker = AsyncInvoker(attempt, function.on_failure, delays=DELAYS, deliveries=deliveries)
    invoker.submit("onboard", b"1")
    assert invoker.drain(LONG)
    assert len(function.attempts) == 1
    ((*_, outcome),) = function.refused
    assert outcome.reason == (
        "EventTooOld: the event waited longer than 0.005 seconds; attempts made: 1"
    )
    invoker.close()


def test_events_over_the_concurrency_wait_without_delaying_other_functions(
    function: Lambda,
) -> None:
    invoker = delivering(function, Delivery(concurrency=1), workers=2)
    function.gate.clear()
    for number in range(3):
        invoker.submit("onboard", str(number).encode())
    invoker.submit("other", b"3")
    wait_until(lambda: len(function.entered) == 2)
    assert not invoker.drain(0.1)
    assert sorted(function.entered) == ["onboard", "other"]

    function.gate.set()

    assert invoker.drain(LONG)
    assert function.most_at_once["onboard"] == 1
    assert [payload for name, payload, _ in function.attempts if name == "onboard"] == [
        b"0",
        b"1",
        b"2",
    ]
    invoker.close()


def delivering(function: Lambda, delivery: Delivery, workers: int = 4) -> AsyncInvoker:
    """An invoker that gives the function `onboard` its events so."""
    return AsyncInvoker(
        function,
        function.on_failure,
        delays=DELAYS,
        deliveries={"onboard": delivery},
        workers=workers,
    )
