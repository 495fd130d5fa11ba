"""What CloudFormation makes of the template with given parameters."""

import fnmatch
import re
from collections.abc import Mapping
from typing import Any

from tests.support.watching import STACK

DOCUMENT = STACK.document
NOTHING = {"Ref": "AWS::NoValue"}
PSEUDO = {
    "AWS::StackName": "facet",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/facet/1",
    "AWS::AccountId": "123456789012",
    "AWS::Region": "us-east-1",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
SUBSTITUTED = re.compile(r"\$\{([\w.:]+)\}")
DEFAULTS = {name: str(each["Default"]) for name, each in DOCUMENT["Parameters"].items()}


class Chosen:
    """The template with some parameters given. `resources` are those that are made, their values
    resolved; an attribute of a resource is `Resource.Attribute`, its reference `Resource`."""

    def __init__(self, **parameters: str) -> None:
        STACK.check(parameters)
        self._given = DEFAULTS | parameters
        self._referred: set[str] = set()
        self.resources: dict[str, dict[str, Any]] = {
            name: self._resolved(each)
            for name, each in STACK.resources.items()
            if "Condition" not in each or self._holds({"Condition": each["Condition"]})
        }
        self.outputs = {name: self._resolved(each) for name, each in DOCUMENT["Outputs"].items()}

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
        return (self._referred & STACK.resources.keys()) - self.resources.keys()

    def _holds(self, condition: Any) -> bool:
        match condition:
            case {"Condition": name}:
                return self._holds(DOCUMENT["Conditions"][name])
            case {"Fn::Not": [one]}:
                return not self._holds(one)
            case {"Fn::And": many}:
                return all(map(self._holds, many))
            case {"Fn::Or": many}:
                return any(map(self._holds, many))
            case {"Fn::Equals": [one, other]}:
                return str(self._resolved(one)) == str(self._resolved(other))
        raise AssertionError(f"no such condition: {condition}")

    def _resolved(self, value: Any) -> Any:
        match value:
            case list():
                return [self._resolved(each) for each in self._kept(value)]
            case {"Ref": str(name)}:
                self._referred.add(name.partition(".")[0])
                return self._given.get(name, PSEUDO.get(name, name))
            case {"Fn::GetAtt": [name, attribute]}:
                self._referred.add(name)
                return f"{name}.{attribute}"
            case {"Fn::Sub": str(text)}:
                return SUBSTITUTED.sub(lambda found: self._resolved({"Ref": found[1]}), text)
            case {"Fn::Split": [separator, text]}:
                return self._resolved(text).split(separator)
            case {"Fn::If": [name, *branches]}:
                return self._resolved(branches[0 if self._holds({"Condition": name}) else 1])
            case dict():
                left = {key: each for key, each in value.items() if self._kept([each])}
                return {key: self._resolved(each) for key, each in left.items()}
        return value

    def _kept(self, values: list[Any]) -> list[Any]:
        return [each for each in values if self._chosen(each) != NOTHING]

    def _chosen(self, value: Any) -> Any:
        while isinstance(value, Mapping) and "Fn::If" in value:
            name, yes, no = value["Fn::If"]
            value = yes if self._holds({"Condition": name}) else no
        return value


def statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A policy's."""
    found: list[dict[str, Any]] = document["Statement"]
    return found


def applies(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    """Whether a statement speaks of the action and the resource, as IAM compares them."""
    return any(fnmatch.fnmatchcase(action, each) for each in many(statement["Action"])) and any(
        fnmatch.fnmatchcase(resource, each) for each in many(statement["Resource"])
    )


def many(value: str | list[str]) -> list[str]:
    """What IAM takes alone or in a list."""
    return [value] if isinstance(value, str) else value
