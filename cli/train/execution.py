"""An execution of the training state machine with one job: started, looked at, stopped."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.client.stack import Stack
from facet.errors import FacetError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

TRAINING = ("Train", "TrainInNetwork")
STAGES = {
    "Plan": "the input is being checked",
    "WaitForCapacity": "SageMaker has no such instance now, it is asked again in five minutes",
    "Judge": "the artifact is being judged",
    "FirstRound": "published, onboarding checks it",
}
"""States of the machine that a person is told of, besides those that train."""

RECENT = 50
"""Of an execution's newest events so many hold its latest state."""

Report = Mapping[str, Any]
"""What the state machine tells of a job: `model`, `outcome`, and more (docs/training.md)."""


class NoMachine(FacetError):
    """The stack has no state machine that trains."""


class NotTrained(FacetError):
    """The execution ended without a report of its job; the message says why."""


@dataclass(frozen=True)
class Sight:
    """How an execution stands: in words, its training job if there is one, its report at the end.

    `stage` is empty where there is nothing new to tell, as `job` is: later events hide it.
    """

    stage: str
    job: str
    report: Report | None


@dataclass(frozen=True)
class Execution:
    """A running one."""

    arn: str
    states: "SFNClient"
    sagemaker: "SageMakerClient"

    @property
    def name(self) -> str:
        """Its own name, without the machine's."""
        return self.arn.rpartition(":")[2]

    def look(self) -> Sight:
        """How it stands now. Raises NotTrained."""
        found = self.states.describe_execution(executionArn=self.arn)
        status = found["status"]
        if status not in ("RUNNING", "SUCCEEDED"):
            cause = found.get("cause", "").replace("jobs[0].", "")
            raise NotTrained(cause or f"execution {self.name} is {status}")
        events = self._events()
        job = next(filter(None, map(_submitted, events)), "")
        state = next(filter(None, map(_entered, events)), "")
        if status == "SUCCEEDED":
            (report,) = json.loads(found["output"])["jobs"]
            return Sight("", job, report)
        return Sight(self._status(job) if state in TRAINING else STAGES.get(state, ""), job, None)

    def stop(self) -> None:
        """Stops it, and its training job with it."""
        self.states.stop_execution(executionArn=self.arn)

    def _events(self) -> list["HistoryEventTypeDef"]:
        """The newest first."""
        history = self.states.get_execution_history(
            executionArn=self.arn, maxResults=RECENT, reverseOrder=True
        )
        return sorted(history["events"], key=lambda each: -each["id"])

    def _status(self, job: str) -> str:
        if not job:
            return ""
        return self.sagemaker.describe_training_job(TrainingJobName=job)["SecondaryStatus"]


def start(stack: Stack, job: Mapping[str, object]) -> Execution:
    """Starts an execution with this one job. Raises NoMachine."""
    if not stack.state_machine:
        raise NoMachine(f"{stack.name} has no state machine that trains: deploy it anew")
    states: SFNClient = stack.client("stepfunctions")
    started = states.start_execution(
        stateMachineArn=stack.state_machine,
        name=f"{job['model']}-{uuid.uuid4().hex[:8]}",
        input=json.dumps({"jobs": [job]}),
    )
    return Execution(started["executionArn"], states, stack.client("sagemaker"))


def _submitted(event: "HistoryEventTypeDef") -> str:
    """The training job that the event tells of."""
    told = event.get("taskSubmittedEventDetails", {})
    if not told.get("resource", "").startswith("createTrainingJob"):
        return ""
    return str(json.loads(told["output"])["TrainingJobArn"]).rpartition("/")[2]


def _entered(event: "HistoryEventTypeDef") -> str:
    """The state that the event tells of, if anybody is told of it."""
    name = event.get("stateEnteredEventDetails", {}).get("name", "")
    return name if name in STAGES or name in TRAINING else ""
