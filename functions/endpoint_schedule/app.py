"""The clock's handler: takes the stack's endpoint away out of hours, and brings it back."""

from typing import Any, Literal

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

from endpoint_schedule.toggle import EndpointToggle
from facet.observability import logger


class ScheduleEvent(BaseModel):
    """`stack` is the stack's name or ARN; `endpoint` says whether it shall have its endpoint."""

    stack: str
    endpoint: Literal["on", "off"]


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Begins the stack's update, which takes minutes and goes on without the function.

    What it raises, Lambda tries twice more; then the event is among the dead letters.
    """
    logger().set_correlation_id(context.aws_request_id)
    turn = ScheduleEvent.model_validate(event)
    toggle = EndpointToggle(boto3.client("cloudformation"), turn.stack)
    begun = toggle.set(
        on=turn.endpoint == "on", left=lambda: context.get_remaining_time_in_millis() / 1000
    )
    logger().info("endpoint", wanted=turn.endpoint, update_begun=begun)
    return {"endpoint": turn.endpoint, "update_begun": begun}
