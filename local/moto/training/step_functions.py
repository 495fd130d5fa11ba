"""Step Functions: executions that wait for training jobs, and listeners for their ends.

- AWS's `sagemaker:createTrainingJob.sync` waits for the job; moto has no such integration.
- AWS's context object has `Execution.RedriveCount` from the start; moto's lacks it.
- AWS calls an execution that was stopped ABORTED; moto calls it FAILED if a Map was interrupted.
- AWS stops an execution from its first moment on; moto answers 500 before its first state.
- On AWS executions outlive their client; here they end with the stack, and the log says so.

Contract: tests/integration/local/test_step_functions.py.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import boto3
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import (
    ExecutionStatus,
    HistoryEventType,
    TaskFailedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (  # noqa: E501
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_unsupported import (  # noqa: E501
    StateTaskServiceUnsupported,
)
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.backend.execution import Execution as MotoExecution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.moto import ACCOUNT, REGION
from local.moto.access import Credentials
from local.moto.training.past_executions import STACK_ENDED, PastExecutions
from local.training.description import RUNNING
from local.training.jobs import NotRunning, Service

LOG = logging.getLogger(__name__)

SERVICE_FOR: Final = "state_task_service_for"

BEGIN_SECONDS = 10.0
"""How long to wait until an execution begins, so that it can be stopped."""

POLL_SECONDS = 0.5
"""Between two descriptions of a training job."""


@dataclass(frozen=True)
class Execution:
    """An execution of a state machine at its end; `output` is None unless it succeeded."""

    name: str
    status: str
    output: Any
    error: str
    cause: str


Ended = Callable[[Execution], object]
"""Takes an execution at its end."""


def reach(port: int, credentials: Credentials) -> None:
    """Sets how executions call the account's services; moto has an access key of its own."""
    os.environ["MOTO_PORT"] = str(port)
    key_id, secret = credentials

    def client(**arguments: Any) -> Any:
        key = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
        return boto3.client(**{**arguments, **key})

    vars(boto_client)["boto3"] = SimpleNamespace(client=client)


@contextmanager
def following_executions(service: Service, ended: Ended, past: PastExecutions) -> Iterator[None]:
    """While entered, executions wait for `service`'s jobs; on leaving, those that run are stopped.

    `ended` gets each execution at its end. `past` keeps them all, and describes earlier ones.
    """
    stopped: set[str] = set()
    with ExitStack() as patches:
        patches.enter_context(past.described())
        for owner, name, replacement in (
            (state_task_factory, SERVICE_FOR, _tasks_with(service)),
            (ExecutionWorker, "_get_evaluation_environment", _counting_redrives()),
            (
                BaseExecutionWorkerCommunication,
                "terminated",
                _terminated_with(ended, stopped, past),
            ),
            (MotoExecution, "stop", _stop_noted(stopped)),
        ):
            patches.enter_context(mock.patch.object(owner, name, replacement))
        try:
            yield
        finally:
            past.stack_ends()
            _stop_executions()


def _stop_executions() -> None:
    backend = stepfunctions_parser_backends[ACCOUNT][REGION]
    executions: list[Any] = [each for one in backend.state_machines for each in one.executions]
    for execution in executions:
        if execution.status == "RUNNING" and execution.exec_worker.env:
            LOG.warning("execution %s ends with the stack: start it again", execution.name)
            execution.stop(datetime.now(UTC), None, STACK_ENDED)


def _tasks_with(service: Service) -> Callable[[str], Any]:
    plain: Callable[[str], Any] = getattr(state_task_factory, SERVICE_FOR)

    def state_task_service_for(service_name: str) -> Any:
        return _TrainingTask(service) if service_name == "sagemaker" else plain(service_name)

    return state_task_service_for


class _TrainingTask(StateTaskServiceUnsupported):
    """`sagemaker:createTrainingJob.sync`: succeeds with the job's description, or fails with it.

    A job that was stopped is a failure. Ended itself, it stops its job.
    """

    def __init__(self, service: Service) -> None:
        patterns: Any = {ResourceCondition.Sync}
        StateTaskServiceCallback.__init__(self, supported_integration_patterns=patterns)
        self._service = service

    def _log_unsupported_warning(self) -> None:
        """Logs nothing: it is supported here."""

    def _eval_integration_pattern(
        self,
        env: Any,
        resource_runtime_part: Any,  # noqa: ARG002
        normalised_parameters: dict[str, Any],
        state_credentials: Any,  # noqa: ARG002
    ) -> None:
        """Replaces the response of CreateTrainingJob on the stack by the job's description.

        moto's own method evaluates the task's timeout first. In an execution that was stopped
        while the job was being created, it takes the state's input for the number of seconds.
        """
        env.stack[-1] = self._at_end(env, normalised_parameters["TrainingJobName"])

    def _at_end(self, env: Any, name: str) -> dict[str, Any] | None:
        """Waits for the job; None if the execution ends before. Raises FailureEventException."""
        while env.is_running():
            job = self._service.describe(name)
            if job["TrainingJobStatus"] == "Completed":
                return _plain(job)
            if job["TrainingJobStatus"] not in RUNNING:
                cause = json.dumps(_plain(job))
                raise FailureEventException(self._failure(env, "States.TaskFailed", cause))
            time.sleep(POLL_SECONDS)
        with suppress(NotRunning):
            self._service.stop(name)
        return None

    def _from_error(self, env: Any, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return super()._from_error(env=env, ex=ex)
        code, message = ex.response["Error"]["Code"], ex.response["Error"]["Message"]
        known = code.startswith("Resource")
        error = f"SageMaker.{code}Exception" if known else "SageMaker.AmazonSageMakerException"
        status = ex.response["ResponseMetadata"]["HTTPStatusCode"]
        cause = f"{message} (Service: AmazonSageMaker; Status Code: {status}; Error Code: {code})"
        return self._failure(env, error, cause)

    def _failure(self, env: Any, error: str, cause: str) -> FailureEvent:
        details: Any = {
            "taskFailedEventDetails": TaskFailedEventDetails(
                error=error,
                cause=cause,
                resource=self._get_sfn_resource(),
                resourceType=self._get_sfn_resource_type(),
            )
        }
        return FailureEvent(
            env=env,
            error_name=ErrorName(error),
            event_type=HistoryEventType.TaskFailed,
            event_details=details,
        )


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """A job's description as Step Functions writes it: times are milliseconds since 1970."""

    def milliseconds(value: datetime) -> int:
        return round(value.timestamp() * 1000)

    plain: dict[str, Any] = json.loads(json.dumps(document, default=milliseconds))
    return plain


def _counting_redrives() -> Callable[[ExecutionWorker], Any]:
    plain = ExecutionWorker._get_evaluation_environment

    def environment(worker: ExecutionWorker) -> Any:
        made = plain(worker)
        context: Any = made.states.context_object.context_object_data
        context["Execution"]["RedriveCount"] = 0
        return made

    return environment


def _stop_noted(stopped: set[str]) -> Callable[..., None]:
    plain = MotoExecution.stop

    def stop(execution: MotoExecution, *given: Any, **named: Any) -> None:
        deadline = time.monotonic() + BEGIN_SECONDS
        while not _begun(execution) and time.monotonic() < deadline:
            time.sleep(0.01)
        stopped.add(execution.exec_arn)
        plain(execution, *given, **named)

    return stop


def _begun(execution: MotoExecution) -> bool:
    """Whether the execution is in its first state; moto cannot stop it before that."""
    environment: Any = execution.exec_worker and execution.exec_worker.env
    return environment is not None and environment.program_state() is not None


def _terminated_with(
    ended: Ended, stopped: set[str], past: PastExecutions
) -> Callable[[BaseExecutionWorkerCommunication], None]:
    plain = BaseExecutionWorkerCommunication.terminated

    def terminated(communication: BaseExecutionWorkerCommunication) -> None:
        plain(communication)
        execution = communication.execution
        if execution.exec_arn in stopped:  # moto calls it FAILED where a Map was interrupted
            execution.exec_status = ExecutionStatus.ABORTED
            execution.error = execution.cause = None
        past.ended(execution)
        ended(
            Execution(
                name=execution.name,
                status=execution.status,
                output=execution.output,
                error=execution.error or "",
                cause=execution.cause or "",
            )
        )

    return terminated
