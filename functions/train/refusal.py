"""Why SageMaker refused to create a training job, and whether to ask again.

SageMaker answers ResourceLimitExceeded both for a quota that is used up for the moment and for one
that is smaller than the request, which no waiting changes: the numbers in its message tell them
apart. Step Functions names every error without a class of its own AmazonSageMakerException, passing
faults and invalid requests alike: the text that AWS's SDK puts behind the message says which.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

QUOTA = re.compile(
    r"limit '?(?P<name>[^']+?)'? is (?P<limit>[\d,]+) (?P<unit>\w+), with current utilization of "
    r"(?P<used>[\d,]+) \w+ and a request delta of (?P<asked>[\d,]+) "
)
"""SageMaker's message, such as "The account-level service limit 'ml.p3.2xlarge for training job
usage' is 0 Instances, with current utilization of 0 Instances and a request delta of 1 Instances."
(aws/amazon-sagemaker-examples, issues 307 and 1543)."""

LIMIT_EXCEEDED = "SageMaker.ResourceLimitExceededException"

WAITS = (5, 10, 20, 40, 60, 60, 60, 60, 60)
"""Minutes before each further try while a quota is used up: six and a quarter hours in all."""

PAUSES = (5, 10, 20, 40, 80)
"""Seconds before each further try after a passing fault."""

PASSING = re.compile(
    r"Status Code: (5\d\d|429)|Throttl|Rate exceeded|Too ?Many|InternalFailure|InternalError"
    r"|InternalServer|ServiceUnavailable|RequestTimeout"
)
"""Codes that SageMaker's API reference lists among its common errors, as the SDK writes them.
Throttling has the status 400."""


@dataclass(frozen=True)
class Refusal:
    """What to do about a refusal: try `again` after `seconds`, or fail for the `reason`.

    `times` counts the refusals of one job.
    """

    again: bool
    seconds: int
    times: int
    reason: str


def read(error: str, cause: str, times: int) -> Refusal:
    """Decides about a refusal; `error` and `cause` are Step Functions', `times` earlier ones."""
    if error == LIMIT_EXCEEDED:
        return _of_quota(cause, times)
    known = "Status Code:" in cause or "Error Code:" in cause
    if known and not PASSING.search(cause):
        return Refusal(False, 0, times + 1, cause)
    return _again(PAUSES, times, cause)


def _of_quota(cause: str, times: int) -> Refusal:
    """A message in other words counts as a quota that is used up."""
    waits = [60 * minutes for minutes in WAITS]
    if not (found := QUOTA.search(cause)):
        return _again(waits, times, cause)
    limit, used, asked = (int(found[each].replace(",", "")) for each in ("limit", "used", "asked"))
    quota = f"the account's SageMaker quota '{found['name']}' is {limit} {found['unit']}"
    if asked > limit:
        reason = (
            f"{quota} and the job asks for {asked}. Request an increase in Service Quotas, or set "
            "instance_type, instance_count or max_runtime to what the account may use."
        )
        return Refusal(False, 0, times + 1, reason)
    reason = (
        f"{quota}, of which {used} were in use for {sum(waits) // 3600} hours, and the job asks "
        f"for {asked}. Start it again when other jobs have ended, or request an increase in "
        "Service Quotas."
    )
    return _again(waits, times, reason)


def _again(pauses: Sequence[int], times: int, reason: str) -> Refusal:
    left = times < len(pauses)
    return Refusal(left, pauses[times] if left else 0, times + 1, reason)
