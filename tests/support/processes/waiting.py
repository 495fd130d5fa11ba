"""Waiting for what other threads, processes and machines do."""

import time
from collections.abc import Callable

LONG = 600.0
"""Seconds after which it will not happen. Only a test that fails waits so long."""


def wait_until(true: Callable[[], object], seconds: float = LONG) -> None:
    """Polls until it holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it does not hold after {seconds:g} s"
        time.sleep(0.02)
