"""Functions that speak to others of their account."""

import json
import os
from typing import Any

import boto3

Event = dict[str, Any]


def tell(event: Event, _context: Any) -> None:
    """Calls another function without waiting for it, and says so on the event bus and a topic."""
    called = boto3.client("lambda").invoke(
        FunctionName=os.environ["CALLEE"],
        InvocationType="Event",
        Payload=json.dumps({"from": event["name"]}),
    )
    detail = json.dumps({"status": called["StatusCode"]})
    boto3.client("events").put_events(
        Entries=[{"Source": "test", "DetailType": "Called", "Detail": detail}]
    )
    boto3.client("sns").publish(TopicArn=os.environ["TOPIC"], Message=detail)
