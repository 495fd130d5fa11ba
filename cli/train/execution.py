"""Start, poll, stop and resume an execution of the training state machine with one job."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.client.stack import Stack
from facet.errors import FacetError
from facet.registry.suggestions import did_you_mean

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

TRAINING = ("Train", "TrainInNetwork")
STAGES = {
    "Plan": "the input is being checked",
    "WaitForQuota": "SageMaker's quota is used up, or SageMaker fails; asking again later",
    "WaitForCapacity": "SageMaker has no such instance now; retrying in five minutes",
    "ContinueFromCheckpoint": "the job was killed; another one continues from its checkpoint",
    "Judge": "the artifact is being judged",
    "FirstRound": "published, onboarding checks it",
}
"""States that are reported, besides those that train."""

NEWEST_EVENTS = 50
"""How many of an execution's newest events are read to find its latest state."""

JobReport = Mapping[str, Any]
"""The state machine's report of a job: `model`, `outcome`, and more (docs/training.md)."""


class NoStateMachine(FacetError):
    """The stack has no training state machine."""


class NotTrained(FacetError):
    """The execution ended without a report of its job; the message says why."""


class CannotResume(FacetError):
    """The execution does not exist, still runs, or has several jobs to choose from."""


@dataclass(frozen=True)
class ExecutionStatus:
    """An execution's stage in words, its training job, and at the end its report.

    `stage` and `job` are empty if the newest events do not contain them.
    """

    stage: str
    job: str
    report: JobReport | None


@dataclass(frozen=True)
class Execution:
    """A started execution."""

    arn: str
    states: "SFNClient"
    sagemaker: "SageMakerClient"

    @property
    def name(self) -> str:
        """The execution's name, the last part of its ARN."""
        return self.arn.rpartition(":")[2]

    def status(self) -> ExecutionStatus:
        """Poll the execution. Raises NotTrained if it ended without a report."""
        found = self.states.describe_execution(executionArn=self.arn)
        status = found["status"]
        if status not in ("RUNNING", "SUCCEEDED"):
            cause = found.get("cause", "").replace("jobs[0].", "")
            raise NotTrained(cause or f"execution {self.name} is {status}")
        events = self._events()
        job = next(filter(None, map(_training_job, events)), "")
        state = next(filter(None, map(_entered_state, events)), "")
        if status == "SUCCEEDED":
            (report,) = json.loads(found["output"])["jobs"]
            return ExecutionStatus("", job, report)
        return ExecutionStatus(
            self._job_status(job) if state in TRAINING else STAGES.get(state, ""), job, None
        )

    def stop(self) -> None:
        """Stop the execution; Step Functions stops its training job."""
        self.states.stop_execution(executionArn=self.arn)

    def _events(self) -> list["HistoryEventTypeDef"]:
        """The newest first."""
        history = self.states.get_execution_history(
            executionArn=self.arn, maxResults=NEWEST_EVENTS, reverseOrder=True
        )
        return sorted(history["events"], key=lambda each: -each["id"])

    def _job_status(self, job: str) -> str:
        if not job:
            return ""
        return self.sagemaker.describe_training_job(TrainingJobName=job)["SecondaryStatus"]


def start(stack: Stack, job: Mapping[str, object]) -> Execution:
    """Start an execution with this job. Raises NoStateMachine."""
    if not stack.state_machine:
        raise NoStateMachine(f"{stack.name} has no state machine for training; deploy it again")
    states: SFNClient = stack.client("stepfunctions")
    started = states.start_execution(
        stateMachineArn=stack.state_machine,
        name=f"{job['model']}-{uuid.uuid4().hex[:8]}",
        input=json.dumps({"jobs": [job]}),
    )
    return Execution(started["executionArn"], states, stack.client("sagemaker"))


def resumed(stack: Stack, execution: str, model: str | None) -> Mapping[str, Any]:
    """Return the job of an execution, as input of another one that continues it.

    `model` chooses among several jobs. Raises CannotResume, NoStateMachine.
    """
    states: SFNClient = stack.client("stepfunctions")
    if not stack.state_machine:
        raise NoStateMachine(f"{stack.name} has no state machine for training; deploy it again")
    found = _describe(states, stack, execution)
    if found["status"] == "RUNNING":
        raise CannotResume(f"execution {execution} is still running; stop it first, or let it end")
    job = _job(execution, json.loads(found["input"]), model)
    # An execution that was itself resumed wrote to the checkpoint that it continued.
    return {**job, "resume": job.get("resume") or execution}


def _describe(states: "SFNClient", stack: Stack, execution: str) -> Mapping[str, Any]:
    arn = f"{stack.state_machine.replace(':stateMachine:', ':execution:')}:{execution}"
    try:
        return states.describe_execution(executionArn=arn)
    except (states.exceptions.ExecutionDoesNotExist, states.exceptions.InvalidArn) as error:
        listed = states.list_executions(stateMachineArn=stack.state_machine, maxResults=100)
        names = [each["name"] for each in listed["executions"]]
        raise CannotResume(
            f"there is no execution '{execution}' of {stack.name}.{did_you_mean(execution, names)}"
        ) from error


def _job(execution: str, document: Any, model: str | None) -> Mapping[str, Any]:
    jobs = document.get("jobs") if isinstance(document, dict) else None
    by_model = {each.get("model"): each for each in jobs or () if isinstance(each, dict)}
    if model is None and len(by_model) == 1:
        (job,) = by_model.values()
        return job
    if model not in by_model:
        raise CannotResume(
            f"execution {execution} trains {', '.join(map(str, by_model)) or 'nothing'}; "
            "choose a model with --model"
        )
    return by_model[model]


def _training_job(event: "HistoryEventTypeDef") -> str:
    """The name of the training job that the event reports, or empty."""
    details = event.get("taskSubmittedEventDetails", {})
    if not details.get("resource", "").startswith("createTrainingJob"):
        return ""
    return str(json.loads(details["output"])["TrainingJobArn"]).rpartition("/")[2]


def _entered_state(event: "HistoryEventTypeDef") -> str:
    """The state that the event enters, if it is one that is reported."""
    name = event.get("stateEnteredEventDetails", {}).get("name", "")
    return name if name in STAGES or name in TRAINING else ""
