"""Read AWS's prices of instances, requests and storage from a dated file, or from your own."""

import math
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from facet.errors import FacetError
from facet.specs import Frozen

DEFAULT_PRICES = Path(__file__).with_name("prices.json")
Found = TypeVar("Found")
Dollars = Annotated[float, Field(ge=0)]

AROUND = ("api", "lambda", "storage", "watching")
"""Sources of the prices other than instances."""

FARGATE = ("fargate", "balancer")
"""Sources of the prices of Fargate, which a file may leave out."""

REGISTRY = ("registry",)
"""The source of the registry's prices, which a file may leave out."""


class NoPrices(FacetError):
    """The file has no such price; the message lists what it has."""


class Instance(Frozen):
    """An instance type: dollars an hour, processors, memory in GiB."""

    hour: Annotated[float, Field(gt=0)]
    vcpus: Annotated[float, Field(gt=0)]
    memory_gib: Annotated[float, Field(gt=0)]


class Source(Frozen):
    """A price's source: when it was read, whether on AWS's own pages (`verified`), and a note."""

    date: date
    verified: bool
    source: str


class HttpApi(Frozen):
    """API Gateway's HTTP API: a million requests, and what they cost above so many millions."""

    million_requests: Dollars
    above_million: dict[float, Dollars] = Field(default_factory=dict)


class Fargate(Frozen):
    """A task's vCPUs and memory, and the load balancer before the tasks, by the hour.

    A balancer unit is a load balancer's capacity unit (LCU).
    """

    vcpu_hour: Annotated[float, Field(gt=0)]
    gb_hour: Dollars
    balancer_hour: Dollars
    balancer_unit_hour: Dollars


class RegistryPrices(Frozen):
    """DynamoDB on demand: a million units of reads and of writes, and a GB for a month."""

    million_reads: Dollars
    million_writes: Dollars
    gb_month: Dollars


class Region(Frozen):
    """Prices of a region, in dollars. Files from before the optional ones remain valid.

    `api_above_million` has the REST API's price of a million requests above so many millions a
    month.
    """

    instances: Annotated[dict[str, Instance], Field(min_length=1)]
    lambda_million_requests: Dollars
    lambda_gb_second: Dollars
    api_million_requests: Dollars
    api_above_million: dict[float, Dollars] = Field(default_factory=dict)
    http_api: HttpApi | None = None
    storage_gb_month: Dollars
    storage_million_reads: Dollars | None = None
    storage_million_writes: Dollars | None = None
    registry: RegistryPrices | None = None
    metric_month: Dollars
    alarm_month: Dollars
    dashboard_month: Dollars
    fargate: Fargate | None = None

    def rest_api(self, requests: float) -> float:
        """Return the dollars of so many requests a month to a REST API."""
        return graded(requests / 1e6, self.api_million_requests, self.api_above_million)

    def http_api_of(self, requests: float) -> float | None:
        """Return the dollars of so many requests a month to an HTTP API; None without a price."""
        prices = self.http_api
        if prices is None:
            return None
        return graded(requests / 1e6, prices.million_requests, prices.above_million)

    def lacking(self) -> list[str]:
        """Name the optional prices that the file has not."""
        optional = {
            "http_api": self.http_api,
            "storage_million_reads": self.storage_million_reads,
            "storage_million_writes": self.storage_million_writes,
            "registry": self.registry,
            "fargate": self.fargate,
        }
        return [name for name, price in optional.items() if price is None]

    def instance(self, name: str) -> Instance:
        """Look up by name. Raises NoPrices."""
        return _found(self.instances, name, "instance type")


class Prices(Frozen):
    """A price file.

    `sources` has one for each family of instances, those of AROUND, and those of FARGATE and
    REGISTRY with their prices.
    """

    currency: str
    sources: dict[str, Source]
    regions: Annotated[dict[str, Region], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_has_a_source(self) -> Self:
        instances = {name for region in self.regions.values() for name in region.instances}
        fargate = FARGATE if any(region.fargate for region in self.regions.values()) else ()
        registry = REGISTRY if any(region.registry for region in self.regions.values()) else ()
        needed = {*map(family, instances), *AROUND, *fargate, *registry}
        lacking = needed - self.sources.keys()
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
        optional = (name for name in (*FARGATE, *REGISTRY) if name in self.sources)
        return (family(instance), *AROUND, *optional)

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


def graded(millions: float, first: float, above: Mapping[float, float]) -> float:
    """Return the dollars of so many millions; `above` so many, a million has another price."""
    dollars, start, price = 0.0, 0.0, first
    for end, next_price in (*sorted(above.items()), (math.inf, 0.0)):
        dollars += max(0.0, min(millions, end) - start) * price
        start, price = end, next_price
    return dollars


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
