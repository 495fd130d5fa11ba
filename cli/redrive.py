"""`facet redrive`: uploads whose onboarding was given up are tried again."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import ClientError

from cli.client.stack import find
from cli.terminal.options import THIS_HOME, AsJson, Home, StackName
from cli.terminal.output import Output
from cli.terminal.progress import bar

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

ACCEPTED = 202
"""What Lambda answers to an asynchronous invocation that it has taken."""

AT_ONCE = 10
"""Messages in one call; SQS gives no more."""

HIDDEN = 300
"""Seconds that a message stays away from others while it is worked on."""


@dataclass
class Counts:
    """What became of the messages: invoked again (or, in a dry run, would be), kept in the queue
    because Lambda did not take them, or left there because they are no S3 events.
    """

    redriven: int = 0
    kept: int = 0
    left: int = 0


@dataclass(frozen=True)
class Redrive:
    """Takes events from a queue back to a function."""

    sqs: "SQSClient"
    queue: str
    functions: "LambdaClient"
    function: str

    def waiting(self) -> int:
        """About how many messages the queue has."""
        answer = self.sqs.get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def run(self, limit: int, *, dry: bool, told: Callable[[str, bool], object]) -> Counts:
        """Up to `limit` messages, each once; `told` hears what each is, and whether it was (in a
        dry run: would be) invoked again.

        A message is deleted when Lambda has accepted its event, so that none is lost and one may
        be invoked twice. What stays in the queue is visible again at the end.
        """
        counts, stay = Counts(), list[str]()
        try:
            for messages in self._batches(limit):
                stay += [each["ReceiptHandle"] for each in messages]
                for message in messages:
                    if self._one(message, counts, dry=dry, told=told):
                        stay.remove(message["ReceiptHandle"])
        finally:
            for receipt in stay:
                self.sqs.change_message_visibility(
                    QueueUrl=self.queue, ReceiptHandle=receipt, VisibilityTimeout=0
                )
        return counts

    def _one(
        self,
        message: Mapping[str, Any],
        counts: Counts,
        *,
        dry: bool,
        told: Callable[[str, bool], object],
    ) -> bool:
        """Whether the message is gone from the queue."""
        keys = uploaded(message["Body"])
        if keys is None:
            counts.left += 1
            told("not an S3 event", False)
            return False
        again = dry or self._invoke(message["Body"])
        counts.redriven += again
        counts.kept += not again
        told(", ".join(keys), again)
        if dry or not again:
            return False
        self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return True

    def _batches(self, limit: int) -> Iterator[list[Mapping[str, Any]]]:
        seen = 0
        while seen < limit:
            answer = self.sqs.receive_message(
                QueueUrl=self.queue,
                MaxNumberOfMessages=min(AT_ONCE, limit - seen),
                VisibilityTimeout=HIDDEN,
                WaitTimeSeconds=1,  # asks all of SQS's servers, not a sample of them
            )
            messages: list[Mapping[str, Any]] = [*answer.get("Messages", [])]
            if not messages:
                return
            seen += len(messages)
            yield messages

    def _invoke(self, body: str) -> bool:
        try:
            answer = self.functions.invoke(
                FunctionName=self.function, InvocationType="Event", Payload=body.encode()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "TooManyRequestsException":
                return False
            raise
        return answer["StatusCode"] == ACCEPTED


def uploaded(body: str) -> list[str] | None:
    """The keys that an S3 event names; None for anything else."""
    try:
        return [each["s3"]["object"]["key"] for each in json.loads(body)["Records"]]
    except (ValueError, KeyError, TypeError):
        return None


def redrive(
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many; else all that wait now.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what waits.")] = False,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Onboard again what ended in the dead-letter queue, once its cause is mended."""
    here, output = find(stack, home), Output(as_json)
    work = Redrive(
        here.client("sqs"), here.dead_letter_queue_url, here.client("lambda"), here.onboard_function
    )
    there = work.waiting()
    waiting = min(there, limit or there)
    with bar(output) as shown:
        task = shown.add_task("uploads", total=waiting)

        def told(keys: str, again: bool) -> None:
            shown.advance(task)
            if not as_json:
                output.remark(f"{_outcome(again=again, dry=dry_run):12} {keys}")

        counts = work.run(waiting, dry=dry_run, told=told)
    output.result(
        {**asdict(counts), "dry_run": dry_run},
        [
            f"{counts.redriven:,} {'would be tried' if dry_run else 'are being tried'} again, "
            f"{counts.kept:,} not taken by Lambda, {counts.left:,} left as no uploads"
        ],
    )
    if counts.kept:
        raise typer.Exit(1)


def _outcome(*, again: bool, dry: bool) -> str:
    if not again:
        return "stays"
    return "waits" if dry else "tried again"
