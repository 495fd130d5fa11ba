"""Check the parameters of a deploy against the template's limits and rules."""

from cli.doctor.access import Access
from cli.doctor.account.plan import Plan
from cli.doctor.result import CheckResult, missing, ok


def parameters(plan: Plan, access: Access) -> CheckResult:
    """Check that CloudFormation would take the parameters."""
    from local.template import refusals  # not in the wheel

    del access
    if wrong := refusals(plan.template["Parameters"], plan.given) or plan.broken_rules():
        return missing("parameters", "; ".join(wrong), "change --parameter, or samconfig.toml")
    return ok("parameters", f"{len(plan.given)} given, all of which the template takes")
