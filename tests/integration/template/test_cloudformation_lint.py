"""cfn-lint on SAM's translation of template.yaml, with each environment's parameters."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from tests.support.deploying import overrides
from tests.support.watching import STACK

ROOT = Path(__file__).parents[3]
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
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


def document(**definition: Any) -> dict[str, Any]:
    """The translated template with the state machine's definition, changed by `definition`."""
    made: dict[str, Any] = json.loads(json.dumps(STACK.document))
    machine = made["Resources"]["TrainStateMachine"]["Properties"]
    del machine["DefinitionS3Location"]
    machine["Definition"] = json.loads(DEFINITION) | definition
    return made


def part(name: str, **definition: Any) -> dict[str, Any]:
    """The translated template reduced to one resource."""
    whole = document(**definition)
    return whole | {"Resources": {name: whole["Resources"][name]}}


def findings(template: Mapping[str, Any], **parameters: str) -> set[tuple[str, str]]:
    """Pairs of a rule and the parameter or resource that it is about."""
    config = ManualArgs(regions=["us-east-1"], parameters=[parameters])
    return {(each.rule.id, each.path[1]) for each in lint(json.dumps(template), config=config)}


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_every_finding_is_explained(environment: str) -> None:
    given = CONFIG[environment]["deploy"]["parameters"].get("parameter_overrides", "")
    parameters = overrides(*given.split()) if given else {}
    assert findings(document(), **parameters) == set(EXPLAINED)


def test_an_invalid_value_is_found() -> None:
    config = part("EndpointConfig")
    assert ("W1030", "EndpointConfig") not in findings(config, InstanceType="ml.m5.large")
    assert ("W1030", "EndpointConfig") in findings(config, InstanceType="ml.none")


def test_a_broken_definition_is_found() -> None:
    task = {"Type": "Task", "End": True}
    found = findings(part("TrainStateMachine", StartAt="Plan", States={"Plan": task}))
    assert ("E3601", "TrainStateMachine") in found
