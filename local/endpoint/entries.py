"""The target models that are loaded or asked for, the longest unused first."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

SHARE = 64
"""One in so many models makes room at once, so that not every load has to wait for that."""


@dataclass(eq=False)
class Entry:
    """A target model that is loaded, or being loaded.

    generation: the container's that has it, 0 for none.  in_use: requests that need it.
    turn: held while it is loaded or unloaded.  without_room: its load waits for memory.
    """

    name: str
    target: str
    generation: int = 0
    in_use: int = 0
    loading: asyncio.Task[None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    without_room: bool = False


class Entries:
    """To be used on one event loop. changed: set whenever one may have become unused."""

    def __init__(self, generation: Callable[[], int]) -> None:
        """generation: of the container that runs now."""
        self.changed = asyncio.Event()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._generation = generation
        self._seen = 0

    def loaded(self) -> list[str]:
        """Targets in the container, longest unused first."""
        return [entry.target for entry in self._entries.values() if self.is_loaded(entry)]

    def is_loaded(self, entry: Entry) -> bool:
        """In the container that runs now."""
        return entry.generation == self._generation()

    @contextmanager
    def use(self, name: str, target: str) -> Iterator[Entry]:
        """Its entry, which stays that long."""
        entry = self._entries.setdefault(name, Entry(name, target))
        self._entries.move_to_end(name)
        entry.in_use += 1
        try:
            yield entry
        finally:
            entry.in_use -= 1
            self.forget_if_idle(entry)

    def put(self, entry: Entry, generation: int) -> None:
        """It is loaded in that generation; what an earlier one had loaded went with it."""
        entry.generation = generation
        if generation != self._seen:
            self._seen = generation
            for each in list(self._entries.values()):
                self.forget_if_idle(each)

    def forget_if_idle(self, entry: Entry) -> None:
        """To be called when it has ceased to be in use, loading or loaded."""
        if not (entry.in_use or entry.loading or self.is_loaded(entry)):
            self._entries.pop(entry.name, None)
        self.changed.set()

    def longest_unused(self) -> list[Entry]:
        """Loaded ones that nobody needs, at most one in SHARE of all; those in use come last."""
        entries = self._entries.values()
        unused = (each for each in entries if self.is_loaded(each) and not each.in_use)
        return list(islice(unused, max(1, len(entries) // SHARE)))

    def others_may_make_room(self, wanting: Entry) -> bool:
        """Whether another one is loaded, or may come to be and then be unloaded again."""
        others = [each for each in self._entries.values() if each is not wanting]
        return any(
            self.is_loaded(each) or (each.loading is not None and not each.without_room)
            for each in others
        )
