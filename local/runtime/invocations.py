"""Asynchronous invocations, retried as Lambda does, and the dead-letter queue after the last one.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html and
invocation-async-retain-records.html
"""

import heapq
import itertools
import json
import logging
import math
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Protocol

from local.runtime.pool import (
    Invocation,
    InvokeError,
    RequestTooLarge,
    RuntimeClosed,
    UnknownFunction,
)

LOG = logging.getLogger(__name__)

_NEVER = math.inf

_REASON_LIMIT = 1024
"""Characters of the error's message in a dead letter."""


class Invoke(Protocol):
    """How functions are invoked; `Runtime.invoke` is one, with its exceptions."""

    def __call__(
        self, name: str, payload: bytes, *, request_id: str | None = None
    ) -> Invocation: ...


@dataclass(frozen=True)
class Delivery:
    """How a function gets its events; the defaults are Lambda's.

    `retries` is the number of attempts after the first, `age` the seconds after which a waiting
    event is given up, `concurrency` the number of events at a time.
    """

    retries: int = 2
    age: float = 21_600.0
    concurrency: int | None = None


DEFAULT = Delivery()


@dataclass(frozen=True)
class Pending:
    """An event that is to be delivered, after `attempts` attempts.

    `since` is when this process got it (`time.monotonic`).
    """

    function: str
    payload: bytes
    request_id: str
    attempts: int = 0
    since: float = field(default_factory=time.monotonic, compare=False)


class EventTooOld(InvokeError):
    """The event waited longer than MaximumEventAgeInSeconds."""

    def __init__(self, event: Pending, age: float) -> None:
        super().__init__(
            f"the event waited longer than {age:g} seconds; attempts made: {event.attempts}"
        )


class AsyncInvoker:
    """Invokes in its own threads, and retries a failed event after each of `delays` (seconds).

    AWS waits one minute, then two, and keeps the request id. When the last attempt has failed, or
    the event is too old, `on_failure(function, payload, invocation)` gets it. Where AWS would
    throttle a function and retry later, its events wait here until one may run.

    `keep` is called before the first attempt at an event, `forget` when it has succeeded or was
    given up; the next process can `resubmit` those that were kept and not forgotten.
    """

    def __init__(
        self,
        invoke: Invoke,
        on_failure: Callable[[str, bytes, Invocation], None],
        *,
        deliveries: Mapping[str, Delivery] = MappingProxyType({}),
        delays: tuple[float, ...] = (1.0, 2.0),
        workers: int = 4,
        keep: Callable[[Pending], None] = lambda _: None,
        forget: Callable[[Pending], None] = lambda _: None,
    ) -> None:
        self._invoke = invoke
        self._on_failure = on_failure
        self._deliveries = deliveries
        self._delays = delays
        self._keep = keep
        self._forget = forget
        self._order = itertools.count()
        self._waiting: defaultdict[str, list[tuple[float, int, Pending]]] = defaultdict(list)
        self._running: set[Pending] = set()
        self._kept: list[Pending] = []
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"async-invoker-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: str, payload: bytes) -> str:
        """Queues an event and returns its request id. Raises RuntimeClosed after `close`."""
        event = Pending(function, payload, str(uuid.uuid4()))
        self._keep(event)
        self.resubmit(event)
        return event.request_id

    def resubmit(self, event: Pending) -> None:
        """Queues an event that is kept already, with the attempts made so far."""
        with self._changed:
            if self._closed:
                raise RuntimeClosed
            self._schedule(event, delay=0)

    def drain(self, timeout: float) -> bool:
        """Waits until no event is left.

        False if that takes over `timeout` seconds, or if an event could not be delivered at all.
        """
        with self._changed:
            settled = self._changed.wait_for(
                lambda: not any(self._waiting.values()) and not self._running, timeout=timeout
            )
            return settled and not self._kept

    def close(self, timeout: float = 5.0) -> list[Pending]:
        """Starts no more attempts, waits for running ones, and returns the undelivered events.

        Events that still run after `timeout` seconds are among them and may be invoked again:
        delivery is at least once, as on AWS.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running, timeout=timeout)
            waiting = sorted(itertools.chain.from_iterable(self._waiting.values()))
            return [event for *_, event in waiting] + self._kept + list(self._running)

    def _schedule(self, event: Pending, delay: float) -> None:
        queue = self._waiting[event.function]
        heapq.heappush(queue, (time.monotonic() + delay, next(self._order), event))
        self._changed.notify_all()

    def _work(self) -> None:
        while (event := self._next()) is not None:
            try:
                delay = self._attempt(event)
            except RuntimeClosed:
                delay = _NEVER
            except Exception:
                # A thread's outermost frame: a failing callback must lose neither thread nor event.
                LOG.exception("%s %s: not delivered", event.function, event.request_id)
                delay = _NEVER
            self._settle(event, delay)

    def _next(self) -> Pending | None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                first = min(self._free(), key=itemgetter(0), default=None)
                if first and first[0][0] <= now:
                    event = heapq.heappop(first)[-1]
                    self._running.add(event)
                    return event
                self._changed.wait(first[0][0] - now if first else None)
            return None

    def _free(self) -> Iterator[list[tuple[float, int, Pending]]]:
        """The queues of the functions that may run once more."""
        for function, queue in self._waiting.items():
            limit = self._delivery(function).concurrency
            running = sum(event.function == function for event in self._running)
            if queue and (limit is None or running < limit):
                yield queue

    def _delivery(self, function: str) -> Delivery:
        return self._deliveries.get(function, DEFAULT)

    def _attempt(self, event: Pending) -> float | None:
        """Makes an attempt; returns the seconds until the next one, None if there is none."""
        delivery = self._delivery(event.function)
        attempts_left = min(delivery.retries, len(self._delays)) - event.attempts
        try:
            if time.monotonic() - event.since > delivery.age:
                raise EventTooOld(event, delivery.age)
            outcome = self._invoke(event.function, event.payload, request_id=event.request_id)
        except (UnknownFunction, RequestTooLarge, EventTooOld) as error:
            outcome = _undeliverable(event, error)
            attempts_left = 0
        if outcome.error is None:
            return None
        LOG.error(
            "%s %s: %s (attempts left: %d)",
            event.function,
            event.request_id,
            outcome.reason,
            attempts_left,
        )
        if attempts_left > 0:
            return self._delays[event.attempts]
        self._on_failure(event.function, event.payload, outcome)
        return None

    def _settle(self, event: Pending, delay: float | None) -> None:
        if delay is None:
            self._forget(event)
        with self._changed:
            self._running.remove(event)
            if delay == _NEVER:
                self._kept.append(event)
            elif delay is not None:
                self._schedule(replace(event, attempts=event.attempts + 1), delay)
            self._changed.notify_all()


def send_to_dlq(sqs: Any, arn: str, payload: bytes, outcome: Invocation) -> None:
    """Sends an event to the queue with that ARN, with the error of its last attempt."""
    name = arn.rpartition(":")[2]
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"],
        MessageBody=payload.decode(),
        MessageAttributes={
            "RequestID": {"DataType": "String", "StringValue": outcome.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": outcome.reason[:_REASON_LIMIT]},
        },
    )


def _undeliverable(event: Pending, error: InvokeError) -> Invocation:
    """The outcome of an event that no attempt can deliver, for its failure destination."""
    document = {"errorType": type(error).__name__, "errorMessage": str(error)}
    return Invocation(json.dumps(document).encode(), "Unhandled", event.request_id, b"")
