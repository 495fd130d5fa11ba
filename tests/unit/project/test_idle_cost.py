"""docs/cost.md, "Idle": what remains a month in each environment is the template's, and adds up."""

import re
from pathlib import Path

import pytest

from cli.cost.model import HOURS
from cli.cost.prices import read
from tests.support.template.choosing import ENVIRONMENTS, Chosen, of_environment

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/cost.md").read_text()
(BLOCK,) = re.findall(r"^## Idle\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
HEAD, _, *ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")] for row in BLOCK.splitlines()
]
PRICES = read().region("us-east-1")
RUNS = HOURS * 4
"""The sweeper's, in a month."""

SWEEPER = {
    "sweeper, computing": RUNS
    * (PRICES.lambda_million_requests / 1e6 + 0.25 * PRICES.lambda_gb_second),
    "sweeper, S3": 3 * RUNS * 0.005 / 1e3,
    "sweeper, registry": 4 * RUNS * 0.125 / 1e6,
    "sweeper, logs": 0.004 * 0.5,
    "sweeper, traces": RUNS * 5 / 1e6,
    "training code in S3": 0.106 * PRICES.storage_gb_month,
}
UNPROVEN = RUNS * (
    PRICES.lambda_million_requests / 1e6
    + 2.5 * 0.25 * PRICES.lambda_gb_second
    + 14 * 0.125 / 1e6
    + 5 / 1e6
)
"""Onboarding's events of versions that the endpoint has not proven, if there is none."""

environment = pytest.mark.parametrize("name", ENVIRONMENTS)


def dollars(name: str) -> dict[str, float]:
    """Each line's dollars in an environment."""
    column = HEAD.index(f"`{name}`")
    return {row[0]: float(row[column].strip("$") or 0) for row in ROWS}


def computed(chosen: Chosen) -> dict[str, float]:
    """The same of the template, for what depends on it, and of the assumptions for the rest."""
    alarms = chosen.of_type("AWS::CloudWatch::Alarm").values()
    watched = sum(
        len([each for each in alarm.get("Metrics", [alarm]) if "Expression" not in each])
        for alarm in alarms
    )
    own = 2 * len(chosen.of_type("AWS::ApplicationAutoScaling::ScalableTarget"))
    instances = 0.0
    if chosen.of_type("AWS::SageMaker::Endpoint"):
        (variant,) = chosen.resources["EndpointConfig"]["Properties"]["ProductionVariants"]
        hour = PRICES.instance(variant["InstanceType"]).hour
        instances = int(variant["InitialInstanceCount"]) * hour * HOURS
    return SWEEPER | {
        "endpoint": instances,
        "alarms": (watched + own) * PRICES.alarm_month,
        "dashboard": len(chosen.of_type("AWS::CloudWatch::Dashboard")) * PRICES.dashboard_month,
        "metrics": 0,
        "proofs to come": 0 if instances else UNPROVEN,
        "container's image in ECR": 0.0441 if instances else 0,
    }


@environment
def test_every_line_is_the_templates(name: str) -> None:
    said = dollars(name)
    total = said.pop("sum")
    assert said == pytest.approx(computed(of_environment(name)), abs=0.001)
    assert total == pytest.approx(sum(said.values()), abs=0.005)


def test_the_sweeper_runs_as_often_and_with_as_much_memory_as_the_table_says() -> None:
    sweeper = of_environment("dev").resources["SweepFunction"]["Properties"]
    assert sweeper["MemorySize"] == 256
    assert of_environment("dev").resources["OnboardFunction"]["Properties"]["MemorySize"] == 256
    rules = of_environment("dev").of_type("AWS::Events::Rule").values()
    assert "rate(15 minutes)" in [each.get("ScheduleExpression") for each in rules]


def test_the_readme_says_the_same() -> None:
    deploy = (ROOT / "README.md").read_text().partition("\n## Deploy\n")[2].partition("\n## ")[0]
    assert f"`dev` costs about ${dollars('dev')['sum']:.2f} a month" in deploy
    for name in ("default", "prod"):
        assert f"${dollars(name)['sum']:.0f}" in deploy


def test_what_no_environment_has_is_named_by_the_page() -> None:
    for name in ENVIRONMENTS:
        assert "KmsKeyArn" not in of_environment(name).parameters
