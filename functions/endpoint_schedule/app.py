"""The handler that removes the stack's endpoint outside working hours, and restores it."""

from typing import Any, Literal

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

from endpoint_schedule.toggle import EndpointToggle
from facet.observability import logger


class ScheduleEvent(BaseModel):
    """The stack's name or ARN, and whether its endpoint should exist."""

    stack: str
    endpoint: Literal["on", "off"]


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Starts an update of the stack, which takes minutes and continues after the function ends.

    If this raises, Lambda retries twice, then sends the event to the dead-letter queue.
    """
    logger().set_correlation_id(context.aws_request_id)
    schedule = ScheduleEvent.model_validate(event)
    toggle = EndpointToggle(boto3.client("cloudformation"), schedule.stack)
    started = toggle.set(
        on=schedule.endpoint == "on",
        remaining=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    logger().info("endpoint", endpoint=schedule.endpoint, update_begun=started)
    return {"endpoint": schedule.endpoint, "update_begun": started}
