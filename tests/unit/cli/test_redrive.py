"""A message leaves the queue after Lambda has accepted its event, and not before."""

import json
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from cli.redrive import Counts, Redrive, uploaded

KEYS = ("mme/a.tar.gz", "mme/b.tar.gz")


class Queue:
    """An SQS queue; `deleted` and `released` are receipts."""

    def __init__(self, *bodies: str) -> None:
        self._bodies = list(enumerate(bodies))
        self.deleted: list[int] = []
        self.released: list[int] = []

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        now = self._bodies[: asked["MaxNumberOfMessages"]]
        del self._bodies[: len(now)]
        return {"Messages": [{"Body": body, "ReceiptHandle": number} for number, body in now]}

    def delete_message(self, **asked: Any) -> None:
        self.deleted.append(asked["ReceiptHandle"])

    def change_message_visibility(self, **asked: Any) -> None:
        assert asked["VisibilityTimeout"] == 0
        self.released.append(asked["ReceiptHandle"])


class Functions:
    """Lambda: answers its invocations one after the other."""

    def __init__(self, *answers: int | str) -> None:
        self._answers = list(answers)
        self.invoked: list[bytes] = []

    def invoke(self, **asked: Any) -> dict[str, Any]:
        assert asked["InvocationType"] == "Event"
        answer = self._answers.pop(0)
        if isinstance(answer, str):
            raise ClientError({"Error": {"Code": answer}}, "Invoke")
        self.invoked.append(asked["Payload"])
        return {"StatusCode": answer}


def event(key: str) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": key}}}]})


def redrive(queue: Queue, functions: Functions) -> Redrive:
    return Redrive(cast(Any, queue), "url", cast(Any, functions), "onboard")


def test_accepted_events_leave_the_queue() -> None:
    queue, functions, told = Queue(*map(event, KEYS)), Functions(202, 202), []
    counts = redrive(queue, functions).run(9, dry=False, told=lambda *each: told.append(each))
    assert counts == Counts(redriven=2)
    assert functions.invoked == [event(key).encode() for key in KEYS]
    assert (queue.deleted, queue.released) == ([0, 1], [])
    assert told == [(KEYS[0], True), (KEYS[1], True)]


def test_throttled_events_stay_and_are_visible_again() -> None:
    queue, functions = Queue(*map(event, KEYS)), Functions("TooManyRequestsException", 202)
    counts = redrive(queue, functions).run(9, dry=False, told=lambda *_: None)
    assert counts == Counts(redriven=1, kept=1)
    assert (queue.deleted, queue.released) == ([1], [0])


def test_an_error_of_lambda_s_loses_nothing() -> None:
    queue, functions = Queue(*map(event, KEYS)), Functions(202, "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        redrive(queue, functions).run(9, dry=False, told=lambda *_: None)
    assert (queue.deleted, queue.released) == ([0], [1])


def test_no_more_than_the_limit_is_received() -> None:
    queue, functions = Queue(*[event(KEYS[0])] * 25), Functions(*[202] * 25)
    assert redrive(queue, functions).run(23, dry=False, told=lambda *_: None).redriven == 23
    assert len(queue.receive_message(MaxNumberOfMessages=10)["Messages"]) == 2


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"Records": [{}]}', '{"Records": 3}'])
def test_what_is_no_s3_event(body: str) -> None:
    assert uploaded(body) is None
