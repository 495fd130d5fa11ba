"""The input of the training state machine: its schema, and error messages that name fields."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, ValidationError

from facet.errors import FacetError
from facet.keys import MODEL_NAME, WEIGHTS_PREFIX
from facet.recipes import Metric
from facet.specs import Frozen
from train.quality_gate import LEVEL

Name = Annotated[str, Field(pattern=rf"^{MODEL_NAME.pattern}$")]
Hyperparameter = str | int | float | bool

MAX_JOBS = 40
"""Jobs of one execution. With the rounds in which each waits for onboarding, an execution stays
below the 25,000 events that Step Functions allows."""

MAX_RUNTIME = 28 * 24 * 3600
"""Seconds; the longest that SageMaker lets a training job run."""


class BadInput(FacetError):
    """The execution's input is invalid; the message has one line for each wrong field."""


class JobInput(Frozen):
    """One entry of `jobs`. The recipe supplies whatever is None.

    `weights` is a prefix of the bucket with pretrained weights, such as `weights/vgg16/`;
    `max_runtime` is in seconds; `spot` trains on spare capacity, which AWS may reclaim. `level` is
    the significance level of the gate's tests. `resume` names an earlier execution with this job,
    whose checkpoint is continued.
    """

    model: Name
    recipe: str
    dataset: Name
    hyperparameters: dict[str, Hyperparameter] = Field(default_factory=dict)
    instance_type: str | None = Field(default=None, pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    instance_count: int = Field(default=1, ge=1, le=20)
    spot: bool = False
    max_runtime: int | None = Field(default=None, ge=1, le=MAX_RUNTIME)
    metric: Metric | None = None
    minimum: float | None = Field(default=None, ge=0, le=1)
    level: float = Field(default=LEVEL, gt=0, le=0.5)
    allow_worse: bool = False
    weights: str | None = Field(default=None, pattern=rf"^{WEIGHTS_PREFIX}.+/$")
    resume: str | None = Field(default=None, min_length=1, max_length=80)


class Input(Frozen):
    """The execution's input. `concurrency` jobs train at once."""

    jobs: tuple[JobInput, ...] = Field(min_length=1, max_length=MAX_JOBS)
    concurrency: int = Field(default=2, ge=1, le=MAX_JOBS)


def parse(document: object) -> Input:
    """Validates an execution's input. Raises BadInput."""
    try:
        return Input.model_validate(document)
    except ValidationError as error:
        raise BadInput("\n".join(_messages(error))) from error


def _messages(error: ValidationError) -> Iterator[str]:
    problems = error.errors()
    inside = any(problem["loc"][:1] == ("jobs",) and problem["loc"][1:] for problem in problems)
    for problem in problems:
        if problem["loc"] == ("jobs",) and inside:
            continue  # pydantic counts the valid jobs only
        if not problem["loc"]:
            yield 'input: it must be an object, such as {"jobs": [...]}.'
            continue
        value = "" if isinstance(problem["input"], dict | list) else f" {problem['input']}"
        yield f"{_field(problem['loc'])}{value}: {problem['msg']}."


def _field(place: tuple[int | str, ...]) -> str:
    """Such as `jobs[0].hyperparameters.epochs`, without the types that a value might have had."""
    named = [part for part in place if part not in ("str", "int", "float", "bool")]
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in named)
    return "".join(parts).lstrip(".")
