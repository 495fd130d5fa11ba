"""What hosting costs, either way: the article's claim, break-evens, and laws that always hold."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some
from samcli.yamlhelper import yaml_parse

from cli.cost.days import DAYS
from cli.cost.model import (
    ALARM_METRICS,
    DASHBOARDS,
    LAMBDA_GB,
    MEMORY_SHARE,
    METRICS,
    Case,
    Comparison,
    Popularity,
    Terms,
    TooLarge,
    Traffic,
)
from cli.cost.prices import Instance, Region, graded, read
from serving.memory import SHARE_FOR_MODELS
from tests.support.stacks import ROOT
from tests.support.template.watching import ALARMS, of_alarms

PRICES = read().region("us-east-1")
OF_TARGET_TRACKING = 2
"""The alarms that Application Auto Scaling makes itself, for more and for fewer instances."""
POPULARITIES: tuple[Popularity, ...] = ("even", "zipf")


def case(instance: str = "ml.m5.xlarge", **terms: float) -> Case:
    return Case(PRICES.instance(instance), PRICES, replace(Terms(), **terms))  # type: ignore[arg-type]


def compare(models: int, mean: float, popularity: Popularity = "even") -> Comparison:
    return case().compare(models, Traffic(mean, popularity=popularity))


@pytest.mark.parametrize(
    ("model_mb", "instances"),
    [pytest.param(5.4, 2, id="CIFAR's size"), pytest.param(70, 3, id="VGG16's size")],
)
def test_the_article_s_thousand_models_save_over_90_percent(
    model_mb: float, instances: int
) -> None:
    """On its ml.m5.2xlarge instances, two for each endpoint's availability."""
    found = case("ml.m5.2xlarge", minimum=2, model_mb=model_mb).compare(1000, Traffic(100))
    assert (found.each.instances, found.one.instances) == (2000, instances)
    assert found.each.dollars == pytest.approx(2000 * 0.461 * 730)
    assert found.saved == pytest.approx(1 - instances / 2000)
    assert found.saved > 0.9
    assert found.saved_of_all > 0.9


def test_a_thousand_models_save_90_percent_up_to_a_hundred_instances_of_traffic() -> None:
    capacity = case().capacity
    assert compare(1000, 100 * capacity).saved == pytest.approx(0.9)
    assert compare(1000, 101 * capacity).saved < 0.9
    assert compare(1000, 1000 * capacity).saved == 0


def test_one_model_costs_the_same_and_two_cost_half() -> None:
    assert compare(1, 10).saved == 0
    assert compare(2, 10).saved == 0.5


def test_an_endpoint_of_more_instances_breaks_even_at_so_many_models() -> None:
    """Three instances for the one endpoint, where each of the others would have one."""
    one = case(minimum=3)
    for models, cheaper in ((2, False), (3, False), (4, True)):
        shared = one.compare(models, Traffic(1)).one.dollars
        assert (shared < compare(models, 1).each.dollars) is cheaper


def test_the_bill_by_hand() -> None:
    found = case("ml.m5.large", hours=100, model_mb=10).compare(7, Traffic(2))
    assert found.requests == 2 * 3600 * 100
    assert found.each.dollars == pytest.approx(7 * 100 * 0.115)
    assert found.one.dollars == pytest.approx(100 * 0.115)
    assert found.around.api == pytest.approx(0.72 * 3.5)
    assert found.around.function == pytest.approx(0.72 * 0.2 + 720_000 * 0.1 * 0.00001667)
    assert found.around.storage == pytest.approx(7 * 0.01 * 0.023)
    assert found.around.watching == pytest.approx(40 * 0.3 + 30 * 0.1 + 3)
    whole = found.each.dollars + found.around.dollars
    shared = found.one.dollars + found.around.dollars
    assert found.saved_of_all == pytest.approx(1 - shared / whole)


def test_requests_cost_less_above_so_many_millions() -> None:
    """10,000 a minute."""
    assert PRICES.rest_api(438e6) == pytest.approx(333 * 3.5 + 105 * 2.8)
    assert PRICES.http_api_of(438e6) == pytest.approx(300 + 138 * 0.9)
    assert graded(25, 1, {}) == 25
    assert graded(25, 3, {20: 1, 10: 2}) == 30 + 20 + 5


def test_instances_hold_what_is_loaded() -> None:
    """80 % of 16 GiB are 13.74 GB."""
    assert case(model_mb=100).compare(137, Traffic(1)).one.instances == 1
    assert case(model_mb=100).compare(138, Traffic(1)).one.instances == 2
    assert case(model_mb=100, loaded=0.5).compare(274, Traffic(1)).one.instances == 1
    with pytest.raises(TooLarge, match="a model of 14,000 MB does not fit into 16 GiB"):
        case(model_mb=14_000).compare(1, Traffic(1))


def test_wanted_models_need_more_instances_of_their_own() -> None:
    """Of 1,100 requests a second the first of three gets 600, the next 300 and 200, by Zipf."""
    assert compare(3, 1100).each.instances == 3
    assert compare(3, 1100, "zipf").each.instances == 2 + 1 + 1
    assert compare(3, 1100, "zipf").one.instances == 3


def test_instances_that_follow_the_hour_cost_its_mean() -> None:
    office = Traffic(1000, DAYS["office"])
    fixed, scaled = (case(follows=each).compare(1, office).one for each in (False, True))
    assert fixed.instances == scaled.instances == 6
    assert fixed.dollars == pytest.approx(6 * 0.23 * 730)
    assert scaled.dollars == pytest.approx((9 * 6 + 15 * 1) / 24 * 0.23 * 730)


@pytest.mark.parametrize("name", DAYS)
def test_a_day_has_24_hours_and_the_mean_of_one(name: str) -> None:
    day = dict(DAYS.items())[name]  # type: ignore[index]
    assert len(day) == 24
    assert sum(day) / 24 == pytest.approx(1)
    assert min(day) > 0


days = some.sampled_from(list(DAYS.values()))
traffics = some.builds(
    Traffic,
    mean=some.floats(0, 1e5),
    day=days,
    popularity=some.sampled_from(POPULARITIES),
)
terms = some.builds(
    Terms,
    minimum=some.integers(1, 4),
    follows=some.booleans(),
    hours=some.floats(1, 744),
    loaded=some.floats(0, 1),
    model_mb=some.floats(0.1, 1000),
    requests_per_vcpu=some.floats(1, 1000),
)
cases = some.builds(
    lambda instance, given: Case(instance, PRICES, given),
    some.sampled_from(list(PRICES.instances.values())),
    terms,
)
counts = some.integers(1, 3000)


@given(cases, counts, traffics)
def test_one_endpoint_is_never_dearer(case: Case, models: int, traffic: Traffic) -> None:
    found = case.compare(models, traffic)
    assert found.one.dollars <= found.each.dollars * (1 + 1e-12)
    assert -1e-12 <= found.saved_of_all <= found.saved + 1e-12 < 1


@given(cases, counts, counts, traffics)
def test_more_models_never_cost_less(case: Case, few: int, more: int, traffic: Traffic) -> None:
    """Each with the traffic that it has."""
    low, high = (
        case.compare(models, replace(traffic, mean=traffic.mean * models, popularity="even"))
        for models in sorted((few, few + more))
    )
    assert low.each.dollars <= high.each.dollars
    assert low.one.dollars <= high.one.dollars
    assert low.around.dollars <= high.around.dollars


@given(cases, counts, traffics, some.floats(1, 10))
def test_more_requests_never_cost_less(
    case: Case, models: int, traffic: Traffic, factor: float
) -> None:
    low, high = (
        case.compare(models, replace(traffic, mean=mean))
        for mean in (traffic.mean, traffic.mean * factor)
    )
    assert low.each.dollars <= high.each.dollars
    assert low.one.dollars <= high.one.dollars


@given(cases, counts, traffics)
def test_to_follow_the_hour_is_never_dearer(case: Case, models: int, traffic: Traffic) -> None:
    fixed, scaled = (
        replace(case, terms=replace(case.terms, follows=follows)).compare(models, traffic)
        for follows in (False, True)
    )
    assert scaled.one.dollars <= fixed.one.dollars * (1 + 1e-12)
    assert scaled.each.dollars <= fixed.each.dollars * (1 + 1e-12)


@given(cases, counts, traffics)
def test_instances_suffice_in_the_busiest_hour(case: Case, models: int, traffic: Traffic) -> None:
    found, peak = case.compare(models, traffic), traffic.mean * max(traffic.day)
    assert found.one.instances * case.capacity >= peak * (1 - 1e-6)
    assert found.one.instances * case.room >= models * case.terms.loaded * (1 - 1e-6)
    assert found.each.instances >= models * case.terms.minimum


def test_the_assumptions_are_those_of_the_code_they_are_about() -> None:
    assert MEMORY_SHARE == SHARE_FOR_MODELS
    template = yaml_parse((ROOT / "template.yaml").read_text())
    memory = template["Resources"]["PredictFunction"]["Properties"]["MemorySize"]
    assert memory == LAMBDA_GB * 1024
    kinds = Counter(each["Type"] for each in template["Resources"].values())
    assert len(list(of_alarms())) + OF_TARGET_TRACKING == ALARM_METRICS
    assert kinds["AWS::CloudWatch::Dashboard"] == DASHBOARDS


@pytest.mark.parametrize("page", ["operations.md", "deployment.md"])
def test_the_pages_have_the_prices_of_the_file(page: str) -> None:
    text = " ".join((ROOT / "docs" / page).read_text().split())
    watching = compare(1, 1).around.watching
    assert f"about ${watching:.0f} a month" in text
    if page == "operations.md":
        assert f"about {METRICS} metrics, {len(ALARMS)} alarms" in text
        assert f"the metrics that it watches, {ALARM_METRICS - OF_TARGET_TRACKING} here" in text
        assert f"(${PRICES.metric_month:.2f} a month" in text
        assert f"${8 * PRICES.metric_month:.2f} a month" in text


def test_the_prices_are_plausible() -> None:
    """Twice the size costs twice as much, within a percent: a slip of the pen would show."""
    for region in read().regions.values():
        _plausible(region)


def test_verified_prices_name_a_page_of_aws_s() -> None:
    for source in read().sources.values():
        assert ("https://docs.aws.amazon.com/" in source.source) is source.verified


def _plausible(region: Region) -> None:
    families: dict[str, list[Instance]] = {}
    for name, instance in region.instances.items():
        families.setdefault(name.rpartition(".")[0], []).append(instance)
    for sizes in families.values():
        by_processor = [each.hour / each.vcpus for each in sizes]
        assert math.isclose(min(by_processor), max(by_processor), rel_tol=0.01)
        assert len({each.memory_gib / each.vcpus for each in sizes}) == 1
