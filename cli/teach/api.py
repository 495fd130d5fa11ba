"""The API's documents about teaching, and the wait for one to end."""

import time
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field

from cli.client.api import Api, Document, parse
from facet.errors import FacetError, Violation

RUNNING, PUBLISHED = "RUNNING", "PUBLISHED"

STEPS = {
    "reading": "reading the images",
    "features": "computing features",
    "fitting": "fitting the head",
    "publishing": "publishing the version",
}
"""The API's steps in words."""


class TeachTimeout(FacetError):
    """Time ran out before the teaching ended."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class Backbone(_Document):
    """The version of a backbone."""

    model: str
    version: str


class Taught(_Document):
    """How many images a label has, and how many of them were right when left out."""

    label: str
    images: int
    correct: int


class Confused(_Document):
    """How many images of `label` were answered with the label `answer`."""

    label: str
    answer: str = Field(alias="as")
    images: int


class Mistake(_Document):
    """An image that was answered wrong when left out."""

    label: str
    name: str
    answered: str
    score: float


class Skipped(_Document):
    """An image that was left out, `<label>/<name>`, and why."""

    image: str
    problem: str


class Calibration(_Document):
    """The calibration error without and with the temperature."""

    before: float
    after: float


class Report(_Document):
    """What a teaching reports. Accuracies are of images left out one by one.

    Before the head is fitted, it has only the images that are left out, and copies.
    """

    images: int = 0
    accuracy: float | None = None
    accuracy_low: float = 0
    accuracy_high: float = 0
    calibration_error: Calibration | None = None
    temperature: float = 1
    labels: tuple[Taught, ...] = ()
    confused: tuple[Confused, ...] = ()
    more_images: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()


class Teaching(_Document):
    """The state of a teaching; `done` of `total` images at the step `features`."""

    model: str
    status: str
    step: str
    done: int = 0
    total: int = 0
    backbone: Backbone | None = None
    version: str | None = None
    problems: tuple[Violation, ...] = ()
    report: Report | None = None

    @property
    def progress(self) -> str:
        """What it does now."""
        text = STEPS.get(self.step, self.step)
        return f"{text}, {self.done:,} of {self.total:,}" if self.step == "features" else text


def follow(
    api: Api,
    model: str,
    started: Document,
    timeout: float,
    *,
    on_change: Callable[[Teaching], object],
    pause: Callable[[], object],
    clock: Callable[[], float] = time.monotonic,
) -> Document:
    """Poll until the teaching that has `started` ends, and return its last document.

    Calls `on_change` with each state. Raises TeachTimeout, and what Api raises.
    """
    deadline = clock() + timeout
    document = started
    while (state := parse(Teaching, document)).status == RUNNING:
        on_change(state)
        if clock() > deadline:
            raise TeachTimeout(
                f"no result after {timeout:.0f} s: {state.progress}. It goes on; "
                f"`facet watch {model}` waits for the version"
            )
        pause()
        document = api.teaching(model)
    return document
