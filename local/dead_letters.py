"""What Lambda does with an event after its last attempt."""

from typing import Any

from local.moto.aws import Aws
from local.runtime.pool import Invocation


def send_to_dlq(aws: Aws, config: Any, payload: bytes, outcome: Invocation) -> None:
    """Sends an event to the queue of a function's DeadLetterConfig, if it has one."""
    if config is None:
        return
    aws.client("sqs").send_message(
        QueueUrl=aws.queue_url(config["TargetArn"].rpartition(":")[2]),
        MessageBody=payload.decode(),
        MessageAttributes={
            "RequestID": {"DataType": "String", "StringValue": outcome.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": outcome.reason[:1024]},
        },
    )
