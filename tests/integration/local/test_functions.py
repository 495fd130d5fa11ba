"""A template's functions on the local account: how they call each other, and what is logged."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import template
from local.moto import REGION
from local.moto.aws import EVENTS_PATH, Aws
from local.resources import Resources
from local.runtime.invocations import AsyncInvoker, Delivery, send_to_dlq
from local.runtime.pool import Invocation, Runtime
from local.schedule import Schedule, schedules
from local.storage.state import State
from local.supported import UnsupportedTemplate
from tests.support.aws.moto_account import forget
from tests.support.processes.waiting import LONG

TEMPLATE = Path(__file__).parents[2] / "handlers/account.yaml"
DELAYS = (0.05, 0.1)


class Account:
    """An account with the template's stack, whose functions run."""

    def __init__(self, home: Path, opened: ExitStack, **parameters: str) -> None:
        opened.callback(forget, "cloudformation", "iam", "lambda", "sns", "sqs")
        state = State(home / "state")
        opened.callback(state.close)
        self.aws = Aws(state)
        self.aws.start()
        opened.callback(self.aws.close)
        read = template.load(TEMPLATE)
        self.made = Resources(read, self.aws.create_stack("test", read.for_moto(), parameters))
        self.runtime = Runtime(
            self.made.functions(),
            environment=self.aws.environment(),
            log_dir=home / "logs",
            scratch_dir=home / "tmp",
        )
        opened.callback(self.runtime.close)
        self.attempts: list[tuple[str, bytes]] = []
        self.invoker = AsyncInvoker(
            self._attempt, self._give_up, delays=DELAYS, deliveries=self.made.deliveries()
        )
        opened.callback(self.invoker.close)
        opened.enter_context(
            self.aws.invoking_functions(
                lambda *_: Invocation(b"", None, "", b""), self.invoker.submit
            )
        )

    def _attempt(self, name: str, payload: bytes, *, request_id: str | None = None) -> Invocation:
        self.attempts.append((name, payload))
        return self.runtime.invoke(name, payload, request_id=request_id)

    def _give_up(self, function: str, payload: bytes, outcome: Invocation) -> None:
        if config := self.made.property(function, "DeadLetterConfig"):
            send_to_dlq(self.aws.client("sqs"), config["TargetArn"], payload, outcome)

    def dead_letters(self) -> list[dict[str, Any]]:
        """The messages of the dead-letter queue."""
        received = self.aws.client("sqs").receive_message(
            QueueUrl=self.aws.queue_url(self.made.output("Undelivered").rpartition("/")[2]),
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
        )
        messages: list[dict[str, Any]] = received.get("Messages", [])
        return messages


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_a_failed_event_is_retried_then_goes_to_the_dead_letter_queue(
    tmp_path: Path, opened: ExitStack
) -> None:
    account = Account(tmp_path, opened)
    heard: list[dict[str, Any]] = []
    opened.enter_context(account.aws.listening_to_buses(heard.append))

    account.invoker.submit("Caller", b'{"name": "cats"}')

    assert account.invoker.drain(30)
    called = ("Callee", b'{"from": "cats"}')
    assert account.attempts == [("Caller", b'{"name": "cats"}'), called, called]
    (message,) = account.dead_letters()
    assert json.loads(message["Body"]) == {"from": "cats"}
    reason = message["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert reason == "ValueError: no such image"
    assert [(each["detail-type"], each["detail"]) for each in heard] == [
        ("Called", {"status": 202})
    ]


def test_lists_events_on_the_bus(tmp_path: Path, opened: ExitStack) -> None:
    account = Account(tmp_path, opened)
    opened.enter_context(account.aws.listening_to_buses(lambda _: None))
    good = {"Source": "facet", "DetailType": "ModelReady", "Detail": '{"model": "cats"}'}
    answer = account.aws.client("events").put_events(Entries=[good, good | {"Detail": "no JSON"}])

    (event,) = httpx.get(account.aws.url + EVENTS_PATH, timeout=LONG).json()["events"]

    assert answer["FailedEntryCount"] == 1
    assert event.pop("id") == answer["Entries"][0]["EventId"]
    assert event.pop("time").endswith("Z")
    assert event == {
        "version": "0",
        "detail-type": "ModelReady",
        "source": "facet",
        "account": "123456789012",
        "region": REGION,
        "resources": [],
        "detail": {"model": "cats"},
    }


def test_reserved_concurrency_limits_running_events(tmp_path: Path, opened: ExitStack) -> None:
    account = Account(tmp_path, opened, Reserved="1")
    for number in range(3):
        account.aws.client("lambda").invoke(
            FunctionName="Callee", InvocationType="Event", Payload=str(number)
        )
    assert account.invoker.drain(30)
    assert len(account.attempts) == 6
    workers_started = (tmp_path / "logs/Callee.log").read_text().count("Init Duration")
    assert workers_started == 1
    assert len(account.dead_letters()) == 3


def test_applies_retries_age_and_concurrency_of_the_template(
    tmp_path: Path, opened: ExitStack
) -> None:
    made = Account(tmp_path, opened).made
    assert made.deliveries() == {
        "Caller": Delivery(),
        "Callee": Delivery(retries=1, age=3600, concurrency=2),
    }
    caller = made.functions()[0].environment
    assert (caller["CALLEE"], caller["LIMIT"], caller["LOUD"]) == ("Callee", "2", "false")
    assert {each.name: each.concurrency for each in made.functions()} == {
        "Caller": None,
        "Callee": 2,
    }
    assert sorted(schedules(made, "facet"), key=lambda each: each.every) == [
        Schedule("facet-CallerOften", "Caller", 900.0),
        Schedule("nightly", "Caller", 86400.0, '{"do": "sweep"}'),
    ]


def test_does_not_make_a_resource_with_a_false_condition(tmp_path: Path, opened: ExitStack) -> None:
    quiet = Account(tmp_path, opened)
    assert quiet.made.of_type("AWS::SNS::Topic") == ["Topic"]
    assert len(quiet.aws.client("sns").list_topics()["Topics"]) == 1


def test_makes_a_resource_with_a_true_condition(tmp_path: Path, opened: ExitStack) -> None:
    loud = Account(tmp_path, opened, Loud="yes")
    assert loud.made.of_type("AWS::SNS::Topic") == ["Topic", "SecondTopic"]
    assert len(loud.aws.client("sns").list_topics()["Topics"]) == 2


def test_a_function_without_reserved_concurrency_has_no_limit(
    tmp_path: Path, opened: ExitStack
) -> None:
    made = Account(tmp_path, opened, Reserved="0").made
    assert made.deliveries()["Callee"].concurrency is None


def test_rejects_reserved_concurrency_0(tmp_path: Path, opened: ExitStack) -> None:
    with pytest.raises(UnsupportedTemplate, match=r"Stopped.*reserve at least 1"):
        Account(tmp_path, opened, Stop="yes")


def test_keeps_all_events_put_at_once(tmp_path: Path, opened: ExitStack) -> None:
    account = Account(tmp_path, opened)
    opened.enter_context(account.aws.listening_to_buses(lambda _: None))
    events = account.aws.client("events")

    def put(number: int) -> None:
        detail = json.dumps({"number": number})
        events.put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": detail}])

    threads = [threading.Thread(target=put, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = httpx.get(account.aws.url + EVENTS_PATH, timeout=LONG).json()["events"]
    assert sorted(each["detail"]["number"] for each in seen) == list(range(20))
