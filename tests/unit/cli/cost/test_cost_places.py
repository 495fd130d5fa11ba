"""What models cost in each place where they may run, by hand, and where the places break even."""

import random
from collections import OrderedDict
from dataclasses import replace

import boto3
import pytest

from cli.cost.containers import CONTAINERS
from cli.cost.days import DAYS, Day
from cli.cost.model import FUNCTION_MB, Case, Popularity, Terms, Traffic
from cli.cost.places import (
    COMPONENT_MB,
    PLACES,
    TASKS,
    Needs,
    break_even,
    compare,
    share_missed,
)
from cli.cost.prices import read

PRICES = read().region("us-east-1")
HOURS = 730


def case(instance: str = "ml.m5.xlarge", **terms: object) -> Case:
    return Case(PRICES.instance(instance), PRICES, replace(Terms(), **terms))  # type: ignore[arg-type]


def needs(name: str, models: int, rate: float, of: Case | None = None) -> Needs:
    found = PLACES[name].needs(of or case(), models, Traffic(rate))
    assert found
    return found


def test_a_function_by_hand() -> None:
    """10 ms of 1,769 MB for each request; of 548 models every second has to be read."""
    gib = 1769 / 1024
    requests = 10 * 3600 * HOURS
    few = needs("function", 10, 10)
    assert (few.holds, few.instances, few.missed) == (274, 1, 0)
    second = 0.01 * gib * 0.00001667
    assert few.dollars == pytest.approx(requests * (0.2e-6 + second))
    many = needs("function", 548, 10)
    assert many.missed == 0.5
    billed = (0.010 + 0.106) / 2  # read: 20 ms and 5.4 MB / 75, loaded: 3.2 ms; in whole ms
    assert many.dollars == pytest.approx(
        requests * (0.2e-6 + billed * gib * 0.00001667 + 0.5 * 0.4e-6)
    )


def test_a_function_of_half_a_vcpu_takes_twice_as_long() -> None:
    small = needs("function", 1, 10, case(function_mb=FUNCTION_MB // 2 + 1))
    assert small.dollars == pytest.approx(needs("function", 1, 10).dollars, rel=0.01)
    large = needs("function", 1, 10, case(function_mb=2 * FUNCTION_MB))
    assert large.dollars > 1.5 * needs("function", 1, 10).dollars


def test_an_inference_component_has_a_process_and_128_mib() -> None:
    """80 % of 16 GiB are 13,744 MB."""
    assert needs("components", 102, 1).instances == 1
    assert needs("components", 103, 1).instances == 2
    large = case(model_mb=100)  # and 50.6 MB of the process
    assert needs("components", 91, 1, large).holds == 91
    shape = (
        boto3.client("sagemaker", region_name="us-east-1")
        .meta.service_model.shape_for("InferenceComponentComputeResourceRequirements")
        .members["MinMemoryRequiredInMb"]  # type: ignore[attr-defined]
    )
    assert shape.metadata["min"] * 2**20 / 1e6 == COMPONENT_MB


def test_a_popular_model_needs_components_on_several_instances() -> None:
    popular = PLACES["components"].needs(case(), 103, Traffic(9, popularity="zipf"))
    assert popular
    assert popular.instances == 2
    busy = PLACES["components"].needs(case(), 102, Traffic(2500, popularity="zipf"))
    assert busy
    assert busy.instances == 7


def test_fargate_has_the_cheapest_tasks_and_a_balancer() -> None:
    balancer = HOURS * 0.0225
    idle = needs("fargate", 10, 0)
    assert (idle.size, idle.instances) == ("0.25 vCPU, 0.5 GB", 1)
    assert idle.dollars == pytest.approx(HOURS * (0.25 * 0.04048 + 0.5 * 0.004445) + balancer)
    memory = needs("fargate", 1000, 0)
    assert (memory.size, memory.holds) == ("1 vCPU, 7 GB", 1113)
    busy = needs("fargate", 10, 75)
    units = 75 * 3600 * HOURS * 0.0042 / 1e3 * 0.008
    assert busy.instances == 3
    assert busy.dollars == pytest.approx(
        3 * HOURS * (0.25 * 0.04048 + 0.5 * 0.004445) + balancer + units
    )


def test_a_task_has_memory_in_steps() -> None:
    assert {vcpus: (each[0], each[-1], len(each)) for vcpus, each in TASKS.items()} == {
        0.25: (0.5, 2, 3),
        0.5: (1, 4, 4),
        1: (2, 8, 7),
        2: (4, 16, 13),
        4: (8, 30, 23),
        8: (16, 60, 12),
        16: (32, 120, 12),
    }


def test_the_size_of_a_model_is_that_in_the_chosen_container() -> None:
    """AWS's image takes 198.6 MB more for one, as was measured."""
    assert needs("aws", 1, 1).holds == 67
    assert needs("aws", 1, 1, case(model_mb=5.4)).holds == 67
    assert needs("aws", 1, 1, case(model_mb=70)).holds == 51
    measured = case(container=CONTAINERS["aws"], model_mb=100)
    assert needs("aws", 1, 1, measured).holds == 137
    assert needs("facet", 1, 1, measured).holds == 137
    assert needs("facet", 1, 1, case(container=CONTAINERS["aws"])).holds == 2545


def test_the_cheapest_of_equal_places_is_facets() -> None:
    column = compare(
        replace(case(), region=PRICES.model_copy(update={"fargate": None})), 1, Traffic(300)
    )
    assert column.cheapest == "facet"


def test_the_missed_share_is_that_of_the_benchmark() -> None:
    """docs/benchmarks.md, Ten thousand models: 2,416 in memory, 22.0 % of the requests missed."""
    assert share_missed(10_000, 2_416, "zipf") == pytest.approx(0.22, abs=0.02)


@pytest.mark.parametrize("popularity", ["even", "zipf"])
def test_the_missed_share_is_that_of_a_cache(popularity: Popularity) -> None:
    models, room, requests = 60, 15, 20_000
    weights = [1 if popularity == "even" else 1 / n for n in range(1, models + 1)]
    cache: OrderedDict[int, None] = OrderedDict()
    missed = 0
    for model in random.Random(1).choices(range(models), weights, k=requests):
        missed += model not in cache
        cache[model] = None
        cache.move_to_end(model)
        if len(cache) > room:
            cache.popitem(last=False)
    assert share_missed(models, room, popularity) == pytest.approx(missed / requests, abs=0.02)


@pytest.mark.parametrize(
    ("models", "day", "per_vcpu", "follows"),
    [(1, "steady", 5, False), (10, "office", 100, True), (3000, "day", 20, False)],
)
def test_below_the_break_even_the_function_costs_less_and_there_as_much(
    models: int, day: Day, per_vcpu: float, follows: bool
) -> None:
    of = case(requests_per_vcpu=per_vcpu, follows=follows)
    load = Traffic(1, DAYS[day])
    below = compare(of, models, load).below
    assert below.keys() == PLACES.keys() - {"function"}
    for name, rate in below.items():
        assert rate
        for share, cheaper in ((0.1, True), (0.5, True), (0.99, True), (1, False)):
            there = replace(load, mean=rate * share)
            other, function = (PLACES[each].needs(of, models, there) for each in (name, "function"))
            assert other
            assert function
            assert cheaper is (function.dollars < other.dollars * (1 - 1e-5))


def test_places_that_never_break_even() -> None:
    """Where half a day's requests come in one hour, instances for that hour cost more."""
    burst = compare(case(), 10, Traffic(1, DAYS["burst"]))
    assert burst.below["facet"] is None
    assert break_even(lambda rate: 100 + 2 * rate, 1) is None
    assert break_even(lambda _: 100.0, 0) is None
    assert break_even(lambda _: 0.0, 0) == 0
    assert break_even(lambda rate: 100 + rate / 2, 1) == pytest.approx(200, rel=1e-5)
