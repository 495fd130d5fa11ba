"""A large, slow model does not delay a small, fast one in the same container."""

import base64
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ContainerProcess = Any  # conftest.ContainerProcess
StartContainer = Callable[..., ContainerProcess]

SMALL = {"instances": [{"image": {"b64": base64.b64encode(bytes(8 * 8 * 3)).decode()}}]}
HUGE = {"instances": [{"image": {"b64": base64.b64encode(bytes(16 * 16 * 3)).decode()}}]}
ROUNDS = 5
TIMES, AT_LEAST = 5, 0.06
"""A wait may be so many times as long as without the large model, or so many seconds. LiteRT's
interpreter in Python holds the lock for 160 to 190 ms while it loads such a model."""

# LiteRT's C API loads without Python's lock.
LOADS_WITHOUT_LOCK = importlib.util.find_spec("serving.litert") is not None


@pytest.fixture(scope="module")
def container(start_container: StartContainer, artifacts: Path) -> ContainerProcess:
    started = start_container(FACET_SERVING_WORKERS="2")
    assert started.load("small", artifacts / "classifier").status_code == 200
    for _ in range(50):
        assert started.invoke("small", SMALL).status_code == 200
    return started


@pytest.fixture
def other() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def longest_wait(container: ContainerProcess, until: Callable[[], bool]) -> float:
    """Seconds of the slowest answer of the small model, which is asked until the condition."""
    longest = 0.0
    while not until():
        sent = time.perf_counter()
        answer = container.invoke("small", SMALL)
        longest = max(longest, time.perf_counter() - sent)
        assert answer.status_code == 200
    return longest


def during(container: ContainerProcess, work: Future[Any]) -> tuple[float, float]:
    """The longest wait while something is done, and in as many seconds of nothing after it."""
    began = time.monotonic()
    beside = longest_wait(container, work.done)
    ends = time.monotonic() + time.monotonic() - began
    assert work.result().status_code == 200, work.result().text
    return beside, longest_wait(container, lambda: time.monotonic() >= ends)


def test_a_large_model_that_loads_or_computes_delays_no_small_one(
    container: ContainerProcess, artifacts: Path, other: ThreadPoolExecutor
) -> None:
    """The median of the rounds counts: a single pause may be the machine's."""
    loads, computations = [], []
    for _ in range(ROUNDS):
        loads.append(during(container, other.submit(container.load, "huge", artifacts / "huge")))
        computations.append(during(container, other.submit(container.invoke, "huge", HUGE)))
        assert container.http.delete("/models/huge").status_code == 200
    for waits in (loads, computations) if LOADS_WITHOUT_LOCK else (computations,):
        beside, alone = map(statistics.median, zip(*waits, strict=True))
        assert beside < max(TIMES * alone, AT_LEAST), (beside, alone)
