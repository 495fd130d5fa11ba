"""The state machine in moto, with stand-ins for its function and for SageMaker: every way through.

This is also the contract test of local/moto/training:
when moto's pin moves, it says which private part of moto has changed.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.config import Config
from moto.core.exceptions import ServiceException
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local import template
from local.moto import ACCOUNT, REGION
from local.moto.aws import Aws
from local.moto.training.past_executions import STACK_ENDED, PastExecutions
from local.moto.training.step_functions import Execution
from local.runtime.worker import Invocation
from local.storage.state import State
from local.training.description import Document, created, ended, moved
from local.training.jobs import JobExists, NotRunning, UnknownJob
from tests.support.processes.waiting import wait_until
from train import refusal

ROOT = Path(__file__).parents[3]
MACHINE = "TrainStateMachine"
METRICS = {"validation_accuracy": 0.9}


class Throttled(ServiceException):
    code = "ThrottlingException"


class LimitExceeded(ServiceException):
    code = "ResourceLimitExceeded"


class Invalid(ServiceException):
    code = "ValidationException"


def quota(limit: int, used: int) -> LimitExceeded:
    return LimitExceeded(
        f"The account-level service limit 'ml.m5.large for training job usage' is {limit} "
        f"Instances, with current utilization of {used} Instances and a request delta of 1 "
        "Instances. Please use AWS Service Quotas to request an increase for this quota."
    )


@dataclass
class Service:
    """SageMaker: each new job is refused, or ends, as `ends` says; then all of them complete.

    An entry is an error, or a status with its secondary status or failure reason.
    """

    ends: list[Exception | tuple[str, str]] = field(default_factory=list)
    jobs: dict[str, Document] = field(default_factory=dict)

    def create(self, request: Mapping[str, Any], arn: str) -> None:
        end = self.ends.pop(0) if self.ends else ("Completed", "Completed")
        if isinstance(end, Exception):
            raise end
        status, why = end
        document = moved(created(request, arn), "Training")
        if status == "Failed":
            document = ended(document, "Failed", "Failed", why)
        elif status != "InProgress":
            document = ended(document, why, status)
        self.jobs[request["TrainingJobName"]] = document

    def stop(self, name: str) -> None:
        if self.describe(name)["TrainingJobStatus"] != "InProgress":
            raise NotRunning("it has ended")
        self.jobs[name] = ended(self.jobs[name], "Stopped", "Stopped")

    def describe(self, name: str) -> Document:
        if name not in self.jobs:
            raise UnknownJob(name)
        return self.jobs[name]

    def names(self) -> list[str]:
        return list(self.jobs)


@dataclass
class Series:
    """Answers that are given one after another."""

    left: list[Any]


@dataclass
class Function:
    """TrainFunction: what each step answers; an exception is raised as Lambda does."""

    bucket: str
    steps: list[dict[str, Any]] = field(default_factory=list)
    models: list[str] = field(default_factory=lambda: ["a"])
    answers: dict[str, Any] = field(default_factory=dict)

    def __call__(self, _: str, payload: bytes) -> Invocation:
        step = json.loads(payload)
        self.steps.append(step)
        answer = self.answers.get(step["step"]) or getattr(self, step["step"])(step)
        if isinstance(answer, Series):
            answer = answer.left.pop(0)
        if isinstance(answer, Exception):
            document = {"errorType": type(answer).__name__, "errorMessage": str(answer)}
            return Invocation(json.dumps(document).encode(), "Unhandled", "", b"")
        return Invocation(json.dumps(answer).encode(), None, "", b"")

    def plan(self, _: Any) -> Any:
        return {"jobs": [planned(each) for each in self.models], "concurrency": 2}

    def refusal(self, step: Any) -> Any:
        """As the function decides, without its pauses."""
        found = refusal.read(step["error"], step["cause"], step["times"])
        return asdict(replace(found, seconds=min(found.seconds, 1)))

    def judge(self, step: Any) -> Any:
        assert step["artifact"].startswith("s3://b/training/e/a/")
        verdict = {"verdict": "PUBLISH", "reason": "good", "version": "0" * 12}
        return verdict | {"metrics": METRICS, "copy_source": f"{self.bucket}/trained"}

    def outcome(self, _: Any) -> Any:
        return {"status": "READY", "live": True, "reason": "", "violations": []}

    def summary(self, step: Any) -> Any:
        return {"jobs": step["jobs"], "counts": {}}


def planned(model: str) -> dict[str, Any]:
    return {
        "model": model,
        "name": f"{model}-base",
        "hyperparameters": {"recipe": '"cifar10"'},
        "channels": [],
        "resources": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 50},
        "network": None,
        "spot": False,
        "stopping": {"MaxRuntimeInSeconds": 60},
        "output": {"S3OutputPath": "s3://b/training/e/a"},
        "checkpoints": "s3://b/training/e/a/checkpoints/0",
        "metric": "validation_accuracy",
        "minimum": 0.5,
        "allow_worse": False,
        "level": 0.05,
    }


Change = Callable[[dict[str, Any]], None]


def quick(definition: Path) -> str:
    """The state machine with no pauses to speak of."""

    def hurried(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {each: hurried(each, inner) for each, inner in value.items()}
        if isinstance(value, list):
            return [hurried(name, inner) for inner in value]
        limits = {"IntervalSeconds": 1, "Seconds": 1, "MaxAttempts": 2, "BackoffRate": 1}
        return min(value, limits[name]) if name in limits else value

    return json.dumps(hurried("", json.loads(definition.read_text())))


BEFORE = {
    "executionArn": "arn:aws:states:us-east-1:123456789012:execution:train:before",
    "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:train",
    "name": "before",
    "input": '{"jobs": []}',
    "startDate": "2026-01-02T03:04:05+00:00",
    "status": "RUNNING",
}
"""An execution that ran when an earlier stack was killed."""


class Machine:
    """An account with the template's state machine."""

    def __init__(self, folder: Path) -> None:
        self.service = Service()
        self.executions: list[Execution] = []
        self.kept: dict[str, Any] = {}
        self.past = PastExecutions([BEFORE], self.kept.__setitem__)
        self._opened = ExitStack()
        state = State(folder)
        self._opened.callback(state.close)
        self.aws = Aws(state)
        self.aws.start()
        self._opened.callback(self.aws.close)
        read = template.load(ROOT / "template.yaml")
        (folder / "quick.json").write_text(quick(read.definitions[MACHINE]))
        read = replace(read, definitions={MACHINE: folder / "quick.json"})
        self.resolve = self.aws.create_stack("train", read.for_moto(), {"TrainingCode": "code/x"})
        self.bucket = self.resolve({"Ref": "Bucket"})
        self.function = Function(self.bucket)
        self._opened.enter_context(self.aws.invoking_functions(self.function, lambda *_: None))
        self._opened.enter_context(
            self.aws.running_training_jobs(self.service, self.executions.append, self.past)
        )
        self._numbers = count(1)
        self.name = ""

    def forget(self) -> None:
        """Whatever happened before."""
        self.name = f"execution-{next(self._numbers)}"
        self.executions.clear()
        vars(self.service).update(vars(Service()))
        vars(self.function).update(vars(Function(self.bucket)))
        s3 = self.aws.client("s3")
        s3.put_object(Bucket=self.bucket, Key="trained", Body=b"model")
        for model in "abc":
            s3.delete_object(Bucket=self.bucket, Key=f"mme/{model}.tar.gz")

    def start(self, document: str = '{"jobs": []}') -> str:
        """Starts an execution; its ARN."""
        started = self.aws.client("stepfunctions").start_execution(
            stateMachineArn=self.resolve({"Ref": MACHINE}), name=self.name, input=document
        )
        return str(started["executionArn"])

    def end(self, execution: str) -> dict[str, Any]:
        sfn = self.aws.client("stepfunctions")

        def described() -> dict[str, Any]:
            found: dict[str, Any] = sfn.describe_execution(executionArn=execution)
            return found

        wait_until(lambda: described()["status"] != "RUNNING")
        return described()

    def run(self) -> dict[str, Any]:
        """The output of an execution that succeeds."""
        found = self.end(self.start())
        assert found["status"] == "SUCCEEDED", found
        output: dict[str, Any] = json.loads(found["output"])
        return output

    def report(self) -> dict[str, Any]:
        """The report of the only job."""
        (job,) = self.run()["jobs"]
        return dict(job)

    def close(self) -> None:
        self._opened.close()
        for service in ("s3", "dynamodb", "sqs", "sns", "lambda", "iam", "cloudformation"):
            _reset(service)


def _reset(service: str) -> None:
    from moto.backends import get_backend

    for account in get_backend(service).values():  # type: ignore[call-overload]
        for region in account.values():
            region.reset()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    opened = Machine(tmp_path_factory.mktemp("state"))
    yield opened
    opened.close()


@pytest.fixture
def machine(shared: Machine) -> Machine:
    """The machine as if nothing had happened; each test's execution has a name of its own."""
    shared.forget()
    return shared


Make = Callable[[Change], dict[str, Any]]


@pytest.fixture
def changed(machine: Machine) -> Make:
    """The report of the only job, by a state machine whose definition was changed."""

    def report(change: Change) -> dict[str, Any]:
        sfn, arn = machine.aws.client("stepfunctions"), machine.resolve({"Ref": MACHINE})
        before = sfn.describe_state_machine(stateMachineArn=arn)["definition"]
        document = json.loads(before)
        change(document)
        sfn.update_state_machine(stateMachineArn=arn, definition=json.dumps(document))
        try:
            return machine.report()
        finally:
            sfn.update_state_machine(stateMachineArn=arn, definition=before)

    return report


def test_a_good_job_is_published(machine: Machine) -> None:
    report = machine.report()
    assert report == {
        "model": "a",
        "outcome": "READY",
        "version": "0" * 12,
        "live": True,
        "training_job": "a-base-0-1-0",
        "metrics": METRICS,
        "reason": "good",
    }
    copied = machine.aws.client("s3").get_object(Bucket=machine.bucket, Key="mme/a.tar.gz")
    assert copied["Body"].read() == b"model"
    assert [(each.name, each.status) for each in machine.executions] == [
        (machine.name, "SUCCEEDED")
    ]


def test_the_plan_gets_execution_and_code(machine: Machine) -> None:
    machine.run()
    plan = machine.function.steps[0]
    assert plan["input"] == {"jobs": []}
    assert plan["code"] == "code/x"
    assert plan["execution"]["name"] == machine.name
    assert plan["execution"]["id"].endswith(f":{machine.name}")
    assert plan["execution"]["started"]


def test_the_training_job_is_as_planned(machine: Machine) -> None:
    machine.run()
    job = machine.service.jobs["a-base-0-1-0"]
    wanted = planned("a")
    assert job["HyperParameters"] == wanted["hyperparameters"]
    assert job["StoppingCondition"] == wanted["stopping"]
    assert job["OutputDataConfig"] == wanted["output"]
    assert job.get("VpcConfig") is None
    assert job["CheckpointConfig"] == {
        "S3Uri": wanted["checkpoints"],
        "LocalPath": "/opt/ml/checkpoints",
    }
    assert job["ResourceConfig"] == wanted["resources"]
    assert job["RoleArn"] == machine.resolve({"Fn::GetAtt": ["TrainingRole", "Arn"]})
    image = job["AlgorithmSpecification"]["TrainingImage"]
    assert image.startswith("763104351884.dkr.ecr.us-east-1.")


@pytest.mark.parametrize("document", ['{"jobs": []}', "[]"])
def test_invalid_input_fails_the_execution(machine: Machine, document: str) -> None:
    class BadInput(Exception):
        pass

    machine.function.answers["plan"] = BadInput("jobs[0].model: missing")
    found = machine.end(machine.start(document))
    assert (found["status"], found["error"]) == ("FAILED", "BadInput")
    assert found["cause"] == "jobs[0].model: missing"
    assert not machine.service.jobs


@pytest.mark.filterwarnings("ignore:Exception\\(Throttled\\):UserWarning")
@pytest.mark.parametrize("error", [Throttled("slow down"), quota(1, used=1)])
def test_asks_again_for_a_refused_job_under_another_name(
    machine: Machine, error: Exception
) -> None:
    machine.service.ends = [error]
    report = machine.report()
    assert (report["outcome"], report["training_job"]) == ("READY", "a-base-0-2-0")


@pytest.mark.parametrize(
    ("error", "name", "reason"),
    [
        (quota(0, used=0), "ResourceLimitExceededException", "Request an increase in Service"),
        (Invalid("no such instance type"), "AmazonSageMakerException", "no such instance type"),
    ],
)
def test_what_no_waiting_changes_fails_at_once(
    machine: Machine, error: Exception, name: str, reason: str
) -> None:
    machine.service.ends = [error]
    report = machine.report()
    assert (report["outcome"], report["error"]) == ("FAILED", f"SageMaker.{name}")
    assert reason in report["reason"]
    assert report["training_job"] == "a-base"
    assert not machine.service.jobs


def test_reports_sagemakers_error_if_nothing_decides_about_it(machine: Machine) -> None:
    machine.service.ends = [quota(0, used=0)]
    machine.function.answers["refusal"] = RuntimeError("broken")
    report = machine.report()
    assert report["error"] == "SageMaker.ResourceLimitExceededException"
    assert "is 0 Instances" in report["reason"]


def test_retries_a_job_for_lack_of_capacity(machine: Machine) -> None:
    lacking = "CapacityError: Unable to provision requested ML compute capacity."
    machine.service.ends = [("Failed", lacking)] * 2
    report = machine.report()
    assert (report["outcome"], report["training_job"]) == ("READY", "a-base-0-3-0")


def test_gives_up_waiting_for_capacity(machine: Machine) -> None:
    lacking = "CapacityError: Unable to provision requested ML compute capacity."
    machine.service.ends = [("Failed", lacking)] * 5
    report = machine.report()
    assert (report["outcome"], report["reason"]) == ("FAILED", lacking)
    assert len(machine.service.jobs) == 5


TOOLKIT = 'AlgorithmError: ExecuteUserScriptError:\nExitCode {}\nErrorMessage ""\nCommand "x"'
"""As sagemaker_training.errors writes the end of a script."""

KILLED = [
    "AlgorithmError: killed (out of memory?), exit code: 137",
    TOOLKIT.format(137),
    TOOLKIT.format(-9),
]


@pytest.mark.parametrize(
    "reason", [*KILLED, "InternalServerError: We encountered an internal error. Please try again."]
)
def test_a_killed_job_continues_from_its_checkpoints(machine: Machine, reason: str) -> None:
    lacking = "CapacityError: Unable to provision requested ML compute capacity."
    machine.service.ends = [("Failed", each) for each in (reason, lacking, reason)]
    report = machine.report()
    assert (report["outcome"], report["training_job"]) == ("READY", "a-base-0-4-0")
    names = [f"a-base-0-{number}-0" for number in range(1, 5)]
    assert list(machine.service.jobs) == names
    checkpoints = {str(job["CheckpointConfig"]) for job in machine.service.jobs.values()}
    assert len(checkpoints) == 1


@pytest.mark.parametrize("reason", KILLED)
def test_a_job_that_is_killed_three_times_has_failed(machine: Machine, reason: str) -> None:
    machine.service.ends = [("Failed", reason)] * 3
    report = machine.report()
    assert (report["outcome"], report["error"]) == ("FAILED", "TrainingJobKilled")
    assert report["reason"].startswith("killed (out of memory?), 3 times: choose an instance type")
    assert report["reason"].endswith(f"({reason})")


@pytest.mark.parametrize(
    "reason", ["AlgorithmError: error: no images, exit code: 1", TOOLKIT.format(1)]
)
def test_a_job_that_ended_by_itself_is_not_repeated(machine: Machine, reason: str) -> None:
    machine.service.ends = [("Failed", reason)]
    assert machine.report()["reason"] == reason
    assert len(machine.service.jobs) == 1


def test_a_name_in_use_fails_that_job(machine: Machine) -> None:
    machine.service.ends = [JobExists("there is one")]
    report = machine.report()
    assert (report["outcome"], report["error"]) == ("FAILED", "SageMaker.ResourceInUseException")
    assert "there is one" in report["reason"]
    assert report["training_job"] == "a-base"


def test_a_failed_job_stops_no_other(machine: Machine) -> None:
    machine.function.models = ["a", "b", "c"]
    machine.service.ends = [("Failed", "AlgorithmError: no images")] * 2
    outcomes = [job["outcome"] for job in machine.run()["jobs"]]
    assert sorted(outcomes) == ["FAILED", "FAILED", "READY"]


def test_reports_a_stopped_job_with_its_reason(machine: Machine) -> None:
    machine.service.ends = [("Stopped", "MaxRuntimeExceeded")]
    report = machine.report()
    assert report == {
        "model": "a",
        "outcome": "STOPPED",
        "training_job": "a-base-0-1-0",
        "reason": "the training job was stopped: MaxRuntimeExceeded",
    }


def test_reports_a_stopped_job_that_sagemaker_counts_as_success(
    changed: Make,
) -> None:
    """Whether `.sync` succeeds then is not documented: the machine must do right either way."""
    end = {"TrainingJobName": "j", "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}

    def after_training(document: dict[str, Any]) -> None:
        each = document["States"]["TrainEach"]
        each["ItemProcessor"]["StartAt"] = "DidItComplete"
        each["ItemSelector"]["training"] = end

    report = changed(after_training)
    assert (report["outcome"], report["training_job"]) == ("STOPPED", "j")


def test_does_not_publish_a_model_below_the_minimum(machine: Machine) -> None:
    verdict = {"verdict": "WORSE", "reason": "0.8 < 0.9", "version": "1" * 12, "metrics": METRICS}
    machine.function.answers["judge"] = verdict | {"copy_source": "x"}
    report = machine.report()
    assert (report["outcome"], report["reason"]) == ("WORSE", "0.8 < 0.9")
    assert report["metrics"] == METRICS
    listed = machine.aws.client("s3").list_objects_v2(Bucket=machine.bucket, Prefix="mme/")
    assert listed["KeyCount"] == 0


def test_reports_the_message_of_a_functions_error(machine: Machine) -> None:
    class NoManifest(Exception):
        pass

    machine.function.answers["judge"] = NoManifest("there is none")
    report = machine.report()
    assert (report["outcome"], report["error"]) == ("FAILED", "NoManifest")
    assert report["reason"] == "there is none"
    assert report["training_job"] == "a-base-0-1-0"


def test_retries_a_transient_error_of_a_function(machine: Machine) -> None:
    """Neither of the judge nor, once the model is published, of a look at its onboarding."""
    verdict = machine.function.judge({"artifact": "s3://b/training/e/a/"})
    machine.function.answers["judge"] = Series([RuntimeError("no connection"), verdict])
    ready = machine.function.outcome({})
    machine.function.answers["outcome"] = Series([RuntimeError("no connection"), ready])
    assert machine.report()["outcome"] == "READY"


def test_reports_a_failed_copy(machine: Machine) -> None:
    machine.aws.client("s3").delete_object(Bucket=machine.bucket, Key="trained")
    report = machine.report()
    assert report["outcome"] == "FAILED"
    assert report["error"].startswith("s3.")
    assert report["reason"]


def test_waits_for_onboarding(machine: Machine) -> None:
    pending = {"status": "PENDING", "live": False, "reason": "", "violations": []}
    rejected = pending | {"status": "REJECTED", "reason": "bad", "violations": [{"code": "x"}]}
    machine.function.answers["outcome"] = Series([pending, pending, rejected])
    report = machine.report()
    assert (report["outcome"], report["reason"]) == ("REJECTED", "bad")
    assert report["violations"] == [{"code": "x"}]


def test_gives_up_waiting_for_onboarding(machine: Machine, changed: Make) -> None:
    def last_round(document: dict[str, Any]) -> None:
        states = document["States"]["TrainEach"]["ItemProcessor"]["States"]
        states["FirstRound"]["Result"] = {"seconds": 63}
        states["WaitForOnboarding"] = {"Type": "Wait", "Seconds": 1, "Next": "Outcome"}

    pending = {"status": "PENDING", "live": False, "reason": "", "violations": []}
    machine.function.answers["outcome"] = pending
    report = changed(last_round)
    assert report["outcome"] == "ONBOARDING_TIMED_OUT"
    assert "the version is PENDING after 17 minutes" in report["reason"]


def test_reports_jobs_even_if_the_topic_is_missing(machine: Machine) -> None:
    topic = machine.resolve({"Ref": "TrainingTopic"})
    sns = machine.aws.client("sns")
    sns.delete_topic(TopicArn=topic)
    output = machine.run()
    assert sns.create_topic(Name=topic.rpartition(":")[2])["TopicArn"] == topic
    assert output["not_told"]["Error"] == "SNS.NotFoundException"
    assert [job["outcome"] for job in output["jobs"]] == ["READY"]


def test_a_stopped_execution_stops_its_job_and_is_aborted(machine: Machine) -> None:
    machine.service.ends = [("InProgress", "")]
    execution = machine.start()
    wait_until(lambda: machine.service.jobs)
    machine.aws.client("stepfunctions").stop_execution(executionArn=execution)
    assert machine.end(execution)["status"] == "ABORTED"
    (job,) = machine.service.jobs.values()
    assert job["TrainingJobStatus"] == "Stopped"


def test_an_execution_stopped_while_its_job_is_created_stops_the_job(machine: Machine) -> None:
    machine.service.ends = [("InProgress", "")]
    create, state_machine = machine.service.create, machine.resolve({"Ref": MACHINE})
    execution = f"{state_machine.replace(':stateMachine:', ':execution:')}:{machine.name}"

    def create_and_stop(request: Mapping[str, Any], arn: str) -> None:
        create(request, arn)
        stepfunctions_parser_backends[ACCOUNT][REGION].stop_execution(execution)

    with mock.patch.object(machine.service, "create", create_and_stop):
        assert machine.end(machine.start())["status"] == "ABORTED"
    (job,) = machine.service.jobs.values()
    assert job["TrainingJobStatus"] == "Stopped"


def test_an_execution_stopped_at_once_trains_nothing(machine: Machine) -> None:
    machine.service.ends = [("InProgress", "")]
    entrypoint = ExecutionWorker._get_evaluation_entrypoint

    def slow(worker: ExecutionWorker) -> Any:
        time.sleep(0.5)
        return entrypoint(worker)

    session = boto3.Session(*machine.aws.credentials, region_name=REGION)
    once = Config(retries={"total_max_attempts": 1})
    sfn = session.client("stepfunctions", endpoint_url=machine.aws.url, config=once)
    with mock.patch.object(ExecutionWorker, "_get_evaluation_entrypoint", slow):
        execution = machine.start()
        sfn.stop_execution(executionArn=execution)
    assert machine.end(execution)["status"] == "ABORTED"
    assert not machine.service.jobs


def test_a_job_with_a_vpc_config_trains_in_it(machine: Machine) -> None:
    network = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    plan = {"jobs": [planned("a") | {"network": network}], "concurrency": 2}
    machine.function.answers["plan"] = plan
    assert machine.report()["outcome"] == "READY"
    assert machine.service.jobs["a-base-0-1-0"]["VpcConfig"] == network


def request(name: str, channel: str = "training") -> dict[str, Any]:
    """CreateTrainingJob's."""
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://models/data"}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/r-long-enough",
        "InputDataConfig": [{"ChannelName": channel, "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": planned("a")["output"],
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


def test_sagemakers_api_uses_the_service(machine: Machine) -> None:
    sagemaker = machine.aws.client("sagemaker")
    machine.service.ends = [("InProgress", "")]
    made = sagemaker.create_training_job(**request("mine"))
    assert made["TrainingJobArn"].endswith(":training-job/mine")
    (listed,) = sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
    assert listed["TrainingJobName"] == "mine"
    sagemaker.stop_training_job(TrainingJobName="mine")
    job = sagemaker.describe_training_job(TrainingJobName="mine")
    assert (job["TrainingJobStatus"], job["TrainingJobArn"]) == ("Stopped", made["TrainingJobArn"])
    folder = planned("a")["output"]["S3OutputPath"]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"{folder}/mine/output/model.tar.gz"
    assert sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"] == []
    for call in (sagemaker.stop_training_job, sagemaker.describe_training_job):
        with pytest.raises(sagemaker.exceptions.ClientError, match="ValidationException"):
            call(TrainingJobName="other")


@pytest.mark.parametrize(
    ("name", "channel", "problem"),
    [
        ("../../../victim", "training", "TrainingJobName"),
        ("a/b", "training", "TrainingJobName"),
        ("-a", "training", "TrainingJobName"),
        ("a" * 64, "training", "TrainingJobName"),
        ("a", "../code", "InputDataConfig.1.member.ChannelName"),
        ("a", "..", "InputDataConfig.1.member.ChannelName"),
    ],
)
def test_rejects_names_that_sagemaker_rejects(
    machine: Machine, name: str, channel: str, problem: str
) -> None:
    sagemaker = machine.aws.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ClientError, match="ValidationException") as caught:
        sagemaker.create_training_job(**request(name, channel))
    value = channel if name == "a" else name
    assert f"1 validation error detected: Value '{value}'" in str(caught.value)
    assert f"at '{problem}'" in str(caught.value)
    assert not machine.service.jobs


def test_descriptions_lack_settings_that_nobody_gave(machine: Machine) -> None:
    sagemaker = machine.aws.client("sagemaker")
    sagemaker.create_model(ModelName="m", ExecutionRoleArn="arn:aws:iam::123456789012:role/r")
    variant = {"VariantName": "all", "ModelName": "m", "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="c",
        ProductionVariants=[variant | {"InitialInstanceCount": 1, "InitialVariantWeight": 1.0}],
    )
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    for description in (
        sagemaker.describe_endpoint(EndpointName="e"),
        sagemaker.describe_endpoint_config(EndpointConfigName="c"),
        sagemaker.describe_model(ModelName="m"),
    ):
        assert {} not in description.values(), description


def test_an_execution_that_a_restart_ended_has_failed(machine: Machine) -> None:
    states = machine.aws.client("stepfunctions")
    found = states.describe_execution(executionArn=BEFORE["executionArn"])
    assert (found["status"], found["name"], found["input"]) == ("FAILED", "before", BEFORE["input"])
    assert found["cause"] == STACK_ENDED
    assert found["startDate"] < found["stopDate"]
    assert machine.kept[BEFORE["executionArn"]]["status"] == "FAILED"
    with pytest.raises(states.exceptions.ExecutionDoesNotExist):
        states.describe_execution(executionArn=BEFORE["executionArn"] + "x")


def test_executions_are_kept_from_their_start_to_their_end(machine: Machine) -> None:
    execution = machine.start()
    assert machine.kept[execution]["status"] in ("RUNNING", "SUCCEEDED", "FAILED")
    described = machine.end(execution)
    again = PastExecutions([machine.kept[execution]]).document(execution)
    assert again is not None
    assert (again["status"], again["input"]) == (described["status"], described["input"])


def test_an_execution_without_a_name_gets_one(machine: Machine) -> None:
    states = machine.aws.client("stepfunctions")
    names = set()
    for _ in range(2):
        started = states.start_execution(
            stateMachineArn=machine.resolve({"Ref": MACHINE}), input='{"jobs": []}'
        )
        machine.end(started["executionArn"])
        names.add(states.describe_execution(executionArn=started["executionArn"])["name"])
    assert len(names) == 2
    assert "None" not in names
