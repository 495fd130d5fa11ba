"""What a run costs, announced before it starts: an estimate, from the prices of `facet cost`."""

from collections.abc import Collection
from dataclasses import dataclass

from cli.cost.model import LAMBDA_GB, LAMBDA_SECONDS
from cli.cost.prices import Region, family, read
from cli.verify.checks.training import RECIPE

REGION = "us-east-1"
"""Whose prices stand for regions that the file does not have."""

REQUESTS = 100
"""Requests of a run to the API, at most: the canary's are most of them."""

TRAINING_MINUTES = 5.0
"""SageMaker bills a job from the download of the image to the upload of the model. The training
itself takes seconds."""

SAME_PRICE = {"ml.c6i": "ml.c5", "ml.c7i": "ml.c5"}
"""Families that the price file lacks, and an older one of the same sizes that costs about as much.
"""

UPDATE_HOURS = 0.5
"""Twice a second fleet, for about a quarter of an hour each: it starts, waits and is removed."""


@dataclass(frozen=True)
class Estimate:
    """Dollars, and the items they are made of, as sentences."""

    dollars: float
    items: tuple[str, ...]

    def __str__(self) -> str:
        dollars = f"about ${self.dollars:.2f}" if self.dollars >= 0.01 else "less than $0.01"
        return f"{dollars}: {'; '.join(self.items)}"


def estimate(chosen: Collection[str], region: str, instance_type: str, instances: int) -> Estimate:
    """Estimate what the chosen checks cost, the endpoint's present instances aside."""
    known = read().regions
    prices = known.get(region, known[REGION])
    busy = REQUESTS * LAMBDA_GB * LAMBDA_SECONDS * prices.lambda_gb_second
    requests = prices.api_million_requests + prices.lambda_million_requests
    parts = [(REQUESTS / 1e6 * requests + busy, f"{REQUESTS} requests")]
    if "training" in chosen:
        kind = RECIPE.instance_type
        what = f"a training job of {TRAINING_MINUTES:.0f} minutes on {kind}"
        parts.append((_hour(prices, kind) * TRAINING_MINUTES / 60, what))
    if "update" in chosen:
        what = f"{instances} more {instance_type} for {UPDATE_HOURS:.1f} hours"
        parts.append((_hour(prices, instance_type) * UPDATE_HOURS * instances, what))
    items = [f"{what} (${dollars:.3f})" for dollars, what in parts]
    if region not in known:
        items.append(f"prices of {REGION}, since the list has none of {region}")
    return Estimate(sum(dollars for dollars, _ in parts), tuple(items))


def _hour(prices: Region, instance_type: str) -> float:
    """Dollars an hour; of the most expensive instance if the list does not have this one."""
    kind = family(instance_type)
    similar = instance_type.replace(kind, SAME_PRICE.get(kind, kind))
    most = max(each.hour for each in prices.instances.values())
    found = prices.instances.get(instance_type) or prices.instances.get(similar)
    return found.hour if found else most
