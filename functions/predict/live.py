"""Which version answers, from a small cache before the registry."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from facet.observability import logger
from facet.registry import Registry, Version

CAPACITY = 10_000
"""Entries kept; the one that was read longest ago goes first."""


@dataclass(frozen=True)
class _Entry:
    version: Version
    until: float


class LiveVersions:
    """The registry's answers for `ttl` seconds, and beyond that while the registry is down."""

    def __init__(
        self, registry: Registry, ttl: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._ttl = ttl
        self._clock = clock
        self._entries: dict[tuple[str, str | None], _Entry] = {}

    def get(self, model: str, version: str | None = None) -> Version:
        """The live version, or the READY one asked for.

        Raises UnknownModel, UnknownVersion, NoLiveVersion; botocore's errors where the registry
        fails and the model was not read before.
        """
        key = (model, version)
        known = self._entries.get(key)
        now = self._clock()
        if known and now < known.until:
            return known.version
        try:
            found = self._registry.ready(model, version) if version else self._registry.live(model)
        except (BotoCoreError, ClientError) as error:
            if known is None:
                raise
            logger().warning("registry out of reach, answering from memory", exc_info=error)
            found = known.version
        self._remember(key, _Entry(found, now + self._ttl))
        return found

    def _remember(self, key: tuple[str, str | None], entry: _Entry) -> None:
        self._entries.pop(key, None)
        self._entries[key] = entry
        if len(self._entries) > CAPACITY:
            del self._entries[next(iter(self._entries))]
