"""Clients of AWS that answer what a test says, checked against the service's own model."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import boto3
from botocore.stub import Stubber

from cli.doctor.access import Access
from cli.doctor.account.plan import Check, Plan, read_template
from cli.doctor.result import CheckResult, guarded

ACCOUNT = "123456789012"
REGION: Final = "eu-central-1"
Answer = tuple[str, Mapping[str, Any] | str]
"""An operation, by boto3's name, and its response or the code of its error."""


def client(service: str, *answers: Answer, region: str = REGION) -> Any:
    """A client that answers in this order; requests and responses must fit the service's model."""
    create: Any = boto3.client  # boto3's stubs type each service's name separately
    made = create(service, region, aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(made)
    for operation, answer in answers:
        if isinstance(answer, str):
            stubber.add_client_error(operation, answer)
        else:
            stubber.add_response(operation, answer)
    stubber.activate()
    return made


class Session(boto3.Session):
    """A session with some clients stubbed; others reach moto."""

    def __init__(self, **clients: Any) -> None:
        super().__init__("x", "x", region_name=REGION)
        self._clients = clients

    def client(self, service: str, *arguments: Any, **options: Any) -> Any:  # type: ignore[override]
        """A stubbed client, by its service's name with `_` for `-`, or a usual one."""
        name = service.replace("-", "_")
        return self._clients.get(name) or super().client(service, *arguments, **options)  # type: ignore[call-overload]


TEMPLATE = read_template()


def plan(stack: str = "new", region: str = REGION, **given: str) -> Plan:
    """A deploy of the template."""
    return Plan(TEMPLATE, stack, ACCOUNT, region, given)


def run(
    check: Check,
    service: str,
    *answers: Answer,
    arn: str = f"arn:aws:iam::{ACCOUNT}:user/u",
    region: str = REGION,
    **given: str,
) -> CheckResult:
    """The result of a check of an account, with a client of `service` that answers so."""
    session = Session(**{service.replace("-", "_"): client(service, *answers)})
    access = Access(session, ACCOUNT, arn)
    return guarded("check", partial(check, plan(region=region, **given), access))
