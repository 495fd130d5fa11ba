"""All checks of an account, in the order in which they are printed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cli.doctor.access import check_access
from cli.doctor.account import images, leftovers, quotas, roles, services
from cli.doctor.account.parameters import parameters
from cli.doctor.account.plan import Check, Plan, read_environment, read_template
from cli.doctor.result import CheckResult, State, guarded, unknown
from cli.extras import ensure
from cli.terminal.formatting import one_line

ALWAYS: Mapping[str, Check] = {
    "services": services.services,
    "endpoint quota": quotas.endpoint_quota,
    "training quota": quotas.training_quota,
    "serving image": images.serving_image,
    "training image": images.training_image,
    "scaling role": roles.scaling_role,
    "access log role": roles.access_log_role,
}
BEFORE_CREATION: Mapping[str, Check] = {
    "bucket": leftovers.bucket,
    "registry": leftovers.registry,
    "log groups": leftovers.log_groups,
    "endpoint": leftovers.endpoint,
    "concurrency": services.concurrency,
}
"""Checks of what an existing stack has already."""


@dataclass(frozen=True)
class Deploy:
    """The deploy in question: `make deploy ENV=environment STACK=stack PARAMETERS=parameters`."""

    environment: str = "default"
    stack: str | None = None
    parameters: Mapping[str, str] | None = None


def check_account(deploy: Deploy, session: boto3.Session) -> Iterator[CheckResult]:
    """Run all checks; stop after a failure that later checks depend on. Needs a checkout."""
    ensure("local")
    environment, template = read_environment(deploy.environment), read_template()
    name = deploy.stack or environment.stack
    given = {**environment.parameters, **(deploy.parameters or {})}
    access = yield from check_access(session)
    if not access:
        return
    described = None
    try:
        described = leftovers.describe(name, access)
        yield leftovers.stack(name, described)
    except (BotoCoreError, ClientError) as error:
        yield unknown("stack", one_line(error), access.redirected or "ask for the permission")
    kept = {
        each["ParameterKey"]: each["ParameterValue"]
        for each in (described or {}).get("Parameters", [])
        if each["ParameterKey"] in template["Parameters"].keys() - {images.CHOSEN}
    }
    plan = Plan(template, name, access.account, access.region, {**kept, **given})
    usable = parameters(plan, access)
    yield usable
    if usable.state is State.MISSING:
        return
    checks = ALWAYS if leftovers.has_resources(described) else {**BEFORE_CREATION, **ALWAYS}
    for check, run in checks.items():
        yield guarded(check, partial(run, plan, access))
