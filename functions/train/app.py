"""The training state machine's handler: one step's event → its answer."""

from collections import Counter
from dataclasses import asdict
from functools import cache
from typing import Annotated, Any, Literal

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, TypeAdapter

from facet.errors import NoLiveVersion, UnknownModel, Violation
from facet.observability import count, logger
from facet.registry.models import Version
from facet.registry.store import Registry
from facet.settings import settings
from train.bucket import Bucket
from train.plan import ANYWHERE, Execution, JobSecurity, plan
from train.quality_gate import Gate, judge, read


class PlanStep(BaseModel):
    """The first step: `input` is the execution's, `code` the key of the training code, `place` is
    where its jobs run."""

    step: Literal["plan"]
    execution: Execution
    input: Any
    code: str
    place: JobSecurity = ANYWHERE


class JudgeStep(BaseModel):
    """After a training job: `artifact` is the URI of its `model.tar.gz`."""

    step: Literal["judge"]
    model: str
    artifact: str
    gate: Gate


class OutcomeStep(BaseModel):
    """After the copy to the drop, until the version has an outcome."""

    step: Literal["outcome"]
    model: str
    version: str


class SummaryStep(BaseModel):
    """The last step: `jobs` are the reports, each with its `outcome`."""

    step: Literal["summary"]
    jobs: list[dict[str, Any]]


Step = PlanStep | JudgeStep | OutcomeStep | SummaryStep
STEP: TypeAdapter[Step] = TypeAdapter(Annotated[Step, Field(discriminator="step")])


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes one step.

    An error's class name and message become the `Error` and `Cause` in the state machine.
    """
    logger().set_correlation_id(context.aws_request_id)
    match STEP.validate_python(event):
        case PlanStep() as step:
            return asdict(plan(step.input, step.execution, step.code, bucket(), step.place))
        case JudgeStep() as step:
            return _judged(step)
        case OutcomeStep() as step:
            return _outcome(step.model, registry().find(step.model, step.version))
        case SummaryStep(jobs=jobs):
            counts = Counter(each["outcome"] for each in jobs)
            for outcome, times in counts.items():
                count("TrainingJobs", times, outcome=outcome)
            return {"jobs": jobs, "counts": counts}


def _judged(step: JudgeStep) -> dict[str, Any]:
    opened = bucket().open(bucket().key(step.artifact))
    candidate = read(opened.body)
    verdict = judge(candidate.manifest, step.gate, _live(step.model))
    logger().info("judged", model=step.model, version=candidate.version, **asdict(verdict))
    return {
        "version": candidate.version,
        "metrics": candidate.manifest.metrics,
        "copy_source": opened.copy_source,
        **asdict(verdict),
    }


def _live(model: str) -> Version | None:
    try:
        return registry().live(model)
    except (UnknownModel, NoLiveVersion):
        return None


def _outcome(model: str, version: Version | None) -> dict[str, Any]:
    """`status` is UNKNOWN until onboarding has begun."""
    if version is None:
        return {"status": "UNKNOWN", "violations": [], "reason": "", "live": False}
    return {
        "status": version.status,
        "violations": [asdict(each) for each in version.violations],
        "reason": "; ".join(map(_worded, version.violations)),
        "live": registry().model(model).live == version.id,
    }


def _worded(violation: Violation) -> str:
    return f"{violation.code} ({violation.place}): {violation.problem}"


@cache
def bucket() -> Bucket:
    """The bucket of this process."""
    return Bucket(boto3.client("s3"), settings().bucket)


@cache
def registry() -> Registry:
    """The registry of this process."""
    return Registry(boto3.resource("dynamodb").Table(settings().table))
