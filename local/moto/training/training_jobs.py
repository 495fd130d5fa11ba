"""SageMaker training jobs: the API calls that create, describe, list and stop them.

AWS runs a training job. moto completes it at once and has no StopTrainingJob; here
local/training/jobs.py runs it.

Contract: tests/integration/local/test_step_functions.py.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.sagemaker.models import FakeTrainingJob, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from local.moto.training import sagemaker
from local.training.jobs import JobExists, NotRunning, Service, UnknownJob


@contextmanager
def running(service: Service) -> Iterator[None]:
    """While entered, `service` answers SageMaker's training API."""
    with ExitStack() as patches:
        patches.enter_context(sagemaker.omitting_absent_settings())
        for owner, name, replacement in (
            (SageMakerModelBackend, "create_training_job", _create_with(service)),
            (SageMakerModelBackend, "describe_training_job", _describe_with(service)),
            (SageMakerModelBackend, "list_training_jobs", _list_with(service)),
        ):
            patches.enter_context(mock.patch.object(owner, name, replacement))
        stop = _stop_with(service)  # moto has no StopTrainingJob
        patches.enter_context(
            mock.patch.object(SageMakerResponse, "stop_training_job", stop, create=True)
        )
        yield


def _create_with(service: Service) -> Callable[..., Any]:
    def create_training_job(backend: SageMakerModelBackend, **given: Any) -> Any:
        request = {_camel(name): value for name, value in given.items()}
        sagemaker.check("CreateTrainingJob", request)
        arn = FakeTrainingJob.arn_formatter(
            given["training_job_name"], backend.account_id, backend.region_name
        )
        try:
            service.create(request, arn)
        except JobExists as error:
            raise ResourceInUseException(str(error)) from error
        return SimpleNamespace(arn=arn)

    return create_training_job


def _describe_with(service: Service) -> Callable[..., Any]:
    def describe_training_job(_: SageMakerModelBackend, training_job_name: str) -> Any:
        try:
            return service.describe(training_job_name)
        except UnknownJob as error:
            raise ValidationError(str(error)) from error

    return describe_training_job


def _list_with(service: Service) -> Callable[..., Any]:
    names = (
        *("TrainingJobName", "TrainingJobArn", "TrainingJobStatus"),
        *("CreationTime", "TrainingEndTime", "LastModifiedTime"),
    )

    def list_training_jobs(
        _: SageMakerModelBackend, name_contains: str, status_equals: str, **__: Any
    ) -> Any:
        found = [
            {name: job[name] for name in names if name in job}
            for job in map(service.describe, reversed(service.names()))
            if (name_contains or "") in job["TrainingJobName"]
            and status_equals in (None, job["TrainingJobStatus"])
        ]
        return {"TrainingJobSummaries": found}

    return list_training_jobs


def _stop_with(service: Service) -> Callable[..., Any]:
    def stop_training_job(response: SageMakerResponse) -> ActionResult:
        try:
            service.stop(response._get_param("TrainingJobName"))
        except (UnknownJob, NotRunning) as error:
            raise ValidationError(str(error)) from error
        return EmptyResult()

    return stop_training_job


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
