"""Read AWS's prices of instances, requests and storage from a dated file, or from your own."""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from facet.errors import FacetError
from facet.manifest import Frozen

DEFAULT_PRICES = Path(__file__).with_name("prices.json")
Found = TypeVar("Found")
Dollars = Annotated[float, Field(ge=0)]

AROUND = ("api", "lambda", "storage", "watching")
"""Sources of the prices other than instances."""


class NoPrices(FacetError):
    """The file has no such price; the message lists what it has."""


class Instance(Frozen):
    """An instance type: dollars an hour, processors, memory in GiB."""

    hour: Annotated[float, Field(gt=0)]
    vcpus: Annotated[int, Field(ge=1)]
    memory_gib: Annotated[float, Field(gt=0)]


class Source(Frozen):
    """A price's source: when it was read, whether on AWS's own pages (`verified`), and a note."""

    date: date
    verified: bool
    source: str


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
        """Look up by name. Raises NoPrices."""
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
        """List the sources for this instance type that are not AWS's own pages."""
        return [name for name in self._needed(instance) if not self.sources[name].verified]

    def oldest(self, instance: str) -> date:
        """Return the date of the oldest price for this instance type."""
        return min(self.sources[name].date for name in self._needed(instance))

    def _needed(self, instance: str) -> Iterable[str]:
        return (family(instance), *AROUND)

    def region(self, name: str) -> Region:
        """Look up by name. Raises NoPrices."""
        return _found(self.regions, name, "region")


def read(path: Path = DEFAULT_PRICES) -> Prices:
    """Read a price file. Raises NoPrices, OSError."""
    try:
        return Prices.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise NoPrices(
            f"{path}: {place}: {first['msg']}; see cli/cost/prices.json for the form"
        ) from error


def family(instance: str) -> str:
    """Return an instance type without its size."""
    return instance.rpartition(".")[0] or instance


def _found(known: Mapping[str, Found], name: str, what: str) -> Found:
    if name not in known:
        raise NoPrices(
            f"there are no prices for the {what} {name}; choose {', '.join(known)}, or write your "
            "own file like cli/cost/prices.json and pass it with --prices"
        )
    return known[name]
