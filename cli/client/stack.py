"""Find the stack that a command works on.

Without `--stack` it is the local stack: `make run` writes its addresses to `.facet/stack.json`.
With `--stack NAME` it is a deployed one, whose CloudFormation outputs and parameters are read with
the credentials and region of the environment.
"""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cli.extras import CHECKOUT, ROOT, make
from cli.terminal.output import Output
from facet.aws.environment import local_endpoint_warning
from facet.errors import FacetError
from facet.stack import FILE, Address

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

HOME = ROOT / ".facet" if CHECKOUT else Path(".facet")
"""Where `make run` keeps its state. The wheel knows no checkout: it looks in the current folder."""

LOCAL_NAME = "facet"
"""The name of the local stack in its own CloudFormation."""

LOCAL_RETRIES = Config(retries={"total_max_attempts": 2})
"""Two attempts: a local stack that does not answer is down, and will not answer later."""

NO_PROFILE = {"profile": (None, None, None, None)}
"""AWS_PROFILE, which may name a profile that does not exist, does not count on this machine."""

ONE_AT_A_TIME = threading.Lock()
"""boto3's sessions are not safe to use in several threads; the clients that they make are."""

RUNTIME = "sagemaker-runtime"
TOPIC_PARAMETER = "NotificationTopicArn"

OLD_QUEUE_OUTPUT = "UndeliveredDropsUrl"
"""What a stack of 0.1 calls UndeliveredUploadsUrl. `facet redrive` must reach its queue before the
upgrade, which deletes it."""


class NoStack(FacetError):
    """The stack does not exist or cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Stack:
    """A stack's resources, and how to reach them.

    `name` is for messages, `cloudformation` is the CloudFormation stack's name. `topic` is the ARN
    of the SNS topic for notifications, or empty. `onboard_function` and `delete_function` are
    functions' names, `state_machine` is the training state machine's ARN. `api_key` is empty for a
    deployed stack, whose key is read by `api_key_id`. `golden_required`, `more_ops`, `endpoint_on`
    and `serving_image` (`ServingImageUri`) are template parameters.
    `sagemaker_runtime_url` and `home`, the folder with state and logs, are the local stack's.
    """

    bucket: str
    table: str
    dead_letter_queue_url: str
    onboard_function: str
    session: boto3.Session
    endpoint_url: str | None = None
    sagemaker_runtime_url: str = ""
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
    delete_function: str = ""
    serving_image: str = ""
    endpoint_on: bool = True

    def client(self, service: str, config: Config | None = None) -> Any:
        """Create a boto3 client for the stack's account, or for the local stack."""
        session: Any = self.session  # boto3's stubs type each service's name separately
        own = self.sagemaker_runtime_url if service == RUNTIME else ""
        with ONE_AT_A_TIME:
            return session.client(service, endpoint_url=own or self.endpoint_url, config=config)

    def registry(self) -> "Table":
        """Open the registry's table."""
        with ONE_AT_A_TIME:
            service = self.session.resource("dynamodb", endpoint_url=self.endpoint_url)
        return service.Table(self.table)


def find(name: str | None, home: Path = HOME) -> Stack:
    """Find the deployed stack of this name, or without one the local stack. Raises NoStack.

    Warns on standard error if AWS_ENDPOINT_URL sends the account's requests to this machine.
    """
    if not name:
        return local(home)
    stack = deployed(name, account())
    warn_of_local_endpoint()
    return stack


def warn_of_local_endpoint() -> None:
    """Name on standard error the variables that send AWS requests to this machine, if any."""
    if warning := local_endpoint_warning():
        Output().remark(f"warning: {warning}")


def account(core: botocore.session.Session | None = None) -> boto3.Session:
    """Open a session for the account and region of the environment.

    AWS_REGION counts as in AWS's command line; boto3 itself reads only AWS_DEFAULT_REGION and the
    profile.
    """
    return boto3.Session(region_name=os.environ.get("AWS_REGION"), botocore_session=core)


def deployed(name: str, session: boto3.Session) -> Stack:
    """Read a deployed stack's outputs and parameters from CloudFormation. Raises NoStack."""
    try:
        (found,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        remedy = local_endpoint_warning() or "check AWS_PROFILE and AWS_REGION"
        raise NoStack(f"stack {name}: {_message(error)}; {remedy}") from error
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    parameters = {
        each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])
    }
    try:
        return Stack(
            bucket=outputs["BucketName"],
            table=outputs["RegistryName"],
            dead_letter_queue_url=outputs.get(OLD_QUEUE_OUTPUT) or outputs["UndeliveredUploadsUrl"],
            onboard_function=outputs["OnboardFunctionName"],
            session=session,
            topic=parameters.get(TOPIC_PARAMETER, ""),
            name=f"{name} in {session.region_name}",
            cloudformation=name,
            endpoint=outputs.get("EndpointName", ""),
            api_url=outputs.get("ApiUrl", ""),
            api_key_id=outputs.get("ApiKeyId", ""),
            golden_required=parameters.get("GoldenRequired") == "true",
            more_ops=parameters.get("MoreOps", ""),
            state_machine=outputs.get("TrainStateMachineArn", ""),
            delete_function=outputs.get("DeleteFunctionName", ""),
            serving_image=parameters.get("ServingImageUri", ""),
            endpoint_on=parameters.get("EndpointOn") != "false",
        )
    except KeyError as error:
        remedy = local_endpoint_warning() or "check that it is a Facet stack, then deploy it again"
        raise NoStack(f"stack {name} has no output {error}; {remedy}") from error


def local(home: Path) -> Stack:
    """Find the stack that runs on this machine with its state in `home`. Raises NoStack."""
    try:
        address = Address.read(home)
        os.kill(address.pid, 0)  # a killed stack leaves its file behind
        return _from_address(address, home)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NoStack(
            f"no stack runs on this machine; start one with {make('run')}, or choose a deployed "
            "one with --stack NAME"
            if CHECKOUT
            else f"no stack runs with its state in {home}; name the folder .facet of the checkout "
            "that runs one with --home, or choose a deployed one with --stack NAME"
        ) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise NoStack(
            f"{home / FILE} is corrupt; stop the stack if it runs, and start it again with "
            f"{make('run')}"
        ) from error


def _from_address(address: Address, home: Path) -> Stack:
    core = botocore.session.Session(session_vars=NO_PROFILE)
    core.set_default_client_config(LOCAL_RETRIES)
    session = boto3.Session(
        address.access_key_id,
        address.secret_access_key,
        region_name=address.region,
        botocore_session=core,
    )
    return Stack(
        bucket=address.bucket,
        table=address.table,
        dead_letter_queue_url=address.dead_letter_queue_url,
        onboard_function=address.onboard_function,
        session=session,
        endpoint_url=address.endpoint_url,
        sagemaker_runtime_url=address.sagemaker_runtime_url,
        name="this machine",
        cloudformation=LOCAL_NAME,
        endpoint=address.endpoint,
        api_url=address.url,
        api_key=address.api_key,
        state_machine=address.state_machine_arn,
        delete_function=address.delete_function,
        endpoint_on=address.endpoint_on,
        home=home,
    )


def _message(error: BotoCoreError | ClientError) -> str:
    """AWS's own message, without botocore's introduction."""
    message = error.response["Error"].get("Message") if isinstance(error, ClientError) else None
    return message or str(error).rstrip(".")
