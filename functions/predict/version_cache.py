"""Which version answers, from a small cache before the registry."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from facet.observability import count, logger
from facet.registry.models import Serving, Version
from facet.registry.store import Registry

CAPACITY = 10_000
"""Entries kept; the one that was read longest ago goes first."""

Found = TypeVar("Found", Serving, Version)


@dataclass(frozen=True)
class _Entry:
    found: Any
    until: float


class VersionCache:
    """The registry's answers for `ttl` seconds, and beyond that while the registry is down."""

    def __init__(
        self, registry: Registry, ttl: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._ttl = ttl
        self._clock = clock
        self._entries: dict[tuple[str, str | None], _Entry] = {}

    def serving(self, model: str) -> Serving:
        """What answers the model's predictions.

        Raises UnknownModel, NoLiveVersion; botocore's errors where the registry fails and the
        model was not read before.
        """
        return self._get((model, None), lambda: self._registry.serving(model))

    def named(self, model: str, version: str) -> Version:
        """The READY version asked for. Raises UnknownModel, UnknownVersion, and as `serving`."""
        return self._get((model, version), lambda: self._registry.ready(model, version))

    def expire(self, model: str, version: str | None = None) -> None:
        """The next answer comes from the registry, or from memory only where that is down."""
        key = (model, version)
        if known := self._entries.get(key):
            self._entries[key] = replace(known, until=self._clock())

    def _get(self, key: tuple[str, str | None], read: Callable[[], Found]) -> Found:
        known = self._entries.get(key)
        now = self._clock()
        found: Found
        if known and now < known.until:
            found = known.found
            return found
        try:
            found = read()
        except (BotoCoreError, ClientError) as error:
            if known is None:
                raise
            count("AnswersFromMemory")
            logger().warning("registry out of reach, answering from memory", exc_info=error)
            found = known.found
        self._remember(key, _Entry(found, now + self._ttl))
        return found

    def _remember(self, key: tuple[str, str | None], entry: _Entry) -> None:
        self._entries.pop(key, None)
        self._entries[key] = entry
        if len(self._entries) > CAPACITY:
            del self._entries[next(iter(self._entries))]
