"""Dead-letter queues: where Lambda sends an event after its last attempt.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from typing import Any

from local.runtime.worker import Invocation

REASON_LIMIT = 1024
"""Characters of the error's message that are sent along."""


def send_to_dlq(sqs: Any, arn: str, payload: bytes, outcome: Invocation) -> None:
    """Sends an event to the queue with that ARN, with the error of its last attempt."""
    name = arn.rpartition(":")[2]
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"],
        MessageBody=payload.decode(),
        MessageAttributes={
            "RequestID": {"DataType": "String", "StringValue": outcome.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": outcome.reason[:REASON_LIMIT]},
        },
    )
