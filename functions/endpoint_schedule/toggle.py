"""Turns a stack's endpoint on or off with an update that changes only the parameter EndpointOn.

CloudFormation creates and deletes the endpoint together with its auto scaling. Deleting the
endpoint directly would delete its scaling too, and recreating it directly would not restore it.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tenacity import RetryError, Retrying, retry_if_result, wait_fixed

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef

PARAMETER = "EndpointOn"

POLL_INTERVAL = 15.0
"""Seconds between checks of a stack while another update is in progress."""

RESERVE = 30.0
"""Seconds kept for starting the update."""


class StackBusy(Exception):
    """Another update of the stack did not finish in time."""


class EndpointToggle:
    """Turns one stack's endpoint on and off. Raises botocore's errors."""

    def __init__(
        self,
        cloudformation: "CloudFormationClient",
        stack: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cloudformation = cloudformation
        self._stack = stack
        self._sleep = sleep

    def set(self, *, on: bool, remaining: Callable[[], float]) -> bool:
        """Starts the update, and returns whether one was needed.

        Waits for another update to finish. Raises StackBusy when the `remaining()` seconds do not
        allow another check.
        """
        value = str(on).lower()
        current = {
            each["ParameterKey"]: each["ParameterValue"]
            for each in self._stable_stack(remaining)["Parameters"]
        }
        if current[PARAMETER] == value:
            return False
        unchanged: list[ParameterTypeDef] = [
            {"ParameterKey": name, "UsePreviousValue": True}
            for name in current
            if name != PARAMETER
        ]
        self._cloudformation.update_stack(
            StackName=self._stack,
            UsePreviousTemplate=True,
            Parameters=[*unchanged, {"ParameterKey": PARAMETER, "ParameterValue": value}],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        return True

    def _stable_stack(self, remaining: Callable[[], float]) -> "StackTypeDef":
        poll = Retrying(
            retry=retry_if_result(lambda stack: stack["StackStatus"].endswith("_IN_PROGRESS")),
            wait=wait_fixed(POLL_INTERVAL),
            stop=lambda _: remaining() < POLL_INTERVAL + RESERVE,
            sleep=self._sleep,
        )
        try:
            return poll(self._describe)
        except RetryError as error:
            status = error.last_attempt.result()["StackStatus"]
            raise StackBusy(f"Stack {self._stack} is in {status}. Try again later.") from error

    def _describe(self) -> "StackTypeDef":
        (stack,) = self._cloudformation.describe_stacks(StackName=self._stack)["Stacks"]
        return stack
