"""Which runtime loads a version, and what the crash guard notes of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from serving.artifact import TFLITE, versions
from serving.errors import LoadFailed, ModelRefused
from serving.guard.crash_guard import SLOT_FILE, CrashGuard
from serving.guard.time_limits import TimeLimits
from serving.runtimes import litert, saved_model
from serving.runtimes.loader import loader
from serving.runtimes.runtime import Runtime
from serving.settings import from_environment

SETTINGS = from_environment({"FACET_SERVING_WEIGHT_CACHE": "0"})
LIMITS = TimeLimits(60, 60)


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
    estimate = loader(SETTINGS, guard, LIMITS).estimate
    lite, full = versions(artifact, "m")
    assert estimate(lite) == litert.estimate(10_000)
    assert estimate(full) == saved_model.estimate(20_000)
    assert estimate(lite) < estimate(full)


def test_estimates_less_for_a_model_whose_packed_weights_are_on_disk(
    artifact: Path, guard: CrashGuard
) -> None:
    settled = loader(SETTINGS, guard, LIMITS).settled
    lite, full = versions(artifact, "m")
    runtime = SimpleNamespace(kind="litert", mapped=25_000)
    assert settled(lite, cast(Runtime, runtime)) == litert.estimate(12_500, packed_on_disk=True)
    runtime.mapped = 10_000
    assert settled(lite, cast(Runtime, runtime)) == litert.estimate(10_000)
    tensorflow = SimpleNamespace(kind="tensorflow", mapped=0)
    assert settled(full, cast(Runtime, tensorflow)) == saved_model.estimate(20_000)


def test_a_failed_load_gives_the_reason_of_the_runtime(artifact: Path, guard: CrashGuard) -> None:
    lite, _ = versions(artifact, "m")
    with pytest.raises(LoadFailed, match=r"LiteRT cannot load model\.tflite: ."):
        loader(SETTINGS, guard, LIMITS).load(lite, "m", False)


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
        loader(SETTINGS, survivor, LIMITS).load(lite, "m", False)
    assert not any(each.read_bytes().strip(b"\0") for each in state.glob(f"*{SLOT_FILE}"))
