"""The resources of a stack as CloudFormation made them: physical ids and resolved properties."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from local.runtime.invocations import Delivery
from local.runtime.pool import Function
from local.supported import UnsupportedTemplate
from local.template import StackTemplate


class Resources:
    """The template's resources with their intrinsic functions resolved."""

    def __init__(self, read: StackTemplate, resolve: Callable[[Any], Any]) -> None:
        self._read = read
        self._resolve = resolve
        self._logical = {self.name(each): each for each in self.of_type("AWS::Lambda::Function")}

    def of_type(self, kind: str) -> list[str]:
        """Logical ids of the resources of a type that were made: their conditions, if any, hold."""
        return [each for each in self._read.of_type(kind) if self._is_made(each)]

    def the(self, kind: str) -> str:
        """The logical id of the only resource of a type. Raises ValueError if there are several."""
        (name,) = self.of_type(kind)
        return name

    def name(self, logical: str) -> str:
        """A resource's physical id."""
        return str(self._resolve({"Ref": logical}))

    def logical(self, function_name: str) -> str:
        """The logical id of a function."""
        return self._logical[function_name]

    def attribute(self, logical: str, name: str) -> str:
        """An attribute of a resource, as Fn::GetAtt returns it."""
        return str(self._resolve({"Fn::GetAtt": [logical, name]}))

    def queue_name(self, logical: str) -> str:
        """A queue's name; its physical id is its URL."""
        return self.name(logical).rpartition("/")[2]

    def output(self, name: str) -> str:
        """The value of an output of the template."""
        return str(self._resolve(self._read.document["Outputs"][name]["Value"]))

    def endpoints(self) -> list[str]:
        """The names of the endpoints that were made: one, or none with EndpointOn=false."""
        made = self.of_type("AWS::SageMaker::Endpoint")
        return [self.attribute(each, "EndpointName") for each in made]

    def property(self, logical: str, name: str) -> Any:
        """A resource's property, or None if the template does not set it."""
        return self._resolve(self._read.resources[logical]["Properties"].get(name))

    def functions(self) -> list[Function]:
        """The functions, named by their logical ids, to run from their sources."""
        return [self._function(each) for each in self.of_type("AWS::Lambda::Function")]

    def deliveries(self) -> dict[str, Delivery]:
        """How asynchronous events reach each function, by its logical id."""
        found = {
            each: Delivery(concurrency=self._concurrency(each)) for each in self._logical.values()
        }
        for config in self.of_type("AWS::Lambda::EventInvokeConfig"):
            function = self.logical(self.property(config, "FunctionName"))
            properties = {
                "retries": self.property(config, "MaximumRetryAttempts"),
                "age": self.property(config, "MaximumEventAgeInSeconds"),
            }
            changes = {name: int(value) for name, value in properties.items() if value is not None}
            found[function] = replace(found[function], **changes)
        return found

    def _is_made(self, logical: str) -> bool:
        condition = self._read.resources[logical].get("Condition")
        return condition is None or bool(self._resolve({"Fn::If": [condition, True, False]}))

    def _concurrency(self, logical: str) -> int | None:
        reserved = self.property(logical, "ReservedConcurrentExecutions")
        if reserved is None:
            return None
        if int(reserved) < 1:
            raise UnsupportedTemplate(
                f"the local stack does not support {logical}.ReservedConcurrentExecutions 0, "
                "which stops a function: leave it out, or reserve at least 1"
            )
        return int(reserved)

    def _function(self, logical: str) -> Function:
        sources = self._read.sources[logical]
        environment = self.property(logical, "Environment") or {}
        return Function(
            name=logical,
            handler=self.property(logical, "Handler"),
            code=sources.code,
            layers=sources.layers,
            environment={
                name: _text(value) for name, value in environment.get("Variables", {}).items()
            },
            timeout=float(self.property(logical, "Timeout")),
            memory=int(self.property(logical, "MemorySize")),
            concurrency=self._concurrency(logical),
        )


def _text(value: object) -> str:
    """The value of an environment variable as CloudFormation writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
