"""Which runtime loads a version, and what the crash guard notes of it."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from serving.artifact import TFLITE, versions
from serving.crash_guard import SLOT_FILE, CrashGuard
from serving.errors import InferenceFailed, LoadFailed, ModelRefused
from serving.runtimes import litert, saved_model
from serving.runtimes.loader import GuardedRuntime, loader
from serving.runtimes.runtime import Array, Signature
from serving.settings import from_environment

SETTINGS = from_environment({})


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """Version 1 for LiteRT, version 2 for TensorFlow, neither of them a model."""
    lite = tmp_path / "artifact" / "1" / TFLITE
    lite.parent.mkdir(parents=True)
    lite.write_bytes(bytes(10_000))
    full = tmp_path / "artifact" / "2" / "saved_model.pb"
    full.parent.mkdir()
    full.write_bytes(bytes(20_000))
    return tmp_path / "artifact"


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[CrashGuard]:
    with closing(CrashGuard(tmp_path / "state")) as guard:
        yield guard


def test_estimates_memory_per_runtime(artifact: Path, guard: CrashGuard) -> None:
    estimate = loader(SETTINGS, guard).estimate
    lite, full = versions(artifact, "m")
    assert estimate(lite) == litert.estimate(10_000)
    assert estimate(full) == saved_model.estimate(20_000)
    assert estimate(lite) < estimate(full)


def test_a_failed_load_gives_the_reason_of_the_runtime(artifact: Path, guard: CrashGuard) -> None:
    lite, _ = versions(artifact, "m")
    with pytest.raises(LoadFailed, match=r"LiteRT cannot load model\.tflite: ."):
        loader(SETTINGS, guard).load(lite, "m")


@pytest.mark.parametrize("activity", ["loading", "computing"])
def test_refuses_a_model_that_ended_the_process_twice(
    artifact: Path, tmp_path: Path, activity: str
) -> None:
    lite, _ = versions(artifact, "m")
    state = tmp_path / "state"
    unfinished: list[AbstractContextManager[None]] = []
    for _ in range(2):
        guard = CrashGuard(state)
        if activity == "loading":
            unfinished.append(guard.loading(lite.source, "m"))
        else:
            unfinished.append(guard.computing(lite.source)())
        unfinished[-1].__enter__()
        guard.close()
    refused = pytest.raises(ModelRefused, match=f"Model m ended .* 2 times while it was {activity}")
    with closing(CrashGuard(state)) as survivor, refused:
        loader(SETTINGS, survivor).load(lite, "m")
    assert not any(each.read_bytes().strip(b"\0") for each in state.glob(f"*{SLOT_FILE}"))


class Failing:
    kind = "litert"
    parallel = 3
    signatures: Mapping[str, Signature] = {"serving_default": Signature({})}
    closed = False

    def predict(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert signature == "serving_default"
        if inputs["x"][0] == 13:
            raise InferenceFailed("thirteen")
        return {"y": inputs["x"]}

    def close(self) -> None:
        self.closed = True


def test_a_guarded_runtime_enters_the_guard_around_each_computation() -> None:
    events: list[str] = []

    @contextmanager
    def computing() -> Iterator[None]:
        events.append("begins")
        try:
            yield
        finally:
            events.append("ends")

    runtime = Failing()
    guarded = GuardedRuntime(runtime, computing)
    assert (guarded.kind, guarded.parallel) == ("litert", 3)
    assert guarded.signatures is runtime.signatures
    assert guarded.predict("serving_default", {"x": np.array([1])})["y"] == [1]
    with pytest.raises(InferenceFailed):
        guarded.predict("serving_default", {"x": np.array([13])})
    assert events == ["begins", "ends"] * 2
    guarded.close()
    assert runtime.closed
