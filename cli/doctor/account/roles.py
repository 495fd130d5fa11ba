"""Check the roles of the account that a deploy needs and the stack does not contain."""

from typing import Any

from botocore.exceptions import ClientError

from cli.doctor.access import Access
from cli.doctor.account.plan import Plan
from cli.doctor.result import CheckResult, missing, ok, unknown, warning

SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
"""Application Auto Scaling creates the role when the first endpoint of the account is registered,
with the permissions of the one who deploys. Source: its user guide, "Amazon SageMaker AI and
Application Auto Scaling". No other resource of the template needs a service-linked role: API
Gateway creates its own by itself, for VPC links and domain names.
"""

CREATE = "iam:CreateServiceLinkedRole"


def scaling_role(plan: Plan, access: Access) -> CheckResult:
    """Check the service-linked role of the endpoint's scaling, or that you may create it."""
    if not plan.resources("AWS::ApplicationAutoScaling::ScalableTarget"):
        return ok("scaling role", "not needed: the endpoint is not scaled")
    iam = access.client("iam")
    try:
        iam.get_role(RoleName=SCALING_ROLE)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
    else:
        return ok("scaling role", f"{SCALING_ROLE} exists")
    command = f"`aws iam create-service-linked-role --aws-service-name {SCALING_SERVICE}`"
    try:
        allowed = _may_create(plan, access, iam)
    except ClientError:
        words = f"{SCALING_ROLE} does not exist; a deploy creates it if you have {CREATE}"
        return unknown("scaling role", words, f"check that, or have {command} run once")
    if allowed:
        return ok("scaling role", f"a deploy creates {SCALING_ROLE}")
    remedy = f"have {command} run once, or deploy with MaxInstances equal to InstanceCount"
    return missing("scaling role", f"{SCALING_ROLE} does not exist, and you lack {CREATE}", remedy)


def _may_create(plan: Plan, access: Access, iam: Any) -> bool:
    """Ask IAM's policy simulator. Raises ClientError if it cannot tell."""
    kind, _, name = access.arn.rpartition(":")[2].partition("/")
    if kind == "root":
        return True
    if kind == "assumed-role":
        role = name.partition("/")[0]  # the session follows
        who = iam.get_role(RoleName=role)["Role"]["Arn"]
    else:
        who = access.arn
    path = f"role/aws-service-role/{SCALING_SERVICE}/{SCALING_ROLE}"
    answer = iam.simulate_principal_policy(
        PolicySourceArn=who,
        ActionNames=[CREATE],
        ResourceArns=[f"arn:{plan.partition}:iam::{access.account}:{path}"],
        ContextEntries=[
            {
                "ContextKeyName": "iam:AWSServiceName",
                "ContextKeyValues": [SCALING_SERVICE],
                "ContextKeyType": "string",
            }
        ],
    )
    return all(each["EvalDecision"] == "allowed" for each in answer["EvaluationResults"])


def access_log_role(plan: Plan, access: Access) -> CheckResult:
    """Check API Gateway's role for logs, one for all APIs of the account and region."""
    wanted = plan.parameter("ApiLogs")
    if wanted == "none":
        return ok("access log role", "not needed: ApiLogs=none")
    role = access.client("apigateway").get_account().get("cloudwatchRoleArn")
    if wanted == "write":
        if role:
            return ok("access log role", role)
        words = "API Gateway has none in this region, and ApiLogs=write needs one"
        return missing("access log role", words, "deploy with ApiLogs=set-role-and-write")
    if role:
        words = f"{role} will be replaced, for all APIs of the region"
        return warning("access log role", words, "deploy with ApiLogs=write to keep it")
    return ok("access log role", "a deploy sets it")
