"""cfn-lint on SAM's translation of template.yaml: as it is, and as each environment makes it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from tests.support.template.choosing import ENVIRONMENTS, EVERYTHING, Chosen, of_environment
from tests.support.template.watching import STACK

ROOT = Path(__file__).parents[3]
DEFINITION = (ROOT / "statemachine/train.asl.json").read_text().replace("${Partition}", "aws")
EXPLAINED = {
    ("W2001", "ThrottleRate"): "SAM puts the value itself into the usage plan",
    ("W2001", "ThrottleBurst"): "SAM puts the value itself into the usage plan",
    ("W2001", "QuotaPerDay"): "SAM puts the value itself into the usage plan",
    ("W3005", "ApiUsagePlan"): "SAM writes it so",
    ("W3005", "ApiUsagePlanKey"): "SAM writes it so",
    ("W1030", "HoursFunctionRestore"): "a rule of the template has RestoreAt wherever RemoveAt is",
}
"""Accepted findings, by rule and resource or parameter, with the reason."""


def document(translated: Mapping[str, Any] = STACK.document, **definition: Any) -> dict[str, Any]:
    """A translated template with the state machine's definition, changed by `definition`."""
    made: dict[str, Any] = json.loads(json.dumps(translated))
    machine = made["Resources"]["TrainStateMachine"]["Properties"]
    del machine["DefinitionS3Location"]
    machine["Definition"] = json.loads(DEFINITION) | definition
    return made


def part(name: str, **definition: Any) -> dict[str, Any]:
    """The translated template reduced to one resource."""
    whole = document(**definition)
    return whole | {"Resources": {name: whole["Resources"][name]}}


def findings(
    template: Mapping[str, Any], *, region: str = "us-east-1", **parameters: str
) -> set[tuple[str, str]]:
    """Pairs of a rule and the parameter or resource that it is about."""
    config = ManualArgs(regions=[region], parameters=[parameters])
    return {(each.rule.id, each.path[1]) for each in lint(json.dumps(template), config=config)}


def test_every_finding_is_explained() -> None:
    assert findings(document()) == set(EXPLAINED)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_an_environment_makes_has_only_explained_findings(environment: str) -> None:
    made = document(of_environment(environment).template)
    assert findings(made) == {("W3005", "ApiUsagePlan"), ("W3005", "ApiUsagePlanKey")}


def test_what_a_stack_with_a_long_name_and_everything_makes_has_only_explained_findings() -> None:
    everything = Chosen(stack="x" * 30, region="ap-southeast-2", **EVERYTHING)
    assert everything.resources.keys() == STACK.resources.keys()
    made = document(everything.template)
    found = findings(made, region="ap-southeast-2")
    assert found == {("W3005", "ApiUsagePlan"), ("W3005", "ApiUsagePlanKey")}


def test_an_invalid_value_is_found() -> None:
    config = part("EndpointConfig")
    assert ("W1030", "EndpointConfig") not in findings(config, InstanceType="ml.m5.large")
    assert ("W1030", "EndpointConfig") in findings(config, InstanceType="ml.none")


def test_a_broken_definition_is_found() -> None:
    task = {"Type": "Task", "End": True}
    found = findings(part("TrainStateMachine", StartAt="Plan", States={"Plan": task}))
    assert ("E3601", "TrainStateMachine") in found
