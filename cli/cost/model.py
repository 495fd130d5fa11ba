"""Compute how many instances models need, and what they cost a month.

Compares an endpoint for each model with one for all, on the same instances and traffic; `places.py`
adds the other places where models may run. docs/cost.md has the formulas and the sources of the
numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cli.cost.containers import CONTAINERS, Container
from cli.cost.prices import Instance, Region
from facet.errors import FacetError

HOURS = 730.0
"""Hours in a month."""

REQUESTS_PER_VCPU = 100.0
"""Requests a second: docs/benchmarks.md, "Ten thousand models", 207 on two processors shared with
the clients, where every fifth request loaded its model."""

ARTIFACT_MB = 5.4
"""An artifact's size, assumed as the memory of its model in Facet's container."""

MEMORY_SHARE = 0.8
"""Share of an instance's memory for models (`serving.memory.SHARE_FOR_MODELS`); assumed for AWS's
image, too."""

FUNCTION_MB = 1769
"""Lambda gives a function of this memory one vCPU, and others in proportion:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

LAMBDA_GB, LAMBDA_SECONDS = 1.0, 0.1
"""The predict function's memory (template.yaml), and the assumed time of a prediction."""

METRICS, ALARM_METRICS, DASHBOARDS = 40, 30, 1
"""Of a stack without watched models: docs/operations.md, "Metrics", and template.yaml. CloudWatch
bills alarms by the metrics that they watch; target tracking makes two alarms of its own."""

TOLERANCE = 1e-9
"""Rounding tolerance: an excess below this over a whole number is ignored."""

Popularity = Literal["even", "zipf"]


class TooLarge(FacetError):
    """A model does not fit into an instance."""


@dataclass(frozen=True)
class Traffic:
    """`mean` requests a second to all models together; `day` has each hour's rate relative to it.

    `popularity`: the same rate for all models, or 1/n of the first's for the n-th most popular.
    """

    mean: float
    day: Sequence[float] = (1.0,)
    popularity: Popularity = "even"


@dataclass(frozen=True)
class Terms:
    """How endpoints run, the same both ways.

    Each has `minimum` instances or more. Their number follows the hour if `follows`, else the
    busiest hour. They run `hours` a month. `loaded` is the share of models that the one endpoint
    holds in memory, each of `model_mb` (10⁶ bytes), `container`'s if None. Artifacts are assumed to
    be as large, or to have ARTIFACT_MB. `function_mb` (2²⁰ bytes) is the memory of a function that
    runs models.
    """

    minimum: int = 1
    follows: bool = False
    hours: float = HOURS
    loaded: float = 1.0
    model_mb: float | None = None
    requests_per_vcpu: float = REQUESTS_PER_VCPU
    container: Container = CONTAINERS["facet"]
    function_mb: int = FUNCTION_MB

    @property
    def memory_mb(self) -> float:
        """A loaded model's."""
        return self.container.model_mb if self.model_mb is None else self.model_mb

    @property
    def artifact_mb(self) -> float:
        """An artifact's size."""
        return ARTIFACT_MB if self.model_mb is None else self.model_mb


@dataclass(frozen=True)
class Fleet:
    """Instances in the busiest hour, and dollars a month."""

    instances: int
    dollars: float


@dataclass(frozen=True)
class Around:
    """Dollars a month for requests, storage and monitoring, the same both ways."""

    api: float
    function: float
    storage: float
    watching: float

    @property
    def dollars(self) -> float:
        """The sum in dollars."""
        return self.api + self.function + self.storage + self.watching


@dataclass(frozen=True)
class Comparison:
    """A number of models, hosted both ways."""

    models: int
    requests: float
    each: Fleet
    one: Fleet
    around: Around

    @property
    def saved(self) -> float:
        """The share of the instances' cost that one endpoint saves."""
        return 1 - self.one.dollars / self.each.dollars

    @property
    def saved_of_all(self) -> float:
        """The share of the whole bill that it saves."""
        around = self.around.dollars
        return 1 - (self.one.dollars + around) / (self.each.dollars + around)


@dataclass(frozen=True)
class Case:
    """Instances of one type, with their prices and terms."""

    instance: Instance
    region: Region
    terms: Terms = field(default_factory=Terms)

    @property
    def capacity(self) -> float:
        """Requests a second that an instance answers."""
        return self.instance.vcpus * self.terms.requests_per_vcpu

    @property
    def room(self) -> int:
        """Models that an instance holds."""
        memory = fitting(self.instance.memory_gib, self.terms.memory_mb)
        return int(min(memory, self.terms.container.most))

    def compare(self, models: int, traffic: Traffic) -> Comparison:
        """Compare both ways for this number of models. Raises TooLarge."""
        if self.room < 1:
            raise TooLarge(
                f"a model of {self.terms.memory_mb:,.0f} MB does not fit into "
                f"{self.instance.memory_gib:g} GiB, of which models get {MEMORY_SHARE:.0%}; choose "
                "a larger --instance-type"
            )
        return Comparison(
            models,
            requests=self.requests(traffic),
            each=self.each(models, traffic),
            one=self.one(models, traffic),
            around=self.around(models, traffic),
        )

    def requests(self, traffic: Traffic) -> float:
        """Requests a month."""
        return traffic.mean * 3600 * self.terms.hours

    def each(self, models: int, traffic: Traffic) -> Fleet:
        """An endpoint for each model."""
        least = self.terms.minimum
        return self.fleet(
            [copies(models, rate, traffic, self.capacity, least) for rate in rates(traffic)]
        )

    def one(self, models: int, traffic: Traffic) -> Fleet:
        """One multi-model endpoint; `room` is at least 1."""
        held = whole(models * self.terms.loaded / self.room)
        return self.fleet([max(held, self.busy(rate)) for rate in rates(traffic)])

    def fleet(self, by_hour: Sequence[int]) -> Fleet:
        """So many instances in each hour."""
        most = max(by_hour)
        mean = sum(by_hour) / len(by_hour) if self.terms.follows else most
        return Fleet(most, mean * self.instance.hour * self.terms.hours)

    def around(self, models: int, traffic: Traffic) -> Around:
        """What every place has around it."""
        prices = self.region
        requests = self.requests(traffic)
        millions = requests / 1e6
        busy = requests * LAMBDA_GB * LAMBDA_SECONDS
        return Around(
            api=prices.rest_api(requests),
            function=millions * prices.lambda_million_requests + busy * prices.lambda_gb_second,
            storage=models * self.terms.artifact_mb / 1e3 * prices.storage_gb_month,
            watching=(
                METRICS * prices.metric_month
                + ALARM_METRICS * prices.alarm_month
                + DASHBOARDS * prices.dashboard_month
            ),
        )

    def busy(self, rate: float) -> int:
        """Instances that answer so many requests a second, the minimum at least."""
        return max(self.terms.minimum, whole(rate / self.capacity))


def copies(models: int, rate: float, traffic: Traffic, capacity: float, least: int) -> int:
    """Count the copies of all models, if a copy answers `capacity` requests a second, and each
    model has `least` or more.
    """
    if traffic.popularity == "even":
        return models * max(least, whole(rate / models / capacity))
    weights = 1 / np.arange(1, models + 1)
    needed = np.ceil(rate / weights.sum() * weights / capacity - TOLERANCE)
    return int(np.maximum(least, needed).sum())


def fitting(memory_gib: float, model_mb: float) -> int:
    """Count the models of so many MB (10⁶ bytes) that the share for models of a memory holds."""
    return math.floor(memory_gib * 2**30 * MEMORY_SHARE / (model_mb * 1e6))


def rates(traffic: Traffic) -> list[float]:
    """Requests a second in each hour of the day."""
    return [traffic.mean * share for share in traffic.day]


def whole(number: float) -> int:
    """Round up."""
    return math.ceil(number - TOLERANCE)
