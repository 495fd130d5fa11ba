"""A cache in front of the registry: which version answers a model's predictions.

An entry is good for `ttl` seconds. After that the registry is read again; if it cannot be
reached, the old entry answers for another `ttl` seconds, so an outage of DynamoDB does not stop
predictions of models that this process has served before.
"""

import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from facet.observability import count, logger
from facet.registry.models import Model, Serving, Version
from facet.registry.store import Registry

CAPACITY = 64 << 20
"""Bytes of the entries kept, by `_size`; the one read longest ago is evicted first."""

OF_AN_ENTRY = 400
"""Bytes of an entry beside its value, with its key and its place in the dictionary."""

PLAIN = (str, int, float, type(None))
"""Types of values that hold no others."""

Value = TypeVar("Value", Model, Serving, Version)
MODEL = ""
"""Stands for the version in the key of a model."""


@dataclass(frozen=True)
class _Entry:
    value: Any
    expires: float
    size: int


class VersionCache:
    """Caches `Registry.serving` and `Registry.ready`. `clock` counts seconds."""

    def __init__(
        self, registry: Registry, ttl: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._ttl = ttl
        self._clock = clock
        self._entries: dict[tuple[str, str | None], _Entry] = {}
        self._total = 0

    def serving(self, model: str) -> Serving:
        """Returns the model's live version, and its candidate during a canary.

        Raises UnknownModel, NoLiveVersion, and botocore's errors if the registry fails and the
        model is not cached.
        """
        return self._get((model, None), lambda: self._registry.serving(model))

    def ready(self, model: str, version: str) -> Version:
        """Returns a READY version. Raises UnknownModel, UnknownVersion, and as `serving`."""
        return self._get((model, version), lambda: self._registry.ready(model, version))

    def model(self, model: str) -> Model:
        """Returns the model of that name. Raises UnknownModel, and as `serving`."""
        return self._get((model, MODEL), lambda: self._registry.model(model))

    def expire(self, model: str, version: str | None = None) -> None:
        """Makes the next call read the registry; the entry stays as the fallback in an outage."""
        key = (model, version)
        if cached := self._entries.get(key):
            self._entries[key] = replace(cached, expires=self._clock())

    def _get(self, key: tuple[str, str | None], read: Callable[[], Value]) -> Value:
        cached = self._entries.get(key)
        now = self._clock()
        value: Value
        if cached and now < cached.expires:
            value = cached.value
            return value
        try:
            value = read()
        except (BotoCoreError, ClientError) as error:
            if cached is None:
                raise
            count("AnswersFromMemory")
            logger().warning("registry unreachable, answering from the cache", exc_info=error)
            value = cached.value
        self._store(key, _Entry(value, now + self._ttl, OF_AN_ENTRY + _size(value)))
        return value

    def _store(self, key: tuple[str, str | None], entry: _Entry) -> None:
        if before := self._entries.pop(key, None):
            self._total -= before.size
        self._entries[key] = entry
        self._total += entry.size
        while self._total > CAPACITY:
            self._total -= self._entries.pop(next(iter(self._entries))).size


def _size(value: object) -> int:
    """Bytes of a model or version with all that it holds. What several parts share is counted for
    each of them, so that it is rather too much.
    """
    size = sys.getsizeof(value)
    if isinstance(value, PLAIN):
        return size
    if isinstance(value, Mapping):
        return size + sum(_size(key) + _size(each) for key, each in value.items())
    if isinstance(value, Collection):
        return size + sum(map(_size, value))
    return size + _size(vars(value))
