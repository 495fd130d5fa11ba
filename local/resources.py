"""The resources of a template as they were made: their names, and their properties resolved."""

from collections.abc import Callable
from typing import Any

from local.runtime.pool import Function
from local.template import StackTemplate


class Resources:
    """The template's resources with their intrinsic functions resolved."""

    def __init__(self, read: StackTemplate, resolve: Callable[[Any], Any]) -> None:
        self._read = read
        self._resolve = resolve
        self._logical = {self.name(each): each for each in read.of_type("AWS::Lambda::Function")}

    def the(self, kind: str) -> str:
        """The logical id of the only resource of a type."""
        (name,) = self._read.of_type(kind)
        return name

    def name(self, logical: str) -> str:
        """A resource's physical id."""
        return str(self._resolve({"Ref": logical}))

    def logical(self, function_name: str) -> str:
        """The logical id of a function."""
        return self._logical[function_name]

    def attribute(self, logical: str, name: str) -> str:
        """What Fn::GetAtt gives."""
        return str(self._resolve({"Fn::GetAtt": [logical, name]}))

    def queue_name(self, logical: str) -> str:
        """A queue's name, which is not its physical id."""
        return self.name(logical).rpartition("/")[2]

    def endpoint(self) -> str:
        """The endpoint's name."""
        return self.attribute(self.the("AWS::SageMaker::Endpoint"), "EndpointName")

    def property(self, logical: str, name: str) -> Any:
        """A resource's property, None where the template does not set it."""
        return self._resolve(self._read.resources[logical]["Properties"].get(name))

    def functions(self) -> list[Function]:
        """The functions, under their logical ids, to run from their sources."""
        return [self._function(each) for each in self._read.of_type("AWS::Lambda::Function")]

    def _function(self, logical: str) -> Function:
        sources = self._read.sources[logical]
        environment = self.property(logical, "Environment") or {}
        return Function(
            name=logical,
            handler=self.property(logical, "Handler"),
            code=sources.code,
            layers=sources.layers,
            environment=environment.get("Variables", {}),
            timeout=float(self.property(logical, "Timeout")),
            memory=int(self.property(logical, "MemorySize")),
            concurrency=self.property(logical, "ReservedConcurrentExecutions"),
        )
