"""What a deploy would create: template.yaml with the parameters of an environment.

Conditions, references and mappings are resolved as CloudFormation resolves them, so that a check
sees the names, numbers and images of this deploy.
"""

import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import botocore.session

from cli.doctor.access import Access
from cli.doctor.result import CheckResult
from cli.extras import ROOT
from facet.errors import BadRequest, FacetError

NO_VALUE = {"Ref": "AWS::NoValue"}
SUBSTITUTED = re.compile(r"\$\{([\w.:]+)\}")
CHINA = "aws-cn"


class NotPublished(FacetError):
    """A mapping of the template has nothing for the region."""


class UnknownEnvironment(BadRequest):
    """samconfig.toml has no such environment; the message lists those it has."""


@dataclass(frozen=True)
class Environment:
    """An environment of samconfig.toml: its stack's name and the parameters that it sets."""

    stack: str
    parameters: Mapping[str, str]


def read_environment(name: str, path: Path = ROOT / "samconfig.toml") -> Environment:
    """Read an environment as `make deploy ENV=name` uses it. Raises UnknownEnvironment."""
    document = tomllib.loads(path.read_text())
    names = [each for each, value in document.items() if isinstance(value, dict)]
    if name not in names:
        raise UnknownEnvironment(f"there is no environment {name}; there are {', '.join(names)}")
    settings = document[name]["deploy"]["parameters"]
    pairs = (word.partition("=") for word in shlex.split(settings.get("parameter_overrides", "")))
    return Environment(settings["stack_name"], {key: value for key, _, value in pairs})


def read_template(path: Path = ROOT / "template.yaml") -> Mapping[str, Any]:
    """Read the template. Needs the extra `local`."""
    from samtranslator.yaml_helper import yaml_parse  # not in the wheel

    document: Mapping[str, Any] = yaml_parse(path.read_text())
    return document


@dataclass(frozen=True)
class Plan:
    """A deploy of a template under a stack's name, in a region of an account.

    `given` are the parameters that differ from the template's defaults.
    """

    template: Mapping[str, Any]
    stack: str
    account: str
    region: str
    given: Mapping[str, str]

    @cached_property
    def partition(self) -> str:
        """The region's partition."""
        return str(botocore.session.Session().get_partition_for_region(self.region))

    def parameter(self, name: str) -> str:
        """Return a parameter's value."""
        default = self.template["Parameters"][name].get("Default", "")
        return self.given.get(name, str(default))

    def number(self, name: str) -> int:
        """Return a numeric parameter's value."""
        return int(self.parameter(name))

    @property
    def serves(self) -> bool:
        """Whether it has an endpoint, now or by its schedule."""
        return self.parameter("EndpointOn") == "true" or bool(self.parameter("RestoreAt"))

    def broken_rules(self) -> list[str]:
        """Return what the rules say that the parameters break."""
        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            for assertion in rule["Assertions"]
            if not self._holds(assertion["Assert"])
        ]

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Map the logical names of all resources of a type that it creates to their properties."""
        return {
            name: self.resolve(each.get("Properties", {}))
            for name, each in self.template["Resources"].items()
            if each["Type"] == kind and self._holds({"Condition": each.get("Condition")})
        }

    def resolve(self, value: Any) -> Any:
        """Resolve intrinsic functions; attributes of resources stay. Raises NotPublished."""
        match value:
            case list():
                kept = (each for each in map(self._chosen, value) if each != NO_VALUE)
                return [self.resolve(each) for each in kept]
            case {"Fn::If": _}:
                return self.resolve(self._chosen(value))
            case {"Ref": str(name)}:
                return self._referred(name)
            case {"Fn::Sub": [str(text), names]}:
                return self._substituted(text, self.resolve(names))
            case {"Fn::Sub": str(text)}:
                return self._substituted(text, {})
            case {"Fn::FindInMap": [table, key, second]}:
                return self._mapped(table, self.resolve(key), self.resolve(second))
            case {"Fn::Split": [separator, text]}:
                return self.resolve(text).split(separator)
            case dict():
                chosen = {key: self._chosen(each) for key, each in value.items()}
                return {key: self.resolve(each) for key, each in chosen.items() if each != NO_VALUE}
        return value

    def _chosen(self, value: Any) -> Any:
        while isinstance(value, Mapping) and "Fn::If" in value:
            name, yes, no = value["Fn::If"]
            value = yes if self._holds({"Condition": name}) else no
        return value

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        match condition:
            case {"Condition": None}:
                return True
            case {"Condition": name}:
                return self._holds(self.template["Conditions"][name])
            case {"Fn::Not": [one]}:
                return not self._holds(one)
            case {"Fn::And": many}:
                return all(map(self._holds, many))
            case {"Fn::Or": many}:
                return any(map(self._holds, many))
            case {"Fn::Equals": [one, other]}:
                return str(self.resolve(one)) == str(self.resolve(other))
            case {"Fn::Contains": [many, one]}:
                return self.resolve(one) in many
        raise ValueError(f"unknown condition {condition}")

    def _substituted(self, text: str, own: Mapping[str, Any]) -> str:
        return SUBSTITUTED.sub(
            lambda found: str(own[found[1]] if found[1] in own else self._referred(found[1])), text
        )

    def _mapped(self, table: str, key: str, second: str) -> Any:
        known = self.template["Mappings"][table]
        if key not in known:
            raise NotPublished(f"the mapping {table} of template.yaml does not have {key}")
        return known[key][second]

    def _referred(self, name: str) -> str:
        """A parameter's value, a pseudo parameter's, or the name of a resource."""
        if name in self.template["Parameters"]:
            return self.parameter(name)
        pseudo = {
            "AWS::StackName": self.stack,
            "AWS::AccountId": self.account,
            "AWS::Region": self.region,
            "AWS::Partition": self.partition,
            "AWS::URLSuffix": f"amazonaws.com{'.cn' if self.partition == CHINA else ''}",
        }
        return pseudo.get(name, name)


Check = Callable[[Plan, Access], CheckResult]
"""A check of an account for a deploy."""
