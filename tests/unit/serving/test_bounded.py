"""How many rows a call gets, and what is noted around it."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.errors import InferenceFailed
from serving.guard.crash_guard import SLOT_FILE, CrashGuard
from serving.guard.time_limits import TimeLimits
from serving.runtimes.bounded import UNKNOWN, BoundedRuntime
from serving.runtimes.runtime import Array, Signature

COMPUTE_LIMIT = 8.0  # seconds, so that a call should take one


class Slow:
    """Takes `seconds` of the clock for each row."""

    kind = "litert"
    mapped = 40
    parallel = 3

    def __init__(self, seconds: float, *, per_row: bool = True) -> None:
        self.signatures: Mapping[str, Signature] = {"serving_default": Signature({}, True)}
        self.now = 0.0
        self.calls: list[int] = []
        self.closed = self.cancelled = False
        self._seconds = seconds
        self._per_row = per_row

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert signature == "serving_default"
        self.calls.append(len(inputs["x"]))
        self.now += self._seconds * len(inputs["x"])
        return {"y": inputs["x"] * 2 if self._per_row else np.array([7, 8, 9])}

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[CrashGuard]:
    with closing(CrashGuard(tmp_path)) as guard:
        yield guard


def limited(runtime: Slow, guard: CrashGuard) -> tuple[BoundedRuntime, TimeLimits]:
    limits = TimeLimits(1, COMPUTE_LIMIT, clock=lambda: runtime.now)
    return BoundedRuntime(runtime, guard, limits, "m", Path("m")), limits


def rows(count: int) -> dict[str, Any]:
    return {"x": np.arange(count) + 100}


def predict(runtime: BoundedRuntime, count: int) -> Any:
    return runtime.predict("serving_default", rows(count))["y"].tolist()


def doubled(count: int) -> list[int]:
    return [2 * (number + 100) for number in range(count)]


def test_a_fast_model_gets_all_rows_in_one_call(guard: CrashGuard) -> None:
    runtime = Slow(0.001)
    made, _ = limited(runtime, guard)
    assert (made.kind, made.parallel, made.mapped) == ("litert", 3, 40)
    assert made.signatures is runtime.signatures
    assert predict(made, 3) == doubled(3)
    assert predict(made, 500) == doubled(500)
    assert runtime.calls == [3, 500]


def test_many_rows_are_not_one_call_before_the_speed_is_known(guard: CrashGuard) -> None:
    runtime = Slow(0.01)
    made, _ = limited(runtime, guard)
    assert predict(made, 50) == doubled(50)
    assert runtime.calls == [UNKNOWN, 42]


def test_a_slow_model_gets_as_many_rows_as_take_an_eighth_of_the_limit(guard: CrashGuard) -> None:
    runtime = Slow(0.4)
    made, limits = limited(runtime, guard)
    assert predict(made, 1) == doubled(1)
    assert predict(made, 7) == doubled(7)
    assert runtime.calls == [1, 2, 2, 2, 1]
    assert limits.overrun() == []


def test_more_rows_than_fit_into_the_limit_fail_with_advice(guard: CrashGuard) -> None:
    runtime = Slow(3)
    made, limits = limited(runtime, guard)
    predict(made, 1)
    with pytest.raises(InferenceFailed, match=r"20 rows took over 8 seconds, when 3 were .* fewer"):
        predict(made, 20)
    assert runtime.calls == [1, 1, 1, 1]
    assert limits.overrun() == []


def test_an_output_without_one_value_per_row_is_not_put_together(guard: CrashGuard) -> None:
    runtime = Slow(0.01, per_row=False)
    made, _ = limited(runtime, guard)
    assert predict(made, 50) == [7, 8, 9]
    assert runtime.calls == [UNKNOWN, 50]


def test_a_call_is_noted_while_it_runs(guard: CrashGuard, tmp_path: Path) -> None:
    runtime = Slow(9)
    made, limits = limited(runtime, guard)
    noted: list[Any] = []

    def predict_and_look(*_: object) -> dict[str, Array]:
        runtime.now += 9
        (slots,) = tmp_path.glob(f"*{SLOT_FILE}")
        noted.append((limits.overrun()[0].target, bool(slots.read_bytes().strip(b"\0"))))
        raise InferenceFailed("thirteen")

    runtime.predict = predict_and_look  # type: ignore[method-assign, assignment]
    with pytest.raises(InferenceFailed):
        predict(made, 1)
    assert noted == [("m", True)]
    assert limits.overrun() == []
    assert not any(each.read_bytes().strip(b"\0") for each in tmp_path.glob(f"*{SLOT_FILE}"))


def test_cancel_and_close_are_passed_on(guard: CrashGuard) -> None:
    runtime = Slow(1)
    made, _ = limited(runtime, guard)
    made.cancel()
    made.close()
    assert runtime.cancelled
    assert runtime.closed
