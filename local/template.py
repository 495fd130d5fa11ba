"""Reads a SAM template: CloudFormation's resources, and where the functions' sources are.

The SAM translator makes the same resources as a deploy would. It needs packaged code, which it gets
as placeholders: on this machine functions run from their sources.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import intrinsics_multi_constructor

from local.supported import MADE_BY_MOTO, WITHOUT_EFFECT, UnsupportedTemplate, unsupported

SAM_FUNCTION = "AWS::Serverless::Function"
SAM_LAYER = "AWS::Serverless::LayerVersion"
SAM_MACHINE = "AWS::Serverless::StateMachine"
PLACEHOLDER = "s3://sources/code.zip"
"""Stands for packaged code."""

SUBSTITUTION = re.compile(r"\$\{(\w+)\}")
"""A placeholder in a state machine's definition, for DefinitionSubstitutions."""

CONSTRAINTS = ("AllowedValues", "MinValue", "MaxValue", "AllowedPattern")
"""Properties of a template's parameter that limit its values."""


@dataclass(frozen=True)
class Sources:
    """The folders of a function's code and of its layers."""

    code: Path
    layers: tuple[Path, ...]


@dataclass(frozen=True)
class StackTemplate:
    """The translated template. `resources` are CloudFormation's, by logical id.

    `sources` are those of each function, `definitions` the file of each state machine.
    """

    resources: Mapping[str, Mapping[str, Any]]
    document: Mapping[str, Any]
    sources: Mapping[str, Sources]
    definitions: Mapping[str, Path]

    def of_type(self, kind: str) -> list[str]:
        """Logical ids of the resources of a type."""
        return [name for name, each in self.resources.items() if each["Type"] == kind]

    def check(self, parameters: Mapping[str, str]) -> None:
        """Raises UnsupportedTemplate for parameters that CloudFormation would reject."""
        if refused := refusals(self.document.get("Parameters", {}), parameters):
            raise UnsupportedTemplate("; ".join(refused))

    def for_moto(self) -> dict[str, Any]:
        """The part of the template from which moto makes a stack."""
        made = {
            name: {
                "Type": each["Type"],
                "Properties": _for_moto(name, each, self.definitions.get(name)),
            }
            | ({"Condition": each["Condition"]} if "Condition" in each else {})
            for name, each in self.resources.items()
            if each["Type"] in MADE_BY_MOTO
        }
        kept = ("Parameters", "Mappings", "Conditions")
        return {"Resources": made} | {
            part: self.document[part] for part in kept if part in self.document
        }


def refusals(declared: Mapping[str, Any], parameters: Mapping[str, str]) -> list[str]:
    """Why CloudFormation would refuse parameters of a template that declares these."""
    return [
        f"{name} cannot be '{value}'. {_allowed(declared[name])}"
        if name in declared
        else f"the template has no parameter {name}"
        for name, value in parameters.items()
        if name not in declared or not _fits(declared[name], value)
    ]


def _allowed(parameter: Mapping[str, Any]) -> str:
    limits = (f"{name}: {parameter[name]}" for name in CONSTRAINTS if name in parameter)
    return f"{parameter.get('Description', '')} ({'; '.join(limits)})"


def _fits(parameter: Mapping[str, Any], value: str) -> bool:
    if value not in map(str, parameter.get("AllowedValues", [value])):
        return False
    if parameter["Type"] != "Number":
        return re.fullmatch(parameter.get("AllowedPattern", ".*"), value) is not None
    number = float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else math.nan
    least, most = parameter.get("MinValue", -math.inf), parameter.get("MaxValue", math.inf)
    return bool(least <= number <= most)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads CloudFormation's short forms (`!Ref`, `!Sub`) as intrinsic functions, dates as text."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_str)


def parse(text: str) -> dict[str, Any]:
    """A template as it is written, in YAML."""
    document: dict[str, Any] = yaml.load(text, _Loader)
    return document


def load(
    path: Path, parameters: Mapping[str, str] | None = None, region: str = "us-east-1"
) -> StackTemplate:
    """Reads and translates a SAM template. Raises UnsupportedTemplate.

    SAM writes the values of some parameters into its translation, such as a usage plan's limits.
    """
    path = path.resolve()  # functions run in folders of their own
    document = parse(path.read_text())
    sources = _take_sources(document, path.parent)
    definitions = _take_definitions(document, path.parent)
    session = boto3.Session(region_name=region)
    translator = Translator({}, Parser(), boto_session=session)
    translated = translator.translate(document, dict(parameters or {}))
    if rejected := sorted(unsupported(translated["Resources"])):
        raise UnsupportedTemplate(
            "the local stack does not support " + ", ".join(rejected) + " (local/supported.py)"
        )
    return StackTemplate(translated["Resources"], translated, sources, definitions)


def _take_sources(document: dict[str, Any], root: Path) -> dict[str, Sources]:
    """Each function's sources; placeholders replace them in the document."""
    globals_ = document.get("Globals", {}).get("Function", {})
    resources = document["Resources"]
    layers: dict[str, Path] = {}
    for name, each in resources.items():
        if each["Type"] == SAM_LAYER:
            layers[name] = root / each["Properties"]["ContentUri"]
            each["Properties"]["ContentUri"] = PLACEHOLDER
    found: dict[str, Sources] = {}
    for name, each in resources.items():
        if each["Type"] != SAM_FUNCTION:
            continue
        properties = each["Properties"]
        used = [*globals_.get("Layers", []), *properties.get("Layers", [])]
        code = properties.pop("CodeUri", globals_.get("CodeUri"))
        properties["CodeUri"] = PLACEHOLDER
        found[name] = Sources(root / code, tuple(layers[layer["Ref"]] for layer in used))
    return found


def _take_definitions(document: dict[str, Any], root: Path) -> dict[str, Path]:
    """Each state machine's definition; placeholders replace them in the document."""
    found: dict[str, Path] = {}
    for name, each in document["Resources"].items():
        if each["Type"] == SAM_MACHINE:
            found[name] = root / each["Properties"]["DefinitionUri"]
            each["Properties"]["DefinitionUri"] = PLACEHOLDER
    return found


def _for_moto(name: str, resource: Mapping[str, Any], definition: Path | None) -> dict[str, Any]:
    """The properties for moto, without those that have no effect and may name missing resources.

    local/moto/aws.py applies later what moto ignores. A function's name is its logical id, which
    its workers have, too.
    """
    kind = resource["Type"]
    properties = {
        each: value
        for each, value in resource.get("Properties", {}).items()
        if f"{kind}.{each}" not in WITHOUT_EFFECT
    }
    if kind == "AWS::S3::Bucket":
        properties.pop("NotificationConfiguration", None)
    if kind == "AWS::Lambda::Function":
        properties["FunctionName"] = name
        properties["Code"] = {"ZipFile": "# functions run from their sources"}
        properties.pop("Layers", None)
    if definition:
        properties.pop("DefinitionS3Location")
        values = properties.pop("DefinitionSubstitutions", {})
        properties["DefinitionString"] = substituted(definition.read_text(), values)
    return properties


def substituted(text: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A text with `${Name}` replaced, as an Fn::Join.

    moto ignores DefinitionSubstitutions, and its Fn::Sub makes one dollar sign of two.
    """
    parts = SUBSTITUTION.split(text)
    return {"Fn::Join": ["", [values[part] if at % 2 else part for at, part in enumerate(parts)]]}
