"""Functions that run at a rate, as EventBridge's scheduled rules run them.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

import heapq
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from local.moto import ACCOUNT, REGION
from local.resources import Resources
from local.supported import UnsupportedTemplate

LOG = logging.getLogger(__name__)

RULE = "AWS::Events::Rule"

_RATE = re.compile(r"rate\((?:(1) (minute|hour|day)|([2-9]|[1-9]\d+) (minute|hour|day)s)\)")
_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True)
class Schedule:
    """Invokes `function` (a logical id) each `every` seconds with `payload`, if any."""

    rule: str
    function: str
    every: float
    payload: str | None = None


def schedules(made: Resources, name: str) -> list[Schedule]:
    """The enabled schedules of the template; `name` is the stack's. Raises UnsupportedTemplate."""
    return [
        Schedule(
            rule=made.property(rule, "Name") or f"{name}-{rule}",
            function=made.logical(target["Arn"].rpartition(":")[2]),
            every=seconds(made.property(rule, "ScheduleExpression")),
            payload=target.get("Input"),
        )
        for rule in made.of_type(RULE)
        if made.property(rule, "ScheduleExpression")
        if made.property(rule, "State") != "DISABLED"
        for target in made.property(rule, "Targets")
    ]


def seconds(expression: str) -> float:
    """900 for `rate(15 minutes)`. Raises UnsupportedTemplate for `cron(…)` and what AWS rejects."""
    match = _RATE.fullmatch(expression)
    if match is None:
        raise UnsupportedTemplate(
            f"the local stack does not support the schedule '{expression}': "
            "write a rate such as rate(1 minute), rate(15 minutes), rate(2 hours) or rate(1 day)"
        )
    return int(match[1] or match[3]) * _SECONDS[match[2] or match[4]]


def event(rule: str, moment: datetime) -> bytes:
    """The event that EventBridge sends to a rule's function at a moment."""
    return json.dumps(
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}"],
            "detail": {},
        }
    ).encode()


class Scheduler:
    """Submits events until `close`; the first of each schedule comes after its first interval.

    Events that a busy machine misses are left out.
    """

    def __init__(
        self, schedules: Iterable[Schedule], submit: Callable[[str, bytes], object]
    ) -> None:
        now = time.monotonic()
        self._due = [(now + each.every, at, each) for at, each in enumerate(schedules)]
        heapq.heapify(self._due)
        self._submit = submit
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops submitting events."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while self._due and not self._closed.wait(max(0.0, self._due[0][0] - time.monotonic())):
            due, at, schedule = self._due[0]
            missed = due + schedule.every < time.monotonic()
            following = (time.monotonic() if missed else due) + schedule.every
            heapq.heapreplace(self._due, (following, at, schedule))
            payload = schedule.payload
            content = (
                event(schedule.rule, datetime.now(UTC)) if payload is None else payload.encode()
            )
            try:
                self._submit(schedule.function, content)
            except Exception:
                # A thread's outermost frame: one failure may not end every schedule.
                LOG.exception(
                    "%s: the function %s was not invoked", schedule.rule, schedule.function
                )
