"""Compute what tenants cost as heads on one backbone, beside as many whole models.

docs/cost.md has the formulas and the sources of the numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cli.cost.model import Case, Traffic
from cli.cost.places import Needs, function, share_missed, with_facet
from cli.cost.prices import RegistryPrices

STORED_MB = 0.028
"""A head's artifact, weights and golden image in S3, in 10⁶ bytes: 14, 12 and 2 kB for ten labels
on the sample backbone (`python -m benchmarks.heads`)."""

KEPT_MB = 0.0126
"""As the predict function counts such a head in its memory, 0.8 kB more than it takes
(docs/benchmarks.md, Memory of a head)."""

ROOM_MB = 134.217728
"""Of heads in the predict function's memory: FACET_HEAD_CACHE in template.yaml."""

RECORDS_MB = 0.0025
"""A model's items in the registry."""

RECORDS_READ = 2
"""Reads of the registry for a request, at most: the model's record and its version's count for ten
seconds."""

TEACH_SECONDS, TEACH_MB = 2.0, 3008
"""A teaching of ten labels with 20 images each: rounded up from docs/benchmarks.md, Teaching a
tenant. The memory is the function's (template.yaml)."""

ONBOARD_SECONDS, ONBOARD_MB = 3.0, 256
"""Onboarding a head, with the start of its function: docs/cost.md, Idle."""

BACKBONE_SECONDS = 0.1
"""The backbone's computing of 200 images: docs/benchmarks.md, Teaching a tenant."""

INVOCATIONS = 20
"""Of functions, for a teaching and the onboarding: 18 of them run the backbone."""

IMAGES = 200
TEACH_READS, TEACH_CALLS = 205, 9
"""Of S3, for a teaching and the onboarding: reads, and other calls beside the images' uploads."""

RECORD_READS, RECORD_WRITES = 16, 36
"""Units of the registry, for both: a kilobyte that is written, twice as many in a transaction."""

FREE = RegistryPrices(million_reads=0, million_writes=0, gb_month=0)
"""For a price file without the registry's."""


@dataclass(frozen=True)
class Bill:
    """Dollars a month: of the place, of the registry's reads, of weights that the predict function
    reads from S3, and of storage in S3 and in the registry.
    """

    computing: float
    records: float
    weights: float
    storage: float

    @property
    def dollars(self) -> float:
        """The sum."""
        return self.computing + self.records + self.weights + self.storage


TITLES: Mapping[str, str] = {
    "endpoint_heads": "multi-model, heads",
    "endpoint_whole": "multi-model, whole models",
    "function_heads": "function, heads",
    "function_whole": "function, whole models",
}


def bills(case: Case, models: int, traffic: Traffic) -> dict[str, Bill | None]:
    """The bills by TITLES' names; None for a place that is none for the model. In the endpoint runs
    Facet's container. The backbone is as large and as slow as one of the whole models.
    """
    return {
        "endpoint_heads": _heads(case, models, traffic, with_facet(case, 1, traffic)),
        "endpoint_whole": _whole(case, models, traffic, with_facet(case, models, traffic)),
        "function_heads": _heads(case, models, traffic, function(case, 1, traffic)),
        "function_whole": _whole(case, models, traffic, function(case, models, traffic)),
    }


def teaching(case: Case) -> float:
    """Dollars of teaching a tenant, from its images' upload to a head that answers. The backbone
    runs in the function; on an endpoint it costs nothing more.
    """
    prices = case.region
    seconds_gb = (
        TEACH_SECONDS * TEACH_MB
        + ONBOARD_SECONDS * ONBOARD_MB
        + BACKBONE_SECONDS * case.terms.function_mb
    ) / 1024
    registry = prices.registry or FREE
    units = RECORD_READS * registry.million_reads + RECORD_WRITES * registry.million_writes
    return (
        seconds_gb * prices.lambda_gb_second
        + INVOCATIONS / 1e6 * prices.lambda_million_requests
        + TEACH_READS / 1e6 * (prices.storage_million_reads or 0)
        + (IMAGES + TEACH_CALLS) / 1e6 * (prices.storage_million_writes or 0)
        + units / 1e6
    )


def _heads(case: Case, models: int, traffic: Traffic, place: Needs | None) -> Bill | None:
    room = int(ROOM_MB / KEPT_MB)
    missed = share_missed(models, room, traffic.popularity) * case.requests(traffic)
    weights = missed / 1e6 * (case.region.storage_million_reads or 0)
    stored = models * STORED_MB + case.terms.artifact_mb
    return _bill(case, models, traffic, place, stored, weights)


def _whole(case: Case, models: int, traffic: Traffic, place: Needs | None) -> Bill | None:
    return _bill(case, models, traffic, place, models * case.terms.artifact_mb, 0)


def _bill(
    case: Case,
    models: int,
    traffic: Traffic,
    place: Needs | None,
    stored_mb: float,
    weights: float,
) -> Bill | None:
    if place is None:
        return None
    prices, registry = case.region, case.region.registry or FREE
    return Bill(
        computing=place.dollars,
        records=case.requests(traffic) * RECORDS_READ / 1e6 * registry.million_reads,
        weights=weights,
        storage=stored_mb / 1e3 * prices.storage_gb_month
        + models * RECORDS_MB / 1e3 * registry.gb_month,
    )
