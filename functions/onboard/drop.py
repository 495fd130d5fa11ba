"""What onboarding takes, and what it makes of it."""

import re
from dataclasses import dataclass

from facet.errors import Violation
from facet.manifest import MODEL_NAME, VERSION_ID

DROP = re.compile(rf"mme/({MODEL_NAME.pattern})\.tar\.gz")
"""The key of a drop, with its model."""

VERSION = re.compile(rf"mme/({MODEL_NAME.pattern})/({VERSION_ID.pattern})\.tar\.gz")
"""The key of a version's object, with its model and id."""


@dataclass(frozen=True)
class Drop:
    """An upload: the object at `mme/<model>.tar.gz`, and exactly one version of that object.

    Without `object_version` it is the newest one. `dropped_at` (ISO 8601 in UTC) is when it was
    complete, by its event, `sequencer` S3's order among uploads.
    """

    model: str
    object_version: str | None = None
    sequencer: str | None = None
    dropped_at: str | None = None

    @property
    def key(self) -> str:
        """Where it lies."""
        return f"mme/{self.model}.tar.gz"


@dataclass(frozen=True)
class Outcome:
    """What became of a drop: `READY`, `REJECTED`, `UNCHANGED` (known already) or `GONE`.

    `POSTPONED` waits for an endpoint, `RETIRED` is a version whose object was deleted.
    """

    model: str
    outcome: str
    version: str | None = None
    violations: tuple[Violation, ...] = ()
