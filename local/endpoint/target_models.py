"""An endpoint's target models: loaded, loading or in use, the least recently used first."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

UNLOAD_SHARE = 64
"""One loaded model in this many is unloaded at once, so that not every load waits for room."""


@dataclass(eq=False)
class TargetModel:
    """A target model that is loaded, loading or in use.

    name: the container's name for it.  target: as in the request.
    generation: of the container that has it loaded, 0 for none.  in_use: running invocations.
    lock: held during a load or an unload.  waits_for_room: its load was answered 507.
    """

    name: str
    target: str
    generation: int = 0
    in_use: int = 0
    loading: asyncio.Task[None] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waits_for_room: bool = False


class TargetModels:
    """The table of target models. For use on one event loop.

    changed: set whenever a model may have become unused.
    """

    def __init__(self, generation: Callable[[], int]) -> None:
        """generation: of the container that runs now."""
        self.changed = asyncio.Event()
        self._models: OrderedDict[str, TargetModel] = OrderedDict()
        self._generation = generation
        self._latest_generation = 0

    def loaded(self) -> list[str]:
        """Loaded targets, least recently used first."""
        return [model.target for model in self._models.values() if self.is_loaded(model)]

    def is_loaded(self, model: TargetModel) -> bool:
        """Whether the container that runs now has loaded it."""
        return model.generation == self._generation()

    @contextmanager
    def use(self, name: str, target: str) -> Iterator[TargetModel]:
        """The model, marked as in use and as most recently used."""
        model = self._models.setdefault(name, TargetModel(name, target))
        self._models.move_to_end(name)
        model.in_use += 1
        try:
            yield model
        finally:
            model.in_use -= 1
            self.remove_if_idle(model)

    def set_loaded(self, model: TargetModel, generation: int) -> None:
        """Record a load; remove idle models that an earlier container had loaded."""
        model.generation = generation
        if generation != self._latest_generation:
            self._latest_generation = generation
            for other in list(self._models.values()):
                self.remove_if_idle(other)

    def remove_if_idle(self, model: TargetModel) -> None:
        """Call when the model may have ceased to be in use, loading or loaded."""
        if not (model.in_use or model.loading or self.is_loaded(model)):
            self._models.pop(model.name, None)
        self.changed.set()

    def least_recently_used(self) -> list[TargetModel]:
        """Loaded models without an invocation, at most one in UNLOAD_SHARE of all models."""
        models = self._models.values()
        unused = (model for model in models if self.is_loaded(model) and not model.in_use)
        return list(islice(unused, max(1, len(models) // UNLOAD_SHARE)))

    def others_may_make_room(self, model: TargetModel) -> bool:
        """Whether another model is loaded, or is loading without waiting for room itself."""
        others = [other for other in self._models.values() if other is not model]
        return any(
            self.is_loaded(other) or (other.loading is not None and not other.waits_for_room)
            for other in others
        )
