"""Check the region's services, and Lambda's concurrency."""

from typing import Any

from cli.doctor.access import Access
from cli.doctor.account.plan import Plan
from cli.doctor.result import CheckResult, missing, ok, unknown
from cli.doctor.stack import LOW_CONCURRENCY, concurrency_limit

SERVICES = (
    "apigateway",
    "cloudformation",
    "cloudwatch",
    "codebuild",
    "dynamodb",
    "ecr",
    "events",
    "lambda",
    "logs",
    "s3",
    "sagemaker",
    "scheduler",
    "sns",
    "sqs",
    "stepfunctions",
    "xray",
)
"""By their names in AWS's list. Application Auto Scaling, which the list lacks in regions that have
it, and services without regions are left out.
"""

KEY, LIST_REGION = "/aws/service/global-infrastructure/regions/{}/services/{}", "us-east-1"
"""A service in AWS's list by region, and a region that has the list. Source: AWS Systems Manager
user guide, "Calling public parameters for AWS services, Regions, endpoints, …".
"""

AT_ONCE = 10
"""Names in a request. Source: API reference of Systems Manager, GetParameters."""


def services(plan: Plan, access: Access) -> CheckResult:
    """Check that the region has all services.

    A name that the list lacks in every region proves nothing: AWS may use another one.
    """
    client = access.client("ssm", LIST_REGION)
    absent = _absent(client, plan.region)
    if len(absent) == len(SERVICES):
        words = f"AWS's list of services does not have {plan.region}"
        return unknown("services", words, "check that the region has them all")
    unlisted = _absent(client, LIST_REGION) if absent else set()
    if lacking := absent - unlisted:
        words = f"{plan.region} lacks {', '.join(sorted(lacking))}"
        return missing("services", words, "choose another AWS_REGION")
    if absent:
        words = f"AWS's list of services does not have {', '.join(sorted(absent))}"
        return unknown("services", words, "check that the region has them")
    return ok("services", f"{plan.region} has all {len(SERVICES)}")


def _absent(client: Any, region: str) -> set[str]:
    """The services that AWS's list does not have in a region."""
    keys = {KEY.format(region, each): each for each in SERVICES}
    names, absent = [*keys], set[str]()
    for begin in range(0, len(names), AT_ONCE):
        answer = client.get_parameters(Names=names[begin : begin + AT_ONCE])
        absent |= {keys[each] for each in answer.get("InvalidParameters", [])}
    return absent


def concurrency(plan: Plan, access: Access) -> CheckResult:
    """Check that enough concurrency is left after what the functions reserve.

    Lambda refuses to leave less than 100. Source: Lambda developer guide, "Configuring reserved
    concurrency for a function".
    """
    limit = access.client("lambda").get_account_settings()["AccountLimit"]
    unreserved = int(limit["UnreservedConcurrentExecutions"])
    functions = plan.resources("AWS::Serverless::Function").values()
    reserved = sum(int(each.get("ReservedConcurrentExecutions", 0)) for each in functions)
    if reserved and unreserved - reserved < LOW_CONCURRENCY:
        words = (
            f"{unreserved:,} unreserved; the functions reserve {reserved:,}, "
            f"and Lambda keeps {LOW_CONCURRENCY}"
        )
        remedy = (
            "deploy with PredictConcurrency=0 OnboardConcurrency=0 InferConcurrency=0, or request "
            "more in Service Quotas (AWS Lambda)"
        )
        return missing("concurrency", words, remedy)
    return concurrency_limit(limit)
