"""Finds what READY versions lack: LiteRT models, and proofs in places where they may run.

Onboarding alone stores and records them. The sweeper sends it events about some versions in each
run.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from facet.keys import (
    ENDPOINT_PREFIX,
    LITE_PREFIX,
    VersionKey,
    parse_lite_key,
    parse_version_key,
)
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from onboard import events
from onboard.bucket import Bucket
from onboard.completion.swept import Swept, logged
from onboard.events import UNPROVEN, Event

MAX_LOOKED_UP = 200
"""Versions that a run looks up in the registry for each kind of work."""

MAX_LITERT = 25
"""LiteRT models that a run has stored, so that they do not take every place of onboarding."""

MAX_PROOFS = 50
"""Versions that a run has proven in another place. One event has them all, so that they take one
place of onboarding."""

MAX_LITERT_READ = 1 << 30
"""Bytes of the artifacts that are read for them; a single one may be larger."""

Artifacts = Mapping[VersionKey, datetime]
"""The versions that have an artifact, and when it was stored."""


class Lacking:
    """Sends onboarding events about versions that lack something, by `resubmit`."""

    def __init__(
        self, bucket: Bucket, registry: Registry, resubmit: Callable[[Event], object]
    ) -> None:
        self._bucket = bucket
        self._registry = registry
        self._resubmit = resubmit

    def sweep(self, now: datetime, swept: Swept) -> None:
        """One run, within its limits."""
        artifacts: Artifacts = {}
        with logged(swept, ENDPOINT_PREFIX):
            artifacts = self._stored(ENDPOINT_PREFIX, parse_version_key)
        with logged(swept, LITE_PREFIX):
            self._files(artifacts, now, swept)
        with logged(swept, UNPROVEN):
            self._proofs(artifacts, now, swept)

    def _stored(
        self, prefix: str, parse: Callable[[str], VersionKey | None]
    ) -> dict[VersionKey, datetime]:
        """The versions with an object below the prefix, and when it was stored."""
        listed = self._bucket.keys(prefix)
        return {version: at for key, at in listed if (version := parse(key))}

    def _files(self, artifacts: Artifacts, now: datetime, swept: Swept) -> None:
        """Has LiteRT models stored by onboarding, within this run's limits."""
        stored = self._stored(LITE_PREFIX, parse_lite_key)
        left = MAX_LITERT_READ
        for version in self._ready([each for each in artifacts if each not in stored]):
            if version.litert_size != 0 and len(swept.without_litert) < MAX_LITERT:
                if swept.without_litert and version.size > left:
                    continue
                self._resubmit(events.litert_deleted(self._bucket.name, version, now))
                swept.without_litert.append(version.target)
                left -= version.size

    def _ready(self, some: Sequence[VersionKey]) -> Iterator[Version]:
        """Those of the versions that are READY, at most MAX_LOOKED_UP, picked at random.

        So many may have no LiteRT model in their artifact, or keep failing, that the same ones
        would take up each run.
        """
        for each in random.sample(some, min(len(some), MAX_LOOKED_UP)):
            version = self._registry.find(*each)
            if version and version.status is Status.READY:
                yield version

    def _proofs(self, artifacts: Artifacts, now: datetime, swept: Swept) -> None:
        """Has onboarding prove some READY versions where they lack a proof, with one event.

        They are picked at random from a random model on, so that those which cannot be proven yet
        do not take up each run: without an endpoint, all versions lack its proof.
        """
        if not artifacts:
            return
        start, _ = random.choice([*artifacts])
        lacking = [*islice(self._registry.unproven(start), MAX_LOOKED_UP)]
        some = random.sample(lacking, min(len(lacking), MAX_PROOFS))
        if some:
            self._resubmit(events.unproven(self._bucket.name, some, now))
            swept.unproven += [each.target for each in some]
