"""Which stack a command works on: the one that runs on this machine, or a deployed one."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cli.extras import CHECKOUT, ROOT, make
from facet.errors import FacetError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

HOME = ROOT / ".facet" if CHECKOUT else Path(".facet")
"""Where `make run` keeps its state. The wheel knows no checkout: it looks in the current folder."""

LOCAL_NAME = "facet"
"""What its CloudFormation stack is called there."""

LOCAL_KEY = "local"
"""The local stack takes any credentials, and those of an account must not go there."""

ONCE_MORE = Config(retries={"total_max_attempts": 2})
"""A stack on this machine that does not answer will not answer later."""

TOPIC = "NotificationTopicArn"
"""The template's parameter."""


class NoStack(FacetError):
    """It is not known which stack is meant, or there is none; the message says what to do."""


@dataclass(frozen=True)
class Stack:
    """A stack's resources, and how they are reached.

    `dead_letters` is the URL of the queue of drops that were given up, `onboard` the name of their
    function, `topic` the ARN of an SNS topic that hears of versions, or empty. `name` says where it
    is, `cloudformation` is that stack's own name. The API's key is known, or its id is.
    `golden_required` and `more_ops` are the template's parameters: what its onboarding demands, and
    allows. `state_machine` is the ARN of the one that trains. `home` is where the stack on this
    machine keeps its state and its logs.
    """

    bucket: str
    table: str
    dead_letters: str
    onboard: str
    session: boto3.Session
    endpoint_url: str | None = None
    topic: str = ""
    name: str = ""
    cloudformation: str = ""
    endpoint: str = ""
    api_url: str = ""
    api_key: str = field(default="", repr=False)
    api_key_id: str = ""
    golden_required: bool = False
    more_ops: str = ""
    state_machine: str = ""
    home: Path | None = None

    def client(self, service: str, config: Config | None = None) -> Any:
        """A boto3 client for the account that the stack is in."""
        made: Any = self.session
        return made.client(service, endpoint_url=self.endpoint_url, config=config)

    def registry(self) -> "Table":
        """The registry's table."""
        return self.session.resource("dynamodb", endpoint_url=self.endpoint_url).Table(self.table)


def find(name: str | None, home: Path = HOME) -> Stack:
    """The deployed stack of that name, or else the one that runs here. Raises NoStack."""
    return deployed(name, account()) if name else local(home)


def account(core: botocore.session.Session | None = None) -> boto3.Session:
    """The account and region that the environment names.

    AWS's command line reads AWS_REGION, boto3 only AWS_DEFAULT_REGION and the profile.
    """
    return boto3.Session(region_name=os.environ.get("AWS_REGION"), botocore_session=core)


def deployed(name: str, session: boto3.Session) -> Stack:
    """A stack in the account and region of the session, by the template's outputs."""
    try:
        (found,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise NoStack(f"stack {name}: {_told(error)}; check AWS_PROFILE and AWS_REGION") from error
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    parameters = {
        each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])
    }
    try:
        return Stack(
            bucket=outputs["BucketName"],
            table=outputs["RegistryName"],
            dead_letters=outputs["UndeliveredUploadsUrl"],
            onboard=outputs["OnboardFunctionName"],
            session=session,
            topic=parameters.get(TOPIC, ""),
            name=f"{name} in {session.region_name}",
            cloudformation=name,
            endpoint=outputs.get("EndpointName", ""),
            api_url=outputs.get("ApiUrl", ""),
            api_key_id=outputs.get("ApiKeyId", ""),
            golden_required=parameters.get("GoldenRequired") == "true",
            more_ops=parameters.get("MoreOps", ""),
            state_machine=outputs.get("TrainStateMachineArn", ""),
        )
    except KeyError as error:
        raise NoStack(f"stack {name} has no output {error}: is it Facet's?") from error


def local(home: Path) -> Stack:
    """The stack that runs with its state in `home`. Raises NoStack."""
    path = home / "stack.json"
    try:
        address: Mapping[str, Any] = json.loads(path.read_text())
        os.kill(address["pid"], 0)  # a stack that was killed has left the file behind
        return _at(address, home)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NoStack(
            f"no stack runs on this machine; start one with {make('run')}, or choose a deployed "
            "one with --stack NAME"
            if CHECKOUT
            else f"no stack runs with its state in {home}; name the folder .facet of the checkout "
            "that runs one with --home, or choose a deployed one with --stack NAME"
        ) from error
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise NoStack(
            f"{path} is corrupt; stop the stack if it runs, and start it again with {make('run')}"
        ) from error


def _at(address: Mapping[str, Any], home: Path) -> Stack:
    core = botocore.session.get_session()
    core.set_default_client_config(ONCE_MORE)
    session = boto3.Session(
        LOCAL_KEY, LOCAL_KEY, region_name=address["region"], botocore_session=core
    )
    return Stack(
        bucket=address["bucket"],
        table=address["table"],
        dead_letters=address["dead_letter_queue_url"],
        onboard=address["onboard_function"],
        session=session,
        endpoint_url=address["endpoint_url"],
        name="this machine",
        cloudformation=LOCAL_NAME,
        endpoint=address["endpoint"],
        api_url=address["url"],
        api_key=address["api_key"],
        state_machine=address.get("state_machine_arn", ""),
        home=home,
    )


def _told(error: BotoCoreError | ClientError) -> str:
    told = error.response["Error"].get("Message") if isinstance(error, ClientError) else None
    return told or str(error).rstrip(".")
