"""Check region and credentials, which all other checks of an account need."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, UnknownRegionError

from cli.doctor.result import NETWORK, UNREACHABLE, CheckResult, missing, ok, warning
from cli.terminal.formatting import one_line
from facet.aws.environment import local_endpoints


@dataclass(frozen=True)
class Access:
    """The session, and who it is: `account` is the account's id, `arn` the identity's.

    `redirected` says how to reach AWS if the environment sends requests to this machine.
    """

    session: boto3.Session
    account: str
    arn: str
    redirected: str = ""

    @property
    def region(self) -> str:
        """The session's region."""
        return str(self.session.region_name)

    def client(self, service: str, region: str | None = None) -> Any:
        """Create a boto3 client, in the session's region unless another is named."""
        session: Any = self.session  # boto3's stubs type each service's name separately
        return session.client(service, region_name=region)


def check_access(session: boto3.Session) -> Generator[CheckResult, None, Access | None]:
    """Yield what is wrong or right; return None if nothing further can be checked."""
    redirected = ""
    if endpoints := local_endpoints():
        redirected = f"unset {' '.join(endpoints)}"
        words = ", ".join(f"{name}={value}" for name, value in endpoints.items())
        yield warning("AWS endpoint", f"{words} is this machine, not AWS", redirected)
    if not session.region_name:
        yield missing("region", "none is set", "set AWS_REGION, or a region in your AWS profile")
        return None
    try:
        session.get_partition_for_region(session.region_name)
    except UnknownRegionError:
        words = f"'{session.region_name}' is not a region of AWS"
        yield missing("region", words, "set AWS_REGION to one, such as us-east-1")
        return None
    yield ok("region", session.region_name)
    try:
        who = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        log_in = "set AWS_PROFILE, or log in again (`aws sso login`)"
        remedy = (redirected or NETWORK) if isinstance(error, UNREACHABLE) else log_in
        yield missing("credentials", one_line(error), remedy)
        return None
    yield ok("credentials", who["Arn"])
    return Access(session, who["Account"], who["Arn"], redirected)
