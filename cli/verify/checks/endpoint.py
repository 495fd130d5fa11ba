"""What changes the endpoint, and is tried only on request: `--hours` and `--update`."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from cli.client.resources import FUNCTION, resources
from cli.verify.check import Different, NotTried, check
from cli.verify.session import Reply, Session
from facet.registry.models import Place

HOURS_FUNCTION = "HoursFunction"
INVOKE = Config(connect_timeout=5, read_timeout=905, retries={"total_max_attempts": 1})
"""The function waits for another update of the stack, at most its 15 minutes."""

REMOVE_SECONDS, RESTORE_SECONDS, UPDATE_SECONDS = 1200.0, 2400.0, 4200.0
"""The last is over the deployment's MaximumExecutionTimeoutInSeconds (template.yaml)."""

POLL = 10.0
IN_SERVICE = "InService"
COPIED = ("ProductionVariants", "DataCaptureConfig", "KmsKeyId", "ExecutionRoleArn", "VpcConfig",
          "EnableNetworkIsolation")  # fmt: skip
"""Of an endpoint's configuration: what `template.yaml` can set, and what SageMaker may add."""


@check("hours", "The schedule's function removes the endpoint and restores it.")
def hours(session: Session) -> str:
    if session.local:
        raise NotTried("the local stack cannot remove its endpoint")
    function = resources(session.stack, FUNCTION).get(HOURS_FUNCTION)
    if not function:
        raise NotTried("the stack has no schedule: RemoveAt and RestoreAt are empty")
    session.ready()
    started = time.monotonic()
    with _switched_off(session, function):
        _wait(session, REMOVE_SECONDS, "was not removed", lambda: _status(session) is None)
        removed = time.monotonic() - started
        reply = session.send("POST", f"/models/{session.model}/predict", session.sample.image)
        meanwhile = _without_endpoint(reply)
        _wait(session, REMOVE_SECONDS, "was not removed", lambda: _settled(session))
    _wait(session, RESTORE_SECONDS, "did not come back", lambda: _status(session) == IN_SERVICE)
    session.predict(session.sample.image, "image/png").document()
    return (
        f"removed in {removed:.0f} s, {meanwhile}; after "
        f"{time.monotonic() - started:.0f} s in all it answered again"
    )


def _without_endpoint(reply: Reply) -> str:
    """Say how predictions were answered. Raises Different for an answer of neither place."""
    if reply.status == 200 and reply.headers.get("x-facet-ran-in") == Place.FUNCTION:
        return "the function answered predictions"
    if (reply.status, reply.problem) == (503, "no-endpoint"):
        return "predictions answered 503 no-endpoint"
    raise Different(f"without the endpoint predictions answer {reply}")


@check("update", "An update of the container moves all traffic without a failed prediction.")
def update(session: Session) -> str:
    if session.local:
        raise NotTried("the local stack has no fleets of instances")
    session.require_endpoint()
    session.ready()
    sagemaker = session.client("sagemaker")
    original = str(_described(session)["EndpointConfigName"])
    config = sagemaker.describe_endpoint_config(EndpointConfigName=original)
    copy = session.name("config")
    sagemaker.create_endpoint_config(
        EndpointConfigName=copy, **{name: config[name] for name in COPIED if name in config}
    )
    asked: list[str] = []

    def moved() -> bool:
        reply = session.predict(session.sample.image, "image/png")
        asked.append("" if reply.status == 200 else str(reply))
        return _stands_on(session, copy)

    started = time.monotonic()
    try:
        _update(session, copy)
        _wait(session, UPDATE_SECONDS, f"did not move to {copy}", moved)
        seconds = time.monotonic() - started
        session.updated = True
    finally:
        _restore(session, original, copy)
    if failed := [each for each in asked if each]:
        raise Different(f"{len(failed)} of {len(asked)} predictions failed, first {failed[0]}")
    return f"moved in {seconds:.0f} s, {len(asked)} of {len(asked)} predictions were answered"


@contextmanager
def _switched_off(session: Session, function: str) -> Iterator[None]:
    """Remove the endpoint, and restore it at the end in any case, also after Ctrl-C."""
    client = session.stack.client("lambda", INVOKE)

    def switch(state: str, kind: str = "RequestResponse") -> None:
        event = {"stack": session.stack.cloudformation, "endpoint": state}
        answer = client.invoke(
            FunctionName=function, Payload=json.dumps(event).encode(), InvocationType=kind
        )
        if answer.get("FunctionError"):
            raise Different(f"the function failed: {answer['Payload'].read().decode()}")

    try:
        switch("off")
        yield
    except BaseException:
        session.remark("the endpoint is being restored; `facet status` shows when it is in service")
        switch("on", "Event")
        raise
    switch("on")


def _restore(session: Session, original: str, copy: str) -> None:
    """Go back to the stack's own configuration; an update that still runs must end first."""
    session.remark(f"the endpoint goes back to {original}; this takes minutes")
    deadline = time.monotonic() + UPDATE_SECONDS
    try:
        while (described := _described(session))["EndpointStatus"] != IN_SERVICE:
            _look_again(session, described, deadline)
        if described["EndpointConfigName"] != original:
            _update(session, original)
        while not _stands_on(session, original):
            _look_again(session, _described(session), deadline)
        session.client("sagemaker").delete_endpoint_config(EndpointConfigName=copy)
    except BaseException:
        session.remark(
            f"the endpoint may still use the configuration {copy}; once it is in service, run: aws "
            f"sagemaker update-endpoint --endpoint-name {session.stack.endpoint} "
            f"--endpoint-config-name {original} --retain-all-variant-properties "
            f"--retain-deployment-config"
        )
        raise


def _look_again(session: Session, described: dict[str, Any], deadline: float) -> None:
    """Sleep, also after an interruption. Raises Different if it is of no use."""
    if described["EndpointStatus"] == "Failed" or time.monotonic() > deadline:
        raise Different(f"the endpoint is {described['EndpointStatus']}")
    time.sleep(POLL * session.patience)


def _update(session: Session, config: str) -> None:
    session.client("sagemaker").update_endpoint(
        EndpointName=session.stack.endpoint,
        EndpointConfigName=config,
        RetainAllVariantProperties=True,
        RetainDeploymentConfig=True,
    )


def _stands_on(session: Session, config: str) -> bool:
    """Whether the endpoint is in service with this configuration. Raises Different if it rolled
    back."""
    described = _described(session)
    if described["EndpointStatus"] != IN_SERVICE:
        return False
    if described["EndpointConfigName"] != config:
        reason = described.get("FailureReason", "no reason")
        raise Different(f"it is on {described['EndpointConfigName']} again: {reason}")
    return True


def _wait(session: Session, seconds: float, otherwise: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Different(f"the endpoint {otherwise} within {seconds:.0f} s")
        session.pause(POLL)


def _described(session: Session) -> dict[str, Any]:
    client = session.client("sagemaker")
    described: dict[str, Any] = client.describe_endpoint(EndpointName=session.stack.endpoint)
    return described


def _status(session: Session) -> str | None:
    """The endpoint's status, or None if it does not exist."""
    try:
        return str(_described(session)["EndpointStatus"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return None


def _settled(session: Session) -> bool:
    """Whether the stack's update has ended. Raises Different if it was rolled back."""
    client = session.client("cloudformation")
    (stack,) = client.describe_stacks(StackName=session.stack.cloudformation)["Stacks"]
    if "ROLLBACK" in stack["StackStatus"]:
        raise Different(f"the stack is {stack['StackStatus']}: {stack.get('StackStatusReason')}")
    return not stack["StackStatus"].endswith("IN_PROGRESS")


CHECKS = (hours, update)
