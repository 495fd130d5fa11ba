"""How many instances models need, and what a month of them costs. Pure.

An endpoint for each model, or one endpoint for all, with the same instances and the same traffic.
docs/cost.md states the arithmetic, and where the numbers are from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cli.cost.prices import Instance, Region
from facet.errors import FacetError

HOURS = 730.0
"""Of a month."""

REQUESTS_PER_VCPU = 100.0
"""Each second: docs/benchmarks.md, "Ten thousand models", 207 on two processors, which the clients
shared and where every fifth request had to load its model."""

MODEL_MB = 5.4
"""Memory of a loaded model of 609,000 weights: docs/benchmarks.md, "Loading, and memory"."""

MEMORY_SHARE = 0.8
"""Of an instance's memory that models may take (`serving.memory.SHARE_FOR_MODELS`)."""

LAMBDA_GB, LAMBDA_SECONDS = 1.0, 0.1
"""The predict function's memory (template.yaml), and the time that a prediction is assumed to
take."""

METRICS, ALARMS, DASHBOARDS = 40, 19, 1
"""Of a stack without watched models: docs/operations.md, "Models by name", and template.yaml."""

NEARLY = 1e-9
"""So much more than a whole number is taken for a fault of the arithmetic."""

Popularity = Literal["even", "zipf"]


class TooLarge(FacetError):
    """A model does not fit into an instance."""


@dataclass(frozen=True)
class Traffic:
    """`mean` requests a second, to all models together. `day` has an hour's share of the mean, hour
    by hour. `popularity`: all models are asked alike, or the n-th most wanted one 1/n as often.
    """

    mean: float
    day: Sequence[float] = (1.0,)
    popularity: Popularity = "even"


@dataclass(frozen=True)
class Terms:
    """How endpoints are run, alike both ways.

    `minimum` instances has each at least. `follows`: their number follows the hour, else it is that
    of the busiest. `hours` a month they run. `loaded`: the share of the models that the one
    endpoint holds in memory, each of `model_mb` (10⁶ bytes); an artifact is taken to be as large.
    """

    minimum: int = 1
    follows: bool = False
    hours: float = HOURS
    loaded: float = 1.0
    model_mb: float = MODEL_MB
    requests_per_vcpu: float = REQUESTS_PER_VCPU


@dataclass(frozen=True)
class Fleet:
    """Instances in the busiest hour, and what a month of them costs."""

    instances: int
    dollars: float


@dataclass(frozen=True)
class Around:
    """What a month of requests, storage and watching costs, in dollars: the same both ways."""

    api: float
    function: float
    storage: float
    watching: float

    @property
    def dollars(self) -> float:
        """All of it."""
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
        """The share of the whole bill."""
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
    def room(self) -> float:
        """Models that an instance holds."""
        return self.instance.memory_gib * 2**30 * MEMORY_SHARE / (self.terms.model_mb * 1e6)

    def compare(self, models: int, traffic: Traffic) -> Comparison:
        """Both ways for so many models. Raises TooLarge."""
        if self.room < 1:
            raise TooLarge(
                f"a model of {self.terms.model_mb:,.0f} MB does not fit into "
                f"{self.instance.memory_gib:g} GiB, of which models get {MEMORY_SHARE:.0%}; choose "
                "a larger --instance-type"
            )
        requests = traffic.mean * 3600 * self.terms.hours
        return Comparison(
            models,
            requests,
            each=self._fleet([self._each(models, rate, traffic) for rate in _rates(traffic)]),
            one=self._fleet([self._one(models, rate) for rate in _rates(traffic)]),
            around=self._around(models, requests),
        )

    def _each(self, models: int, rate: float, traffic: Traffic) -> int:
        if traffic.popularity == "even":
            return models * max(self.terms.minimum, _whole(rate / models / self.capacity))
        weights = 1 / np.arange(1, models + 1)
        needed = np.ceil(rate / weights.sum() * weights / self.capacity - NEARLY)
        return int(np.maximum(self.terms.minimum, needed).sum())

    def _one(self, models: int, rate: float) -> int:
        held = _whole(models * self.terms.loaded / self.room)
        return max(self.terms.minimum, held, _whole(rate / self.capacity))

    def _fleet(self, by_hour: Sequence[int]) -> Fleet:
        most = max(by_hour)
        mean = sum(by_hour) / len(by_hour) if self.terms.follows else most
        return Fleet(most, mean * self.instance.hour * self.terms.hours)

    def _around(self, models: int, requests: float) -> Around:
        prices = self.region
        millions = requests / 1e6
        busy = requests * LAMBDA_GB * LAMBDA_SECONDS
        return Around(
            api=millions * prices.api_million_requests,
            function=millions * prices.lambda_million_requests + busy * prices.lambda_gb_second,
            storage=models * self.terms.model_mb / 1e3 * prices.storage_gb_month,
            watching=(
                METRICS * prices.metric_month
                + ALARMS * prices.alarm_month
                + DASHBOARDS * prices.dashboard_month
            ),
        )


def _rates(traffic: Traffic) -> list[float]:
    return [traffic.mean * share for share in traffic.day]


def _whole(number: float) -> int:
    return math.ceil(number - NEARLY)
