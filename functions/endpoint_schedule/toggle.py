"""A stack's parameter EndpointOn, set by an update that changes nothing else.

CloudFormation makes and deletes the endpoint itself, with its scaling: deleting an endpoint ends
its scaling, too, and an endpoint made behind CloudFormation's back would come back without it.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef

PARAMETER = "EndpointOn"

PAUSE = 15.0
"""Seconds between looks at a stack that somebody else updates."""

RESERVE = 30.0
"""Seconds that are left to begin the update in."""


class StackBusy(Exception):
    """Somebody else's update of the stack did not end in time."""


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

    def set(self, *, on: bool, left: Callable[[], float]) -> bool:
        """Whether an update was begun; none is where the stack is as wanted.

        It waits for another update to end while `left` tells enough seconds; then StackBusy.
        """
        wanted = str(on).lower()
        given = {
            each["ParameterKey"]: each["ParameterValue"]
            for each in self._settled(left)["Parameters"]
        }
        if given[PARAMETER] == wanted:
            return False
        kept: list[ParameterTypeDef] = [
            {"ParameterKey": name, "UsePreviousValue": True} for name in given if name != PARAMETER
        ]
        self._cloudformation.update_stack(
            StackName=self._stack,
            UsePreviousTemplate=True,
            Parameters=[*kept, {"ParameterKey": PARAMETER, "ParameterValue": wanted}],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        return True

    def _settled(self, left: Callable[[], float]) -> "StackTypeDef":
        while True:
            (stack,) = self._cloudformation.describe_stacks(StackName=self._stack)["Stacks"]
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return stack
            if left() < PAUSE + RESERVE:
                raise StackBusy(f"{self._stack} is in {stack['StackStatus']}; try again later")
            self._sleep(PAUSE)
