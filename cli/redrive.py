"""`facet redrive`: retry uploads from the dead-letter queue.

Lambda puts an upload's event there after its last attempt. Each event is handed to the onboard
function again; the message is deleted only after Lambda has accepted the event. An interruption
can repeat an event, which is harmless, but never loses one.
"""

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
"""Lambda's status code for an accepted asynchronous invocation."""

BATCH_SIZE = 10
"""Messages in one call, SQS's maximum."""

VISIBILITY_TIMEOUT = 300
"""Seconds for which a received message is hidden from other readers."""


@dataclass
class Counts:
    """Numbers of messages: `redriven` were invoked (in a dry run: would be), `kept` were throttled
    by Lambda and `left` are not S3 events; both remain in the queue.
    """

    redriven: int = 0
    kept: int = 0
    left: int = 0


@dataclass(frozen=True)
class Redrive:
    """Hands events from a queue to a function."""

    sqs: "SQSClient"
    queue: str
    functions: "LambdaClient"
    function: str

    def waiting(self) -> int:
        """Return the approximate number of messages in the queue."""
        answer = self.sqs.get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def run(
        self, limit: int, *, dry_run: bool, on_message: Callable[[str, bool], object]
    ) -> Counts:
        """Process up to `limit` messages, each once.

        `on_message` gets each message's keys, and whether it was (in a dry run: would be) invoked.
        Messages that remain in the queue are made visible again at the end.
        """
        counts, remaining = Counts(), list[str]()
        try:
            for messages in self._batches(limit):
                remaining += [each["ReceiptHandle"] for each in messages]
                for message in messages:
                    if self._redrive(message, counts, dry_run=dry_run, on_message=on_message):
                        remaining.remove(message["ReceiptHandle"])
        finally:
            for receipt in remaining:
                self.sqs.change_message_visibility(
                    QueueUrl=self.queue, ReceiptHandle=receipt, VisibilityTimeout=0
                )
        return counts

    def _redrive(
        self,
        message: Mapping[str, Any],
        counts: Counts,
        *,
        dry_run: bool,
        on_message: Callable[[str, bool], object],
    ) -> bool:
        """Process one message; return whether it was deleted."""
        keys = uploaded_keys(message["Body"])
        if keys is None:
            counts.left += 1
            on_message("not an S3 event", False)
            return False
        again = dry_run or self._invoke(message["Body"])
        counts.redriven += again
        counts.kept += not again
        on_message(", ".join(keys), again)
        if dry_run or not again:
            return False
        self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return True

    def _batches(self, limit: int) -> Iterator[list[Mapping[str, Any]]]:
        seen = 0
        while seen < limit:
            answer = self.sqs.receive_message(
                QueueUrl=self.queue,
                MaxNumberOfMessages=min(BATCH_SIZE, limit - seen),
                VisibilityTimeout=VISIBILITY_TIMEOUT,
                WaitTimeSeconds=1,  # long polling asks all of SQS's servers, not a sample
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


def uploaded_keys(body: str) -> list[str] | None:
    """Return the keys in an S3 event, None for anything else."""
    try:
        return [each["s3"]["object"]["key"] for each in json.loads(body)["Records"]]
    except (ValueError, KeyError, TypeError):
        return None


def redrive(
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Retry at most this many. Default: all."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the uploads.")] = False,
    stack: StackName = None,
    home: Home = THIS_HOME,
    as_json: AsJson = False,
) -> None:
    """Retry the uploads in the dead-letter queue, once the cause is fixed."""
    here, output = find(stack, home), Output(as_json)
    work = Redrive(
        here.client("sqs"), here.dead_letter_queue_url, here.client("lambda"), here.onboard_function
    )
    queued = work.waiting()
    waiting = min(queued, limit or queued)
    with bar(output) as progress:
        task = progress.add_task("uploads", total=waiting)

        def on_message(keys: str, again: bool) -> None:
            progress.advance(task)
            if not as_json:
                output.remark(f"{_outcome(again=again, dry_run=dry_run):8} {keys}")

        counts = work.run(waiting, dry_run=dry_run, on_message=on_message)
    output.result(
        {**asdict(counts), "dry_run": dry_run},
        [_summary(counts, dry_run=dry_run)],
    )
    if counts.kept:
        raise typer.Exit(1)


def _summary(counts: Counts, *, dry_run: bool) -> str:
    if counts == Counts():
        return "Nothing is waiting in the dead-letter queue."
    parts = [f"{counts.redriven:,} {'would be retried' if dry_run else 'are being retried'}"]
    if counts.kept:
        parts.append(f"{counts.kept:,} throttled by Lambda, try again later")
    if counts.left:
        parts.append(f"{counts.left:,} left in the queue, not S3 events")
    return "; ".join(parts)


def _outcome(*, again: bool, dry_run: bool) -> str:
    if not again:
        return "stays"
    return "waits" if dry_run else "retried"
