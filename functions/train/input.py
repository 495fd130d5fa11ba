"""What an execution of the training state machine may be given."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, ValidationError

from facet.errors import FacetError
from facet.manifest import MODEL_NAME, Frozen
from facet.recipes import Metric

Name = Annotated[str, Field(pattern=rf"^{MODEL_NAME.pattern}$")]
Hyperparameter = str | int | float | bool

MAX_JOBS = 40
"""Jobs of one execution: with the rounds in which each waits for its onboarding they stay below
the 25,000 events that Step Functions allows an execution."""

LONGEST = 28 * 24 * 3600
"""Seconds that SageMaker lets a training job run at most."""


class BadInput(FacetError):
    """The execution's input cannot be carried out; one line for each field that is wrong."""


class JobInput(Frozen):
    """One entry of `jobs`. What is None comes from the recipe.

    `weights` is a folder of the bucket with pretrained weights, such as `weights/vgg16/`;
    `max_runtime` is in seconds; `spot` trains on spare capacity, which may be taken away.
    """

    model: Name
    recipe: str
    dataset: Name
    hyperparameters: dict[str, Hyperparameter] = Field(default_factory=dict)
    instance_type: str | None = Field(default=None, pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    instance_count: int = Field(default=1, ge=1, le=20)
    spot: bool = False
    max_runtime: int | None = Field(default=None, ge=1, le=LONGEST)
    metric: Metric | None = None
    minimum: float | None = Field(default=None, ge=0, le=1)
    allow_worse: bool = False
    weights: str | None = Field(default=None, pattern=r"^weights/.+/$")


class Input(Frozen):
    """The execution's input; `concurrency` jobs train at once."""

    jobs: tuple[JobInput, ...] = Field(min_length=1, max_length=MAX_JOBS)
    concurrency: int = Field(default=2, ge=1, le=MAX_JOBS)


def parse(document: object) -> Input:
    """The input, if it has the form of one. Raises BadInput."""
    try:
        return Input.model_validate(document)
    except ValidationError as error:
        raise BadInput("\n".join(_worded(error))) from error


def _worded(error: ValidationError) -> Iterator[str]:
    for each in error.errors():
        place = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"]
        )
        value = "" if isinstance(each["input"], dict | list) else f" {each['input']}"
        yield f"{place.lstrip('.') or 'input'}{value}: {each['msg']}."
