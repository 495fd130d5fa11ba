"""Finds what READY versions lack: LiteRT models, weights of heads, and proofs in places where they
may run.

Onboarding alone stores and records them. The sweeper sends it events about some versions in each
run.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from facet.heads.weights import MAX_HEAD
from facet.keys import (
    ENDPOINT_PREFIX,
    HEADS_PREFIX,
    LITE_PREFIX,
    VersionKey,
    head_key,
    parse_head_key,
    parse_lite_key,
    parse_version_key,
)
from facet.registry.models import Status, Version
from facet.registry.store import Registry
from onboard.bucket import Bucket
from onboard.sweep import events
from onboard.sweep.events import UNPROVEN, Event
from onboard.sweep.swept import Swept, logged

MAX_LOOKED_UP = 200
"""Versions that a run looks up in the registry for each kind of work."""

MAX_LITERT = 25
"""LiteRT models that a run has stored, so that they do not take every place of onboarding."""

MAX_PROOFS = 50
"""Versions that a run has proven in another place. One event has them all, so that they take one
place of onboarding."""

MAX_LITERT_READ = 1 << 30
"""Bytes of the artifacts that are read for them; a single one may be larger."""

PUBLISHED_WITHIN = timedelta(minutes=1)
"""How much later than the artifact the weights in it are stored, at most, when it is published."""

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
        """Has LiteRT models and weights stored by onboarding, within this run's limits."""
        stored = self._stored(LITE_PREFIX, parse_lite_key)
        lacking = [each for each in artifacts if each not in stored]
        if not lacking:  # all heads are among them
            return
        heads = self._stored(HEADS_PREFIX, parse_head_key)
        without_weights: list[Version] = []
        left = MAX_LITERT_READ
        for version in self._ready([each for each in lacking if each not in heads]):
            if version.head_sha256:
                without_weights.append(version)
            elif version.litert_size != 0 and len(swept.without_litert) < MAX_LITERT:
                if swept.without_litert and version.size > left:
                    continue
                self._resubmit(events.litert_deleted(self._bucket.name, version, now))
                swept.without_litert.append(version.target)
                left -= version.size
        without_weights += self._changed(artifacts, heads)
        if without_weights:
            self._resubmit(events.heads_deleted(self._bucket.name, without_weights, now))
            swept.without_weights += [each.target for each in without_weights]

    def _changed(self, artifacts: Artifacts, heads: Artifacts) -> Iterator[Version]:
        """READY heads whose weights are not those that were validated.

        Only those are read that were stored later than their artifact.
        """
        later = [
            each
            for each, at in heads.items()
            if each in artifacts and at - artifacts[each] > PUBLISHED_WITHIN
        ]
        for version in self._ready(later):
            sha256 = self._bucket.sha256(head_key(version.model, version.id), MAX_HEAD)
            if version.head_sha256 and version.head_sha256 != sha256:
                yield version

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
