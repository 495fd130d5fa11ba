"""A message is deleted only after Lambda has accepted its event."""

import json
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from cli.redrive import Counts, Redrive, uploaded_keys

KEYS = ("mme/a.tar.gz", "mme/b.tar.gz")


class Queue:
    """An SQS queue; `deleted` and `released` are receipts."""

    def __init__(self, *bodies: str) -> None:
        self._bodies = list(enumerate(bodies))
        self.deleted: list[int] = []
        self.released: list[int] = []

    def receive_message(self, **arguments: Any) -> dict[str, Any]:
        now = self._bodies[: arguments["MaxNumberOfMessages"]]
        del self._bodies[: len(now)]
        return {"Messages": [{"Body": body, "ReceiptHandle": number} for number, body in now]}

    def delete_message(self, **arguments: Any) -> None:
        self.deleted.append(arguments["ReceiptHandle"])

    def change_message_visibility(self, **arguments: Any) -> None:
        assert arguments["VisibilityTimeout"] == 0
        self.released.append(arguments["ReceiptHandle"])


class Functions:
    """Lambda: answers its invocations one after the other."""

    def __init__(self, *answers: int | str) -> None:
        self._answers = list(answers)
        self.invoked: list[bytes] = []

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        assert arguments["InvocationType"] == "Event"
        answer = self._answers.pop(0)
        if isinstance(answer, str):
            raise ClientError({"Error": {"Code": answer}}, "Invoke")
        self.invoked.append(arguments["Payload"])
        return {"StatusCode": answer}


def event(key: str) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": key}}}]})


def redrive(queue: Queue, functions: Functions) -> Redrive:
    return Redrive(cast(Any, queue), "url", cast(Any, functions), "onboard")


def test_accepted_events_leave_the_queue() -> None:
    queue, functions, seen = Queue(*map(event, KEYS)), Functions(202, 202), []
    counts = redrive(queue, functions).run(
        9, dry_run=False, on_message=lambda *message: seen.append(message)
    )
    assert counts == Counts(redriven=2)
    assert functions.invoked == [event(key).encode() for key in KEYS]
    assert (queue.deleted, queue.released) == ([0, 1], [])
    assert seen == [(KEYS[0], True), (KEYS[1], True)]


def test_throttled_events_stay_and_are_visible_again() -> None:
    queue, functions = Queue(*map(event, KEYS)), Functions("TooManyRequestsException", 202)
    counts = redrive(queue, functions).run(9, dry_run=False, on_message=lambda *_: None)
    assert counts == Counts(redriven=1, kept=1)
    assert (queue.deleted, queue.released) == ([1], [0])


def test_an_error_of_lambda_loses_no_message() -> None:
    queue, functions = Queue(*map(event, KEYS)), Functions(202, "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        redrive(queue, functions).run(9, dry_run=False, on_message=lambda *_: None)
    assert (queue.deleted, queue.released) == ([0], [1])


def test_no_more_than_the_limit_is_received() -> None:
    queue, functions = Queue(*[event(KEYS[0])] * 25), Functions(*[202] * 25)
    assert (
        redrive(queue, functions).run(23, dry_run=False, on_message=lambda *_: None).redriven == 23
    )
    assert len(queue.receive_message(MaxNumberOfMessages=10)["Messages"]) == 2


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"Records": [{}]}', '{"Records": 3}'])
def test_recognises_bodies_that_are_not_s3_events(body: str) -> None:
    assert uploaded_keys(body) is None
