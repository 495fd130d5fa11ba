"""What one run of the sweeper did."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from facet.errors import RegistryConflict
from facet.observability import logger
from onboard.bucket import missing


@dataclass
class Swept:
    """What one run did: keys of uploads, TargetModels of versions, and what failed of either."""

    handed_over: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    without_litert: list[str] = field(default_factory=list)
    without_weights: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@contextmanager
def logged(swept: Swept, subject: str) -> Iterator[None]:
    """Logs what AWS or the registry refuses, as failed; nothing that was onboarded meanwhile."""
    try:
        yield
    except (ClientError, RegistryConflict) as error:
        if isinstance(error, ClientError) and missing(error):
            return
        logger().warning("not swept", subject=subject, exc_info=error)
        swept.failed.append(subject)
