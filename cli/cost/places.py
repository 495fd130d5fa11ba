"""Compute what models cost in each place where they may run, and where the places break even.

All places get the same models and the same requests, and have the same around them. docs/cost.md
has the formulas and the sources of the numbers.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from cli.cost.containers import CONTAINERS, Serving
from cli.cost.model import FUNCTION_MB, Case, Popularity, Traffic, copies, fitting, rates, whole
from cli.cost.prices import Fargate, Instance

COMPONENT_MB = 128 * 2**20 / 1e6
"""The least memory of an inference component (`MinMemoryRequiredInMb`), in 10⁶ bytes:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InferenceComponentComputeResourceRequirements.html"""

TASKS: Mapping[float, tuple[float, ...]] = {
    0.25: (0.5, 1, 2),
    0.5: (1, 2, 3, 4),
    1: tuple(range(2, 9)),
    2: tuple(range(4, 17)),
    4: tuple(range(8, 31)),
    8: tuple(range(16, 61, 4)),
    16: tuple(range(32, 121, 8)),
}
"""GB of memory that a Fargate task may have, by its vCPUs:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html"""

REQUEST_MB = 0.0042
"""A request's size: docs/benchmarks.md, Predict, 32 x 32. A gigabyte through the load balancer uses
a unit of its capacity for an hour: https://aws.amazon.com/elasticloadbalancing/pricing/"""

LOAD_SECONDS_MB = 0.0006
"""Loading, for an MB of the model: docs/benchmarks.md, cold start of the function that runs models,
35 ms for 59 MB."""

READ_SECONDS, READ_SECONDS_MB = 0.02, 1 / 75
"""Reading a model from S3 into a function: the first byte, and each MB. Assumed, not measured."""

MOST_RATE = 1e9
"""Requests a second above which two places are said not to break even."""


@dataclass(frozen=True)
class Needs:
    """A place's instances (also tasks, or a function's environments) in the busiest hour, the
    models that one of them holds, and dollars a month. `missed` is the share of requests whose
    model is not in memory.
    """

    holds: int
    instances: int
    dollars: float
    size: str = ""
    missed: float = 0


@dataclass(frozen=True)
class Place:
    """Where models may run. `needs` is None if a model does not fit, or prices lack."""

    title: str
    needs: Callable[[Case, int, Traffic], Needs | None]


def endpoints(case: Case, models: int, traffic: Traffic) -> Needs | None:
    """An endpoint for each model."""
    if case.room < 1:
        return None
    fleet = case.each(models, traffic)
    return Needs(1, fleet.instances, fleet.dollars)


def with_aws_image(case: Case, models: int, traffic: Traffic) -> Needs | None:
    """One multi-model endpoint with AWS's image."""
    return _multi_model(_with(case, "aws"), models, traffic)


def with_facet(case: Case, models: int, traffic: Traffic) -> Needs | None:
    """One multi-model endpoint with Facet's container."""
    return _multi_model(_with(case, "facet"), models, traffic)


def components(case: Case, models: int, traffic: Traffic) -> Needs | None:
    """One endpoint with an inference component for each model, each Facet's container."""
    own = _with(case, "facet")
    base = own.terms.container.alone_mb - own.terms.container.model_mb
    room = fitting(case.instance.memory_gib, max(COMPONENT_MB, base + own.terms.memory_mb))
    if room < 1:
        return None
    fleet = case.fleet(
        [
            max(
                case.busy(rate),
                whole(copies(models, rate, traffic, case.capacity, 1) / room),
            )
            for rate in rates(traffic)
        ]
    )
    return Needs(room, fleet.instances, fleet.dollars)


def fargate(case: Case, models: int, traffic: Traffic) -> Needs | None:
    """Facet's container in Fargate tasks of the cheapest size, behind a load balancer."""
    prices = case.region.fargate
    own = _with(case, "facet")
    if prices is None:
        return None
    found = [
        replace(needs, size=size)
        for size, task in _tasks(prices)
        if (needs := _multi_model(replace(own, instance=task), models, traffic))
    ]
    least = min(found, key=lambda needs: (needs.dollars, needs.instances), default=None)
    if least is None:
        return None
    units = case.requests(traffic) * REQUEST_MB / 1e3
    balancer = prices.balancer_hour * case.terms.hours + prices.balancer_unit_hour * units
    return replace(least, dollars=least.dollars + balancer)


def function(case: Case, models: int, traffic: Traffic) -> Needs | None:
    """A Lambda function that runs one model for a request, and reads a missing one from S3."""
    terms, prices = case.terms, case.region
    size = _with(case, "facet").terms.memory_mb
    gib = terms.function_mb / 1024
    room = fitting(gib, size)
    if room < 1:
        return None
    speed = min(1, terms.function_mb / FUNCTION_MB)
    answer = 1 / terms.requests_per_vcpu / speed
    load = READ_SECONDS + size * (READ_SECONDS_MB + LOAD_SECONDS_MB / speed)
    missed = share_missed(models, room, traffic.popularity)
    seconds = (1 - missed) * _billed(answer) + missed * _billed(answer + load)
    requests = case.requests(traffic)
    reads = requests * missed / 1e6 * (prices.storage_million_reads or 0)
    dollars = (
        requests / 1e6 * prices.lambda_million_requests
        + requests * seconds * gib * prices.lambda_gb_second
        + reads
    )
    return Needs(room, whole(max(rates(traffic)) * seconds), dollars, missed=missed)


PLACES: Mapping[str, Place] = {
    "endpoints": Place("endpoint per model", endpoints),
    "aws": Place("multi-model, AWS's", with_aws_image),
    "facet": Place("multi-model, Facet", with_facet),
    "components": Place("inference components", components),
    "fargate": Place("Fargate", fargate),
    "function": Place("function", function),
}


@dataclass(frozen=True)
class Column:
    """All places for a number of models. `below` has the requests a second up to which the
    function costs less than a place, None if it always does.
    """

    models: int
    needs: Mapping[str, Needs | None]
    below: Mapping[str, float | None]

    @property
    def cheapest(self) -> str | None:
        """The cheapest place; of equal ones the multi-model endpoint with Facet's container."""
        known = {name: needs.dollars for name, needs in self.needs.items() if needs}
        return min(known, key=lambda name: (known[name], name != "facet"), default=None)


def compare(case: Case, models: int, traffic: Traffic) -> Column:
    """Compute all places for this number of models."""
    needs = {name: place.needs(case, models, traffic) for name, place in PLACES.items()}
    one = function(case, models, replace(traffic, mean=1.0))
    below = {
        name: break_even(_dollars(place, case, models, traffic), one.dollars)
        for name, place in PLACES.items()
        if one and needs[name] and name != "function"
    }
    return Column(models, needs, below)


def break_even(place: Callable[[float], float], rate_dollars: float) -> float | None:
    """Find the lowest rate at which a place costs no more than `rate_dollars` for each request a
    second: None if there is none up to MOST_RATE.

    `place` gives its dollars at a rate, and never falls. So the rate that its cost at a lower rate
    would buy is never above the one sought, and repeating this ends there.
    """
    rate = 0.0
    while rate <= MOST_RATE:
        dollars = place(rate)
        if dollars <= rate * rate_dollars * (1 + 1e-6):
            return rate
        if not rate_dollars:
            return None
        rate = dollars / rate_dollars
    return None


@cache
def share_missed(models: int, room: int, popularity: Popularity) -> float:
    """Estimate the share of requests to models that are not among the `room` last used ones.

    By Che's approximation: a model is in memory if it was requested within the time in which `room`
    different models are requested.
    """
    if models <= room:
        return 0.0
    if popularity == "even":
        return 1 - room / models
    shares = 1 / np.arange(1, models + 1)
    shares /= shares.sum()
    low, high = 0.0, 1.0
    while (1 - np.exp(-shares * high)).sum() < room:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        if (1 - np.exp(-shares * middle)).sum() < room:
            low = middle
        else:
            high = middle
    return float((shares * np.exp(-shares * high)).sum())


def _dollars(place: Place, case: Case, models: int, traffic: Traffic) -> Callable[[float], float]:
    def at(rate: float) -> float:
        needs = place.needs(case, models, replace(traffic, mean=rate))
        return needs.dollars if needs else math.inf

    return at


def _with(case: Case, serving: Serving) -> Case:
    """The same case with this container. The given size of a model is that in the case's container;
    AWS's image takes as much more for it as was measured.
    """
    terms, container = case.terms, CONTAINERS[serving]
    if terms.container is container:
        return case
    model_mb = terms.model_mb
    if model_mb is not None and serving == "aws":
        model_mb += container.model_mb - CONTAINERS["facet"].model_mb
    return replace(case, terms=replace(terms, container=container, model_mb=model_mb))


def _multi_model(case: Case, models: int, traffic: Traffic) -> Needs | None:
    if case.room < 1:
        return None
    fleet = case.one(models, traffic)
    return Needs(case.room, fleet.instances, fleet.dollars)


@cache
def _tasks(prices: Fargate) -> list[tuple[str, Instance]]:
    """List the sizes of a task, as instances."""
    return [
        (
            f"{vcpus:g} vCPU, {memory:g} GB",
            Instance(
                hour=vcpus * prices.vcpu_hour + memory * prices.gb_hour,
                vcpus=vcpus,
                memory_gib=memory,
            ),
        )
        for vcpus, memories in TASKS.items()
        for memory in memories
    ]


def _billed(seconds: float) -> float:
    """Lambda bills whole milliseconds."""
    return whole(seconds * 1e3) / 1e3
