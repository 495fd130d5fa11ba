"""Functions behind the tests' API."""

import base64
import json
import time
from typing import Any

Event = dict[str, Any]


def handler(event: Event, context: Any) -> Event:
    """Answers with what it was asked, or as the query parameter `do` says."""
    match (event["queryStringParameters"] or {}).get("do"):
        case "fail":
            raise ValueError("no such image")
        case "malformed":
            return {"status": "fine"}
        case "sleep":
            time.sleep(2)
        case "image":
            return {
                "statusCode": 200,
                "headers": {"Content-Type": "image/png"},
                "body": base64.b64encode(b"\x89PNG\x00\xff").decode(),
                "isBase64Encoded": True,
            }
    return {
        "statusCode": 201,
        "headers": {"Content-Type": "application/json", "X-Model-Version": "0123456789ab"},
        "body": json.dumps({"event": event, "function_request": context.aws_request_id}),
    }
