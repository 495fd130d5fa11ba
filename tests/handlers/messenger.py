"""A function that calls others of its account."""

import json
import os
from typing import Any

import boto3

Event = dict[str, Any]


def notify(event: Event, _context: Any) -> None:
    """Invokes another function asynchronously, then sends an event to the bus and a topic."""
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
