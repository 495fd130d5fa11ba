"""What AWS asks for instances, requests and storage: a dated file, or one of your own."""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from facet.errors import FacetError
from facet.manifest import Frozen

OURS = Path(__file__).with_name("prices.json")
Found = TypeVar("Found")
Dollars = Annotated[float, Field(ge=0)]

AROUND = ("api", "lambda", "storage", "watching")
"""Sources of the prices that are no instance's."""


class NoPrices(FacetError):
    """There are no prices for what is asked; the message says which there are."""


class Instance(Frozen):
    """An instance type: dollars an hour, processors, memory in GiB."""

    hour: Annotated[float, Field(gt=0)]
    vcpus: Annotated[int, Field(ge=1)]
    memory_gib: Annotated[float, Field(gt=0)]


class Source(Frozen):
    """Where prices are from: when they were read, whether on AWS's own pages, and what is to say of
    them."""

    date: date
    verified: bool
    told: str


class Region(Frozen):
    """Prices of a region, in dollars."""

    instances: Annotated[dict[str, Instance], Field(min_length=1)]
    lambda_million_requests: Dollars
    lambda_gb_second: Dollars
    api_million_requests: Dollars
    storage_gb_month: Dollars
    metric_month: Dollars
    alarm_month: Dollars
    dashboard_month: Dollars

    def instance(self, name: str) -> Instance:
        """Raises NoPrices."""
        return _found(self.instances, name, "instance type")


class Prices(Frozen):
    """A price file. `sources` has one for each family of instances, and those of AROUND."""

    currency: str
    sources: dict[str, Source]
    regions: Annotated[dict[str, Region], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_has_a_source(self) -> Self:
        instances = {name for region in self.regions.values() for name in region.instances}
        lacking = {*map(family, instances), *AROUND} - self.sources.keys()
        if lacking:
            raise ValueError(f"sources lacks {', '.join(sorted(lacking))}")
        return self

    def unverified(self, instance: str) -> list[str]:
        """Those of the sources for this instance type that are not AWS's own."""
        return [name for name in self._needed(instance) if not self.sources[name].verified]

    def oldest(self, instance: str) -> date:
        """When the oldest of the prices for this instance type was read."""
        return min(self.sources[name].date for name in self._needed(instance))

    def _needed(self, instance: str) -> Iterable[str]:
        return (family(instance), *AROUND)

    def region(self, name: str) -> Region:
        """Raises NoPrices."""
        return _found(self.regions, name, "region")


def read(path: Path = OURS) -> Prices:
    """The prices in a file. Raises NoPrices, OSError."""
    try:
        return Prices.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise NoPrices(f"{path}: {place}: {first['msg']}; cli/cost/prices.json is one") from error


def family(instance: str) -> str:
    """An instance type without its size."""
    return instance.rpartition(".")[0] or instance


def _found(known: Mapping[str, Found], name: str, what: str) -> Found:
    if name not in known:
        raise NoPrices(
            f"there are no prices for the {what} {name}, but for {', '.join(known)}; write a file "
            "of your own after cli/cost/prices.json and name it with --prices"
        )
    return known[name]
