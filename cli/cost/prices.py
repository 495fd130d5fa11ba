"""What AWS asks for instances, requests and storage: a dated file, or one of your own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from facet.errors import FacetError
from facet.manifest import Frozen

OURS = Path(__file__).with_name("prices.json")
Found = TypeVar("Found")
Dollars = Annotated[float, Field(ge=0)]


class NoPrices(FacetError):
    """There are no prices for what is asked; the message says which there are."""


class Instance(Frozen):
    """An instance type: dollars an hour, processors, memory in GiB."""

    hour: Annotated[float, Field(gt=0)]
    vcpus: Annotated[int, Field(ge=1)]
    memory_gib: Annotated[float, Field(gt=0)]


class Region(Frozen):
    """Prices of a region, in dollars."""

    instances: Annotated[dict[str, Instance], Field(min_length=1)]
    lambda_million_requests: Dollars
    lambda_gb_second: Dollars
    api_million_requests: Dollars
    storage_gb_month: Dollars

    def instance(self, name: str) -> Instance:
        """Raises NoPrices."""
        return _found(self.instances, name, "instance type")


class Prices(Frozen):
    """A price file: the `date` (ISO 8601) of its prices, and where they are from."""

    date: str
    currency: str
    note: str
    sources: dict[str, str]
    regions: Annotated[dict[str, Region], Field(min_length=1)]

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


def _found(known: Mapping[str, Found], name: str, what: str) -> Found:
    if name not in known:
        raise NoPrices(
            f"there are no prices for the {what} {name}, but for {', '.join(known)}; write a file "
            "of your own after cli/cost/prices.json and name it with --prices"
        )
    return known[name]
