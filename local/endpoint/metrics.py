"""The endpoint's metrics under SageMaker's names, as CloudWatch statistic sets."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

MICROSECONDS = 1e6


@dataclass
class Statistics:
    """A CloudWatch statistic set: count, sum, minimum and maximum of a metric's values."""

    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)


class Metrics:
    """The metrics of one endpoint; times in microseconds."""

    def __init__(self) -> None:
        self._values: dict[str, Statistics] = {}

    def add(self, name: str, value: float) -> None:
        self._values.setdefault(name, Statistics()).add(value)

    def add_time(self, name: str, started: float) -> None:
        """Add the time since `started`, a value of `time.perf_counter`."""
        self.add(name, (time.perf_counter() - started) * MICROSECONDS)

    def add_invocation(self, model_error: int | None) -> None:
        """Count an invocation.

        model_error: the status of the container's error, 0 if it had none; None without an error.
        """
        status = model_error or 0
        self.add("Invocations", 1)
        self.add("Invocation4XXErrors", float(400 <= status < 500))
        self.add("Invocation5XXErrors", float(500 <= status < 600))
        self.add("InvocationModelErrors", float(model_error is not None))

    def add_latency(self, started: float, model: float) -> None:
        """Add an invocation that began at `started`; the container took `model` seconds of it."""
        whole = time.perf_counter() - started
        self.add("ModelLatency", model * MICROSECONDS)
        self.add("OverheadLatency", (whole - model) * MICROSECONDS)

    def snapshot(self) -> Mapping[str, Mapping[str, float]]:
        """The statistics so far, since the endpoint was started."""
        return {
            name: {
                "SampleCount": statistics.count,
                "Sum": statistics.total,
                "Minimum": statistics.least,
                "Maximum": statistics.most,
            }
            for name, statistics in self._values.items()
        }
