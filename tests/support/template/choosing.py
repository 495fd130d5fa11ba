"""What CloudFormation makes of the template with given parameters.

`Chosen(**parameters)` runs SAM's translator with the parameters, as AWS does, and resolves
conditions and references. Use it to look at the resources of one deploy:

    Chosen(EndpointOn="false").resources          every reference is the name of what it refers to
    Chosen(AllowOrigin="*", stack="x").of_type("AWS::SQS::Queue")
    of_environment("prod").template               what CloudFormation carries out, for cfn-lint
"""

import fnmatch
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from botocore.session import get_session

from local import template
from local.template import StackTemplate
from tests.support.template.deploying import overrides
from tests.support.template.watching import STACK

ROOT = Path(__file__).parents[3]
DOCUMENT = STACK.document
NOTHING = {"Ref": "AWS::NoValue"}
SUBSTITUTED = re.compile(r"\$\{([\w.:]+)\}")
DEFAULTS = {name: str(each["Default"]) for name, each in DOCUMENT["Parameters"].items()}
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    name: each["deploy"]["parameters"]
    for name, each in tomllib.loads((ROOT / "samconfig.toml").read_text()).items()
    if name != "version"
}
"""The settings of `sam deploy` by environment: default, dev and prod."""

EVERYTHING = {
    **dict.fromkeys(("ScaleDownAt", "ScaleUpAt"), "cron(0 20 ? * MON-FRI *)"),
    **dict.fromkeys(("RemoveAt", "RestoreAt"), "cron(40 6 ? * MON-FRI *)"),
    "SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b",
    "SecurityGroupIds": "sg-0a1b2c3d",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f",
    "CapturePercent": "10",
    "ApiLogs": "set-role-and-write",
    "AlarmEmail": "a@example.com",
    "MonthlyBudget": "200",
    "AllowOrigin": "https://example.com",
    "NotificationTopicArn": "arn:aws:sns:us-east-1:123456789012:t",
    "PredictConcurrency": "50",
    "OnboardConcurrency": "5",
}
"""Parameters with which every resource exists."""


class Chosen:
    """The template with some parameters given. `resources` are those that are made, their values
    resolved; an attribute of a resource is `Resource.Attribute`, its reference `Resource`."""

    def __init__(
        self, *, stack: str = "facet", region: str = "us-east-1", **parameters: str
    ) -> None:
        STACK.check(parameters)
        self.parameters = parameters
        self._translated = _translated(region, frozenset(parameters.items()))
        self._document = self._translated.document
        self._given = DEFAULTS | parameters | _pseudo(stack, region)
        self._referred: set[str] = set()
        self._by_name: Callable[[Any], Any] = named
        self.resources: dict[str, dict[str, Any]] = {
            name: self._resolved(each)
            for name, each in self._translated.resources.items()
            if "Condition" not in each or self._holds({"Condition": each["Condition"]})
        }
        self.outputs = self._made_outputs()

    @property
    def template(self) -> dict[str, Any]:
        """What CloudFormation carries out: parameters and conditions are resolved, references to
        resources are not."""
        self._by_name = lambda reference: reference
        try:
            made = {
                name: {
                    key: self._resolved(value)
                    for key, value in self._translated.resources[name].items()
                    if key != "Condition"
                }
                for name in self.resources
            }
            outputs = self._made_outputs()
        finally:
            self._by_name = named
        version = self._document["AWSTemplateFormatVersion"]
        return {"AWSTemplateFormatVersion": version, "Resources": made, "Outputs": outputs}

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of each resource of a type, by its logical id."""
        return {
            name: each.get("Properties", {})
            for name, each in self.resources.items()
            if each["Type"] == kind
        }

    def refusals(self) -> list[str]:
        """What the template's rules say against these parameters."""
        return [
            each["AssertDescription"]
            for rule in DOCUMENT["Rules"].values()
            for each in rule["Assertions"]
            if not self._holds(each["Assert"])
        ]

    def missing(self) -> set[str]:
        """Resources that are referred to and not made."""
        waited_for = {
            name for each in self.resources.values() for name in many(each.get("DependsOn", []))
        }
        referred = (self._referred | waited_for) & self._translated.resources.keys()
        return referred - self.resources.keys()

    def _made_outputs(self) -> dict[str, Any]:
        return {
            name: {key: self._resolved(value) for key, value in each.items() if key != "Condition"}
            for name, each in self._document["Outputs"].items()
            if "Condition" not in each or self._holds({"Condition": each["Condition"]})
        }

    def _holds(self, condition: Any) -> bool:
        match condition:
            case {"Condition": name}:
                return self._holds(self._document["Conditions"][name])
            case {"Fn::Not": [one]}:
                return not self._holds(one)
            case {"Fn::And": several}:
                return all(map(self._holds, several))
            case {"Fn::Or": several}:
                return any(map(self._holds, several))
            case {"Fn::Equals": [one, other]}:
                return str(self._resolved(one)) == str(self._resolved(other))
            case {"Fn::Contains": [several, one]}:
                return self._resolved(one) in several
        raise AssertionError(f"no such condition: {condition}")

    def _resolved(self, value: Any) -> Any:
        match value:
            case list():
                return [self._resolved(each) for each in self._kept(value)]
            case {"Ref": str(name)}:
                if name in self._given:
                    return self._given[name]
                self._referred.add(name)
                return self._by_name(value)
            case {"Fn::GetAtt": [str(name), *_]}:
                self._referred.add(name)
                return self._by_name(value)
            case {"Fn::Sub": str(text)}:
                return self._substituted(text, {})
            case {"Fn::Sub": [str(text), dict(values)]}:
                return self._substituted(text, self._resolved(values))
            case {"Fn::FindInMap": [name, *keys]}:
                found = self._document["Mappings"][name]
                for key in keys:
                    found = found[self._resolved(key)]
                return found
            case {"Fn::Split": [separator, text]}:
                return self._resolved(text).split(separator)
            case {"Fn::If": [name, *branches]}:
                return self._resolved(branches[0 if self._holds({"Condition": name}) else 1])
            case dict():
                assert not any(key.startswith("Fn::") for key in value), f"cannot resolve {value}"
                left = {key: each for key, each in value.items() if self._kept([each])}
                return {key: self._resolved(each) for key, each in left.items()}
        return value

    def _substituted(self, text: str, values: Mapping[str, Any]) -> Any:
        known = self._given | {name: each for name, each in values.items() if isinstance(each, str)}
        left = {name: each for name, each in values.items() if name not in known}
        self._referred |= {name.partition(".")[0] for name in SUBSTITUTED.findall(text)}
        done = SUBSTITUTED.sub(lambda found: known.get(found[1], found[0]), text)
        if not SUBSTITUTED.search(done):
            return done
        return self._by_name({"Fn::Sub": [done, left] if left else done})

    def _kept(self, values: list[Any]) -> list[Any]:
        return [each for each in values if self._chosen(each) != NOTHING]

    def _chosen(self, value: Any) -> Any:
        while isinstance(value, Mapping) and "Fn::If" in value:
            name, yes, no = value["Fn::If"]
            value = yes if self._holds({"Condition": name}) else no
        return value


def of_environment(name: str) -> Chosen:
    """What `make deploy` makes in an environment of samconfig.toml."""
    settings = ENVIRONMENTS[name]
    words = settings.get("parameter_overrides", "").split()
    return Chosen(stack=settings["stack_name"], **(overrides(*words) if words else {}))


def named(reference: Mapping[str, Any]) -> str:
    """The name of what is referred to: `Resource` or `Resource.Attribute`."""
    match reference:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": list(parts)}:
            return ".".join(parts)
    return SUBSTITUTED.sub(r"\1", reference["Fn::Sub"])


@cache
def _translated(region: str, parameters: frozenset[tuple[str, str]]) -> StackTemplate:
    return template.load(ROOT / "template.yaml", dict(parameters), region)


def _pseudo(stack: str, region: str) -> dict[str, str]:
    """CloudFormation's pseudo parameters in an account."""
    partitions = get_session().get_data("endpoints")["partitions"]
    partition = next(each for each in partitions if re.match(each["regionRegex"], region))
    account, name = "123456789012", partition["partition"]
    return {
        "AWS::StackName": stack,
        "AWS::StackId": f"arn:{name}:cloudformation:{region}:{account}:stack/{stack}/1",
        "AWS::AccountId": account,
        "AWS::Region": region,
        "AWS::Partition": name,
        "AWS::URLSuffix": partition["dnsSuffix"],
    }


def statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A policy's."""
    found: list[dict[str, Any]] = document["Statement"]
    return found


def applies(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    """Whether a statement speaks of the action and the resource, as IAM compares them."""
    if not any(fnmatch.fnmatchcase(action, each) for each in many(statement["Action"])):
        return False
    named = many(statement["Resource"] if "Resource" in statement else statement["NotResource"])
    matches = any(fnmatch.fnmatchcase(resource, each) for each in named)
    return matches if "Resource" in statement else not matches


def many(value: str | list[str]) -> list[str]:
    """What IAM takes alone or in a list."""
    return [value] if isinstance(value, str) else value
