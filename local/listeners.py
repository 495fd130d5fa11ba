"""Who hears of what happens in a running stack."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.moto.step_functions import Ended
from local.runtime.pool import Invocation
from local.training.jobs import Told


@dataclass(frozen=True)
class Listeners:
    """`invoked`: a function and the outcome of each asynchronous invocation.  `trained`: a training
    job's description and each line of its log.  `executed`: each execution's end.
    `put`: each event on an event bus, as EventBridge delivers it.
    """

    invoked: Callable[[str, Invocation], object] = lambda *_: None
    trained: Told = lambda *_: None
    executed: Ended = lambda _: None
    put: Callable[[dict[str, Any]], object] = lambda _: None


NOBODY = Listeners()
