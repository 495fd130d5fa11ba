"""Check SageMaker's quotas of instances, for the endpoint and for training.

Service Quotas knows a quota by a code, which differs for each instance type, and by a name, which
SageMaker's error ResourceLimitExceeded has, too. The checks look for the names.
"""

from collections.abc import Mapping
from functools import lru_cache

from cli.doctor.access import Access
from cli.doctor.account.plan import Plan
from cli.doctor.result import CheckResult, missing, ok, warning
from facet.recipes import RECIPES

LISTS = ("list_service_quotas", "list_aws_default_service_quotas")
"""The account's own values, then the defaults of quotas that have none. Sources:
https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html and
API_ListAWSDefaultServiceQuotas.html there.
"""

FLEETS = 2
"""An update creates a second fleet as large as the first, and deletes the first only later.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
"""

ENDPOINTS = "Number of instances across active endpoints"
JOBS = "Number of instances across all training jobs"
SPOT_JOBS = "Number of instances across all spot training jobs"
TYPES = sorted({recipe.instance_type for recipe in RECIPES.values()})
"""The recipes' instance types, on which a job trains unless it names another."""

REQUEST = "request more in Service Quotas (Amazon SageMaker); it may take days"


def endpoint_quota(plan: Plan, access: Access) -> CheckResult:
    """Check the instances that the endpoint needs: for the deploy, and for an update when scaled.

    All endpoints of the account share the quotas.
    """
    if not plan.serves:
        return ok("endpoint quota", "no endpoint: EndpointOn=false")
    first = plan.number("InstanceCount")
    most = FLEETS * max(first, plan.number("MaxInstances"))
    kind = _of_endpoint(plan)
    found = _quotas(access, _names(plan))
    if kind not in found:
        remedy = "check the parameter InstanceType, and whether the region has it"
        return missing("endpoint quota", f"there is no quota `{kind}`", remedy)
    known = {name: found[name] for name in (kind, ENDPOINTS) if name in found}
    words = ", ".join(f"`{name}` is {value}" for name, value in known.items())
    if min(known.values()) < first:
        return missing("endpoint quota", f"{words}; the deploy needs {first}", REQUEST)
    if min(known.values()) < most:
        words = f"{words}; an update of {most // FLEETS} needs {most}, for two fleets"
        return warning("endpoint quota", words, REQUEST)
    return ok("endpoint quota", f"{words}; an update needs {most} at most")


def training_quota(plan: Plan, access: Access) -> CheckResult:
    """Check that a job of each recipe could start. Spot instances, for jobs with `spot`, are named.

    Without them the stack can be deployed, and serves, but trains nothing.
    """
    found = _quotas(access, _names(plan))
    usual, spot = [*_of_jobs(), JOBS], [*_of_jobs("spot "), SPOT_JOBS]
    if short := [name for name in usual if found.get(name, 0) < 1]:
        words = ", ".join(f"`{name}` is {found.get(name, 'unknown')}" for name in short)
        return warning("training quota", words, REQUEST)
    words = ", ".join(f"{each} {found[name]}" for each, name in zip(TYPES, usual, strict=False))
    fewest = min(found.get(name, 0) for name in spot)
    return ok("training quota", f"{words}; spot instances: {fewest or 'none'}")


def _of_endpoint(plan: Plan) -> str:
    return f"{plan.parameter('InstanceType')} for endpoint usage"


def _of_jobs(spot: str = "") -> list[str]:
    return [f"{each} for {spot}training job usage" for each in TYPES]


def _names(plan: Plan) -> frozenset[str]:
    """The names of all quotas that either check needs, which are looked up once."""
    own = {_of_endpoint(plan), *_of_jobs(), *_of_jobs("spot ")}
    return frozenset(own | {ENDPOINTS, JOBS, SPOT_JOBS})


@lru_cache(maxsize=1)
def _quotas(access: Access, names: frozenset[str]) -> Mapping[str, int]:
    """Find the quotas of these names, as far as there are any. SageMaker has thousands."""
    client = access.client("service-quotas")
    found: dict[str, int] = {}
    for listing in LISTS:
        for page in client.get_paginator(listing).paginate(ServiceCode="sagemaker"):
            for each in page["Quotas"]:
                if each["QuotaName"] in names:
                    found.setdefault(each["QuotaName"], int(each["Value"]))
            if names <= found.keys():
                return found
    return found
