"""The Lambda function of the training state machine: `step` of the event selects what it does.

`plan` checks the input, `refusal` decides whether to ask SageMaker again for a job that it refused,
`judge` compares a trained model with the live version, `outcome` reads what onboarding did with a
published model, and `summary` counts the results.
"""

from collections import Counter
from dataclasses import asdict
from functools import cache
from typing import Annotated, Any, Literal

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, TypeAdapter

from facet.errors import NoLiveVersion, UnknownModel, Violation
from facet.keys import version_key
from facet.observability import count, logger
from facet.registry.models import Version
from facet.registry.store import Registry
from facet.settings import settings
from train import refusal
from train.bucket import Bucket
from train.plan import plan
from train.quality_gate import Gate, judge, read
from train.training_job import DEFAULT_SECURITY, Execution, JobSecurity


class PlanStep(BaseModel):
    """The first step: `input` is the execution's input, `code` the key of the training code."""

    step: Literal["plan"]
    execution: Execution
    input: Any
    code: str
    security: JobSecurity = Field(default=DEFAULT_SECURITY, alias="place")


class RefusalStep(BaseModel):
    """After SageMaker refused to create a training job: its `error` and `cause` as the state
    machine has them, and how many `times` it had refused this one before."""

    step: Literal["refusal"]
    error: str
    cause: str
    times: int


class JudgeStep(BaseModel):
    """After a training job: `artifact` is the URI of its `model.tar.gz`."""

    step: Literal["judge"]
    model: str
    artifact: str
    gate: Gate


class OutcomeStep(BaseModel):
    """After the upload, repeated until onboarding has decided about the version."""

    step: Literal["outcome"]
    model: str
    version: str


class SummaryStep(BaseModel):
    """The last step: `jobs` are the reports, each with an `outcome`."""

    step: Literal["summary"]
    jobs: list[dict[str, Any]]


Step = PlanStep | RefusalStep | JudgeStep | OutcomeStep | SummaryStep
STEP: TypeAdapter[Step] = TypeAdapter(Annotated[Step, Field(discriminator="step")])


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Runs one step and returns its result.

    The class name and message of an exception become `Error` and `Cause` in the state machine.
    """
    logger().set_correlation_id(context.aws_request_id)
    match STEP.validate_python(event):
        case PlanStep() as step:
            planned = plan(
                step.input, step.execution, step.code, bucket(), step.security, _live_artifact
            )
            return asdict(planned)
        case RefusalStep() as step:
            found = refusal.read(step.error, step.cause, step.times)
            logger().warning("training job refused", cause=step.cause, **asdict(found))
            return asdict(found)
        case JudgeStep() as step:
            return _gate(step)
        case OutcomeStep() as step:
            return _outcome(step.model, registry().find(step.model, step.version))
        case SummaryStep(jobs=jobs):
            counts = Counter(job["outcome"] for job in jobs)
            for outcome, number in counts.items():
                count("TrainingJobs", number, outcome=outcome)
            return {"jobs": jobs, "counts": counts}


def _gate(step: JudgeStep) -> dict[str, Any]:
    artifact = bucket().open(bucket().key(step.artifact))
    candidate = read(artifact.body, artifact.size)
    verdict = judge(candidate.manifest, step.gate, _live(step.model))
    logger().info("judged", model=step.model, version=candidate.version, **asdict(verdict))
    return {
        "version": candidate.version,
        "metrics": candidate.manifest.metrics,
        "copy_source": artifact.copy_source,
        **asdict(verdict),
    }


def _live(model: str) -> Version | None:
    try:
        return registry().live(model)
    except (UnknownModel, NoLiveVersion):
        return None


def _live_artifact(model: str) -> str | None:
    """The key of the live version's artifact, if there is one."""
    live = _live(model)
    key = version_key(model, live.id) if live else ""
    return key if key and bucket().has(key) else None


def _outcome(model: str, version: Version | None) -> dict[str, Any]:
    """`status` is UNKNOWN until onboarding has begun."""
    if version is None:
        return {"status": "UNKNOWN", "violations": [], "reason": "", "live": False}
    return {
        "status": version.status,
        "violations": [asdict(violation) for violation in version.violations],
        "reason": "; ".join(map(_describe, version.violations)),
        "live": registry().model(model).live == version.id,
    }


def _describe(violation: Violation) -> str:
    return f"{violation.code} ({violation.place}): {violation.problem}"


@cache
def bucket() -> Bucket:
    return Bucket(boto3.client("s3"), settings().bucket)


@cache
def registry() -> Registry:
    return Registry(boto3.resource("dynamodb").Table(settings().table))
